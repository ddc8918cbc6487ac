"""Routes WSGI requests to functions: a function takes a Request and returns a Response."""

from http import HTTPStatus
from urllib.parse import parse_qs

FORM_LIMIT = 64 * 1024


class HttpError(Exception):
    def __init__(self, status, message):
        super().__init__(message)
        self.status = status


class Request:
    def __init__(self, environ):
        self.environ = environ
        self.method = environ["REQUEST_METHOD"]
        # WSGI hands bytes as latin-1 text (PEP 3333).
        self.path = environ.get("PATH_INFO", "/").encode("latin-1").decode("utf-8", "replace") or "/"

    def form(self):
        """The fields of a submitted form, each the first of its name, without surrounding space."""
        try:
            length = int(self.environ.get("CONTENT_LENGTH") or 0)
        except ValueError:
            raise HttpError(400, "Content-Length is not a number")
        if length > FORM_LIMIT:
            raise HttpError(413, "a form may have {} bytes".format(FORM_LIMIT))
        body = self.environ["wsgi.input"].read(length).decode("utf-8", "replace")
        return {name: values[0].strip() for name, values in parse_qs(body).items()}


class Response:
    def __init__(self, body="", status=200, content_type="text/html; charset=utf-8", headers=()):
        self.body = body if isinstance(body, bytes) else body.encode("utf-8")
        self.status = status
        self.headers = [("Content-Type", content_type), *headers]


def redirect(location):
    return Response(status=303, headers=[("Location", location)])


class Router:
    """A WSGI application. `headers` go with every response."""

    def __init__(self, headers=(), on_error=None):
        self._routes = {}
        self._headers = list(headers)
        self._on_error = on_error

    def get(self, path):
        return self._route("GET", path)

    def post(self, path):
        return self._route("POST", path)

    def _route(self, method, path):
        def register(handler):
            self._routes.setdefault(path, {})[method] = handler
            return handler

        return register

    def __call__(self, environ, start_response):
        request = Request(environ)
        response = self._respond(request)
        length = ("Content-Length", str(len(response.body)))
        status = "{} {}".format(response.status, HTTPStatus(response.status).phrase)
        start_response(status, [*response.headers, *self._headers, length])
        return [] if request.method == "HEAD" else [response.body]

    def _respond(self, request):
        try:
            return self._handler(request)(request)
        except HttpError as error:
            return _plain(str(error), error.status)
        except Exception as error:
            if self._on_error:
                self._on_error(request, error)
            return _plain("something went wrong", 500)

    def _handler(self, request):
        methods = self._routes.get(request.path)
        if methods is None:
            raise HttpError(404, "no page at {}".format(request.path))
        handler = methods.get("GET" if request.method == "HEAD" else request.method)
        if handler is None:
            raise HttpError(405, "{} takes {}".format(request.path, ", ".join(sorted(methods))))
        return handler


def _plain(text, status):
    return Response(text + "\n", status, "text/plain; charset=utf-8")
