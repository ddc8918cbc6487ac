"""HTML templates: `{name}` in a template is replaced and escaped, unless it is Html already."""

import html
import string
from pathlib import Path


class Html(str):
    """Text that is HTML and needs no escaping."""


class _Escaping(string.Formatter):
    def format_field(self, value, format_spec):
        if isinstance(value, Html):
            return value
        if isinstance(value, (list, tuple)):
            return "".join(self.format_field(item, format_spec) for item in value)
        return html.escape(format(value, format_spec))


class Templates:
    def __init__(self, folder):
        self._sources = {
            path.stem: path.read_text(encoding="utf-8") for path in sorted(Path(folder).glob("*.html"))
        }

    def render(self, name, /, **values):
        return Html(_Escaping().vformat(self._sources[name], (), values))
