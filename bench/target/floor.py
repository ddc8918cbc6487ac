"""Only hashes and unpacks wheels, in as many processes as there are CPUs: what no installer can be faster than.

python floor.py FOLDER WHEEL...
"""

import hashlib
import json
import multiprocessing
import os
import sys
import time
import zipfile


def unpack(wheel):
  with open(wheel, "rb") as file:
    digest = hashlib.sha256()
    for chunk in iter(lambda: file.read(1 << 20), b""):
      digest.update(chunk)
  with zipfile.ZipFile(wheel) as archive:
    archive.extractall(os.path.join(sys.argv[1], digest.hexdigest()))


if __name__ == "__main__":
  began = time.perf_counter()
  with multiprocessing.Pool(max(2, os.cpu_count())) as pool:
    pool.map(unpack, sorted(sys.argv[2:], key=lambda wheel: -os.path.getsize(wheel)), 1)
  print(json.dumps({"seconds": time.perf_counter() - began}))
