"""A PEP 517 build backend in one file: it needs no package index, and makes the same bytes every time."""

import base64
import hashlib
import zipfile
from email.parser import Parser
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WHEEL = "Wheel-Version: 1.0\nGenerator: in-tree backend\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


class UnsupportedOperation(Exception):
    pass


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    metadata = Parser().parsestr((ROOT / "METADATA").read_text(encoding="utf-8"))
    stem = "{}-{}".format(metadata["Name"].replace("-", "_"), metadata["Version"])
    members = {**_package_files(metadata["Name"].replace("-", "_")), **_dist_info(stem + ".dist-info")}
    members[stem + ".dist-info/RECORD"] = _record(members, stem + ".dist-info/RECORD")
    file_name = stem + "-py3-none-any.whl"
    with zipfile.ZipFile(str(Path(wheel_directory) / file_name), "w", zipfile.ZIP_STORED) as wheel:
        for name, content in members.items():
            wheel.writestr(_member(name), content)
    return file_name


def build_sdist(sdist_directory, config_settings=None):
    raise UnsupportedOperation("this package is built from its own folder only")


def _package_files(package):
    files = [path for path in (ROOT / package).rglob("*") if path.is_file() and path.suffix != ".pyc"]
    return {path.relative_to(ROOT).as_posix(): path.read_bytes() for path in sorted(files)}


def _dist_info(folder):
    members = {folder + "/METADATA": (ROOT / "METADATA").read_bytes(), folder + "/WHEEL": WHEEL.encode()}
    entry_points = ROOT / "entry_points.txt"
    if entry_points.exists():
        members[folder + "/entry_points.txt"] = entry_points.read_bytes()
    return members


def _record(members, own_name):
    lines = []
    for name, content in members.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        lines.append("{},sha256={},{}\n".format(name, digest, len(content)))
    return ("".join(lines) + own_name + ",,\n").encode()


def _member(name):
    member = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
    member.create_system = 3
    member.external_attr = 0o100644 << 16
    return member
