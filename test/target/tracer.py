"""Runs the target program and numbers each step that could be its last: each change of the file system, each
write, each process started, in it and in what it forks. Nobody has written these steps down: they are what
Python itself says of them (https://docs.python.org/3/library/audit_events.html), and of its calls in C.

TRACE_KILL: the number of the step before which it is killed. TRACE_WHOLE: with its group, as the agent does at a
time-out; otherwise alone, and what it has started lives on. TRACE_STEPS: a file for the names of all steps.
TRACE_FULL: the number of the step from which on the disk takes nothing more; TRACE_READ_ONLY: it never did.
TRACE_DURABLE: two folders, of which the second always is what the first was when all was last synced.
"""

import contextlib
import errno
import mmap
import os
import shutil
import signal
import stat
import struct
import sys

CHANGES = ("os.", "subprocess.", "fcntl.flock")
HARMLESS = {
  "os.listdir",
  "os.scandir",
  "os.putenv",
  "os.unsetenv",
  "os.walk",
  "os.fwalk",
  "os.kill",
  "os.killpg",
}
PROCESSES = {"os.fork", "os.exec", "os.posix_spawn", "os.forkpty"}
UNAUDITED = {"write", "writelines", "close", "flush", "fsync", "sync", "ftruncate", "truncate"}
GROWING = {"os.mkdir", "os.link", "os.symlink"}
NAMES = ("TRACE_KILL", "TRACE_WHOLE", "TRACE_STEPS", "TRACE_FULL", "TRACE_READ_ONLY", "TRACE_DURABLE")
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT

settings = {name: os.environ.pop(name, "") for name in NAMES}
last_step = int(settings["TRACE_KILL"] or 0)
full_from = int(settings["TRACE_FULL"] or sys.maxsize)
steps = settings["TRACE_STEPS"] and os.open(
  settings["TRACE_STEPS"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666
)
counter = mmap.mmap(-1, 8)  # shared with what is forked
command, group = os.getpid(), os.getpgid(0)


def count(name, grows=False):
  if sys.getprofile() is None:  # our own copying
    return
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
  if grows and number >= full_from:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def audit(event, arguments):
  if event == "open":
    if arguments[2] & WRITING and not str(arguments[0]).startswith("/dev/"):
      refuse_change()
      count(
        "open %s" % (arguments[0],), not isinstance(arguments[0], int) and not os.path.exists(arguments[0])
      )
  elif event.startswith(CHANGES) and event not in HARMLESS:
    if event.startswith("os.") and event not in PROCESSES:
      refuse_change()
    count("%s %s" % (event, arguments[:1]), event in GROWING)


def refuse_change():
  if settings["TRACE_READ_ONLY"]:
    raise OSError(errno.EROFS, os.strerror(errno.EROFS))


def profile(frame, event, function):
  if function is os.sync and event == "c_return" and settings["TRACE_DURABLE"]:
    sys.setprofile(None)
    folder, copy = settings["TRACE_DURABLE"].split(":")
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(folder, copy, symlinks=True)
    sys.setprofile(profile)
  if event == "c_call" and function.__name__ in UNAUDITED and frame.f_code.co_filename != __file__:
    count(function.__name__, function.__name__ == "write" and is_file(function.__self__))


def is_file(written):
  try:
    return stat.S_ISREG(os.fstat(written.fileno()).st_mode)
  except (AttributeError, OSError, ValueError):
    return False


with open("/dev/fd/3", encoding="utf-8") as file:
  program = compile(file.read(), "/dev/fd/3", "exec")
sys.addaudithook(audit)
sys.setprofile(profile)
exec(program, sys.modules["__main__"].__dict__)
