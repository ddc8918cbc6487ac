"""Holds calls, a JSON line each on standard input, against the models of AWS that botocore carries.

Prints what does not fit, a line each: the length, pattern, enum, type and presence of each member, of what was sent
and of what was answered.
"""

import base64
import json
import re
import sys
from datetime import datetime

import botocore.loaders
import botocore.model

TYPES = {
  "string": str,
  "integer": int,
  "long": int,
  "float": (int, float),
  "double": (int, float),
  "boolean": bool,
  "timestamp": (datetime, int, float),
  "blob": (bytes, str),
}
# By the name in signatures, where that is another one.
MODELS = {"monitoring": "cloudwatch"}
loader = botocore.loaders.Loader()
models = {}


def model_of(service):
  if service not in models:
    model = loader.load_service_model(MODELS.get(service, service), "service-2")
    models[service] = botocore.model.ServiceModel(model, service)
  return models[service]


def revive(value):
  if "$date" in value:
    return datetime.fromisoformat(value["$date"].replace("Z", "+00:00"))
  return base64.b64decode(value["$bytes"]) if "$bytes" in value else value


def misfits(shape, value, path):
  kind = shape.type_name
  if kind == "structure":
    yield from misfits_of_structure(shape, value, path)
  elif kind == "list":
    yield from misfits_of_size(shape, len(value), path)
    for item in value:
      yield from misfits(shape.member, item, path + "[]")
  elif kind == "map":
    yield from misfits_of_size(shape, len(value), path)
    for key, item in value.items():
      yield from misfits(shape.key, key, "%s key %s" % (path, key))
      yield from misfits(shape.value, item, "%s.%s" % (path, key))
  else:
    yield from misfits_of_scalar(shape, value, path)


def misfits_of_structure(shape, value, path):
  if not isinstance(value, dict):
    yield "%s is no structure: %r" % (path, value)
    return
  for name in shape.required_members:
    if value.get(name) is None:
      yield "%s.%s is missing" % (path, name)
  for name, item in value.items():
    if name.startswith("$") or item is None:
      continue
    if name not in shape.members:
      yield "%s.%s is not in the model" % (path, name)
    else:
      yield from misfits(shape.members[name], item, "%s.%s" % (path, name))


def misfits_of_scalar(shape, value, path):
  if shape.type_name not in TYPES or not isinstance(value, TYPES[shape.type_name]):
    yield "%s is no %s: %r" % (path, shape.type_name, value)
    return
  if shape.type_name in ("string", "blob"):
    yield from misfits_of_size(shape, len(value), path)
  elif shape.type_name in ("integer", "long"):
    yield from misfits_of_size(shape, value, path)
  pattern = shape.metadata.get("pattern")
  if pattern and isinstance(value, str) and not fits(pattern, value):
    yield "%s is not as %s: %r" % (path, pattern, value)
  if shape.metadata.get("enum") and value not in shape.metadata["enum"]:
    yield "%s is none of %s: %r" % (path, shape.metadata["enum"], value)


def fits(pattern, value):
  try:
    return re.search("^(?:%s)$" % pattern, value) is not None
  except re.error:  # written for Java
    return True


def misfits_of_size(shape, size, path):
  least, most = shape.metadata.get("min"), shape.metadata.get("max")
  if least is not None and size < least or most is not None and size > most:
    yield "%s has the size %s, not %s to %s" % (path, size, least, most)


def main():
  seen = set()
  for line in sys.stdin:
    call = json.loads(line, object_hook=revive)
    operation = model_of(call["service"]).operation_model(call["operation"])
    for part, shape in (("input", operation.input_shape), ("output", operation.output_shape)):
      if shape and call.get(part) is not None:
        seen.update(misfits(shape, call[part], "%s %s" % (call["operation"], part)))
  print("\n".join(sorted(seen)))


main()
