"""Makes one virtualenv of a bundle as the target program does, and says how long that took.

python install.py FOLDER_OF_THE_PROGRAM RELEASE_RECORD bytecode|plain|again
"""

import importlib
import json
import os
import sys
import time

sys.path.insert(0, sys.argv[1])
program = importlib.import_module("pybundle_target")
prepare = importlib.import_module("pybundle_prepare")

target = program.Target(json.loads(os.environ["PYBUNDLE_CONFIG"]), program.Report())
command = program.read_command({"SSM_action": "prune"})
record = json.loads(sys.argv[2])
with target.locked(command):
  began = time.perf_counter()
  if sys.argv[3] == "again":
    venv = prepare.find_venv(target, record["digest"])
  else:
    venv = prepare.build_venv(target, prepare.Bundle(target, record), bytecode=sys.argv[3] == "bytecode")
  seconds = time.perf_counter() - began
usage = os.times()
cpu = usage.user + usage.system + usage.children_user + usage.children_system
print(
  json.dumps(
    {"seconds": seconds, "cpu": cpu, "venv": str(target.venvs / venv), "phases": target.report.phases}
  )
)
