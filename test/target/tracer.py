"""Runs the target program and numbers each step that could be its last: each change of the file system, each
write, each process started, in it and in what it forks. Nobody has written these steps down: they are what
Python itself says of them (https://docs.python.org/3/library/audit_events.html), and of its calls in C.

TRACE_KILL: the number of the step before which it is killed. TRACE_WHOLE: with its group, as the agent does at a
time-out; otherwise alone, and what it has started lives on. TRACE_STEPS: a file for the names of all steps.
"""
import contextlib
import mmap
import os
import signal
import struct
import sys

CHANGES = ("os.", "subprocess.", "fcntl.flock")
HARMLESS = {"os.listdir", "os.scandir", "os.putenv", "os.unsetenv", "os.walk", "os.fwalk", "os.kill", "os.killpg"}
UNAUDITED = {"write", "writelines", "close", "flush", "fsync", "sync", "ftruncate", "truncate"}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT

settings = {name: os.environ.pop(name, "") for name in ("TRACE_KILL", "TRACE_WHOLE", "TRACE_STEPS")}
last_step = int(settings["TRACE_KILL"] or 0)
steps = settings["TRACE_STEPS"] and os.open(settings["TRACE_STEPS"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
counter = mmap.mmap(-1, 8)  # shared with what is forked
command, group = os.getpid(), os.getpgid(0)


def count(name):
  number = struct.unpack("<Q", counter[:])[0] + 1
  counter[:] = struct.pack("<Q", number)
  if steps:
    with contextlib.suppress(OSError):  # a migration closes all that it has not opened itself
      os.write(steps, ("%d %s\n" % (number, name)).encode())
  if number == last_step:
    if settings["TRACE_WHOLE"]:
      os.killpg(group, signal.SIGKILL)
    else:
      os.kill(command, signal.SIGKILL)


def audit(event, arguments):
  if event == "open":
    if arguments[2] & WRITING and not str(arguments[0]).startswith("/dev/"):
      count("open %s" % (arguments[0],))
  elif event.startswith(CHANGES) and event not in HARMLESS:
    count("%s %s" % (event, arguments[:1]))


def profile(frame, event, function):
  if event == "c_call" and function.__name__ in UNAUDITED and frame.f_code.co_filename != __file__:
    count(function.__name__)


with open("/dev/fd/3", encoding="utf-8") as file:
  program = compile(file.read(), "/dev/fd/3", "exec")
sys.addaudithook(audit)
sys.setprofile(profile)
exec(program, sys.modules["__main__"].__dict__)
