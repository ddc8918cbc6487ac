"""Writes a bundle whose first wheel was exchanged by another of the same name, and whose requirements say nothing of
it: exchange_wheel.py FROM TO. Prints its id."""

import hashlib
import io
import json
import sys
import zipfile


def members(file):
  with zipfile.ZipFile(file) as archive:
    infos = sorted(archive.infolist(), key=lambda info: info.header_offset)
    return {info.filename: archive.read(info) for info in infos}


def write(file, contents):
  with zipfile.ZipFile(file, "w") as archive:
    for name, content in contents.items():
      archive.writestr(zipfile.ZipInfo(name), content)


source, target = sys.argv[1:]
bundle = members(source)
name = next(name for name in bundle if name.startswith("wheels/"))
wheel = members(io.BytesIO(bundle[name]))
module = next(file for file in wheel if file.endswith("/__init__.py"))
record = next(file for file in wheel if file.endswith("/RECORD"))
wheel[module] = b'VERSION = "exchanged"\n'
wheel[record] = b"".join(row for row in wheel[record].splitlines(True) if module.encode() not in row)
exchanged = io.BytesIO()
write(exchanged, wheel)
bundle[name] = exchanged.getvalue()
manifest = json.loads(bundle["pybundle.json"])
manifest["members"][name].update(sha256=hashlib.sha256(bundle[name]).hexdigest(), size=len(bundle[name]))
bundle["pybundle.json"] = json.dumps(manifest).encode()
write(target, bundle)
print(hashlib.sha256(bundle["pybundle.json"]).hexdigest())
