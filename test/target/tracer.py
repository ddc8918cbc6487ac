"""Runs the target program and names each step that could be its last: each change of the file system, each
process started, in it and in what it forks. Nobody has written these steps down: they are what Python itself
says of them (https://docs.python.org/3/library/audit_events.html), and of its calls in C. A step has a name and,
as workers race each other, is found again by that name and by how many of it were before.

TRACE_STEPS: a file for the names of all steps. TRACE_AT: "<count> <name>" of the step before which happens what
TRACE_THEN says: "kill" kills the command alone, and what it has started lives on; "kill-group" its group, as the
agent does at a time-out; "cut" whoever takes the step, too; from "full" on the disk takes nothing more.
TRACE_READ_ONLY: it never did. TRACE_DURABLE: a file for what a power cut would leave, as power_loss.py has it. As
that is a model, nothing is really synced: it would wait for the disks of the whole machine.
"""

import contextlib
import errno
import io
import mmap
import os
import signal
import sys

sys.path.insert(0, os.path.dirname(__file__))
sys.dont_write_bytecode = True
import power_loss  # noqa: E402

sys.dont_write_bytecode = False
del sys.path[0]

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
UNAUDITED = {"write", "writelines", "close", "flush", "truncate", "__exit__"}
UNAUDITED_OF_OS = {"write", "ftruncate", "waitpid"}
TO_SECOND = {"os.link", "os.symlink"}
GROWING = {"os.mkdir", "os.link", "os.symlink"}
NAMES = ("TRACE_STEPS", "TRACE_AT", "TRACE_THEN", "TRACE_READ_ONLY", "TRACE_DURABLE")
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT

settings = {name: os.environ.pop(name, "") for name in NAMES}
wanted_count, _, wanted = settings["TRACE_AT"].partition(" ")
seen = mmap.mmap(-1, 1)  # of those wanted; shared with what is forked
command, group = os.getpid(), os.getpgid(0)
root = os.environ["PYBUNDLE_ROOT"] + "/opt/pybundle/guestbook/"


def step(name, grows=False):
  name = name.strip()
  if settings["TRACE_STEPS"]:
    append(settings["TRACE_STEPS"], name + "\n")
  if name == wanted and seen[0] < int(wanted_count):
    seen[0] += 1
    if seen[0] == int(wanted_count):
      strike()
  is_full = settings["TRACE_THEN"] == "full" and seen[0] == int(wanted_count)
  if is_full and grows:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def strike():
  if settings["TRACE_THEN"] == "kill":
    os.kill(command, signal.SIGKILL)
  elif settings["TRACE_THEN"] in ("kill-group", "cut"):
    os.killpg(group, signal.SIGKILL)
  if settings["TRACE_THEN"] == "cut":
    os.kill(os.getpid(), signal.SIGKILL)  # if it has left the group


def append(path, text):
  """Unseen by what traces, and with no descriptor that the program could close."""
  with unseen():
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    os.write(descriptor, text.encode())
    os.close(descriptor)


is_unseen = False


@contextlib.contextmanager
def unseen():
  global is_unseen
  is_unseen = True
  try:
    yield
  finally:
    is_unseen = False


def audit(event, arguments):
  if is_unseen or event == "sys.setprofile":
    return
  if sys.getprofile() is None:
    sys.setprofile(profile)  # Python takes it off when it raises, as a full disk does
  if event == "open":
    path, _, flags = arguments
    if flags & WRITING and not isinstance(path, int) and not str(path).startswith("/dev/"):
      refuse_change()
      step("open " + short(path), not os.path.exists(path))
  elif event.startswith(CHANGES) and event not in HARMLESS:
    if event.startswith("os.") and event not in PROCESSES:
      refuse_change()
    named = arguments[event in TO_SECOND] if arguments else ""
    step("%s %s" % (event, "" if isinstance(named, int) else short(named)), event in GROWING)


def short(path):
  return os.fsdecode(path).replace(root, "")


def refuse_change():
  if settings["TRACE_READ_ONLY"]:
    raise OSError(errno.EROFS, os.strerror(errno.EROFS))


def profile(frame, event, function):
  if event != "c_call" or is_unseen or frame.f_code.co_filename == __file__:
    return
  if function.__self__ is sys.modules["posix"]:
    if function.__name__ in UNAUDITED_OF_OS:
      step("os." + function.__name__)
  elif function.__name__ in UNAUDITED and isinstance(function.__self__, io.IOBase):
    path = path_of_written(function.__self__)
    if path:
      step("%s %s" % (function.__name__, path), function.__name__ == "write")


def path_of_written(file):
  """None of what is in memory, of a pipe or a socket, read only, or closed already."""
  with contextlib.suppress(OSError, ValueError, AttributeError):
    path = os.readlink("/proc/self/fd/%d" % file.fileno())
    return short(path) if file.writable() and path.startswith(root) else None


def synced(call):
  def record(*descriptor):
    step(call + " " + "".join(short(os.readlink("/proc/self/fd/%d" % one)) for one in descriptor))
    if settings["TRACE_DURABLE"]:
      with unseen():
        power_loss.note_synced(settings["TRACE_DURABLE"], root, *descriptor)

  return record


with open("/dev/fd/3", encoding="utf-8") as file:
  program = compile(file.read(), "/dev/fd/3", "exec")
os.sync, os.fsync = synced("os.sync"), synced("os.fsync")
if any(settings.values()):
  if settings["TRACE_DURABLE"]:
    power_loss.note_synced(settings["TRACE_DURABLE"], root)
  sys.addaudithook(audit)
  sys.setprofile(profile)
exec(program, sys.modules["__main__"].__dict__)
