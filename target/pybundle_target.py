"""What a deploy does on a target. Standard library only, Python 3.8 or later.

It reads one command from the environment, prints its verdict as one JSON line on standard output, and its
progress on standard error and in <base>/<app>/log/deploy.log. Every action may be killed anywhere and run
again. Root never runs what was uploaded: that is for the app's user. In <base>/<app>/:

  releases/<id>/    the code; .pybundle-release.json is written last, without it nothing is prepared
  venvs/<id>/       a virtualenv at its final path; .ready is written last, without it it is made anew
  wheels/<sha256>/  a wheel, unpacked and compiled once; virtualenvs are made of hard links to it
  shared/           what outlives releases, the app's user's own
  current           -> releases/<id>, switched by one rename
  log/  state/  tmp/

Whether a release was signed for is in pybundle_verify.py, how it is prepared in pybundle_prepare.py, how its
migration runs in pybundle_migrate.py: contents of other documents, whose sha256 this one names. SSM takes none
that holds them all.
"""
import contextlib
import datetime
import email.utils
import errno
import fcntl
import hashlib
import hmac
import http.client
import json
import os
import pathlib
import pwd
import random
import re
import shutil
import signal
import stat
import subprocess
import sys
import time
import traceback
import types
import urllib.error
import urllib.parse
import urllib.request

LOCK_SECONDS = 120  # how long to wait for another command on this target
RESTART_SECONDS = 90
ANSWER_SECONDS = 5
# While one of these runs, the target serves what it has not proven, or the way back waits. Others have the command's.
HOOK_SECONDS = {"before_activate": 60, "after_activate": 60, "before_rollback": 30, "after_rollback": 30}
FETCH_ATTEMPTS = 6
MAX_VERDICT_BYTES = 2000
MAX_REPORT_BYTES = 8 << 20
MAX_JSON_BYTES = 4 << 20
# The agent cuts both streams together to 2,500: what is told on standard error must leave the verdict whole.
MAX_PROGRESS_BYTES = 350


class Failed(Exception):
  outcome = "failed"

  def __init__(self, reason, log=""):
    super().__init__(reason)
    self.reason, self.log = reason, log


class Refused(Failed):
  """Nothing was touched."""

  outcome = "refused"


class Reverted(Failed):
  """Activation failed; the previous release is back and healthy."""

  outcome = "reverted"


# --- The actions ---------------------------------------------------------------------------------------


def prepare(target, command):
  with target.locked(command):
    return prepare_release(target, command, command.rollout)


def prepare_release(target, asked, request):
  load_program(target, "verify").verify(target, asked, request)
  marker = target.marker(asked.release)
  if marker:
    if (marker["bundle"], marker["code"]) != (asked.bundle, asked.code):
      raise Refused("release %s is here already, made of something else" % asked.release)
    return done("was prepared already")
  return load_program(target, "prepare").prepare_release(target, asked)


def migrate(target, command):
  """Starts the migration once for its rollout and says how it stands; the next call asks again."""
  with target.locked(command):
    target.ask_whether_current(command)
    program = load_program(target, "migrate")
    said = program.begin(target, command)
  with target.report.phase("migrate"):
    return said or program.wait_for_migration(target, command.rollout)


def activate(target, command):
  with target.locked(command):
    lock = target.ask_whether_current(command)
    left = target.current() if lock.get("isRollback") else None
    return activate_release(target, command.release, left)


def check(target, command):
  """Whether the release that was activated here still proves healthy."""
  with target.locked(command):
    if not target.serves(command.release):
      raise Failed("serves %s by now" % (target.current() or "nothing"))
    with target.report.phase("health"):
      prove_health(target, target.prepared(command.release))
    return done("is still healthy")


def revert(target, command):
  """Puts the previous release back in the place of the named one."""
  with target.locked(command):
    if target.memory["release"] == command.release:
      back = target.previous(command.release)
      load_program(target, "verify").refuse_revert(target, command.release, back)
      return done("serves %s again" % (put_previous_back(target, command.release) or "nothing"))
    if not target.memory["proven"]:  # an earlier revert was killed
      serve(target, target.memory["release"], target.memory["left"])
    return done("does not serve it")


def catch_up(target, command):
  with target.locked(command):
    return load_program(target, "prepare").catch_up(target, command.rollout)


def status(target, command):
  current = target.current()
  if (target.state / "migrations" / (command.rollout + ".json")).is_file():
    load_program(target, "migrate").stand(target, command.rollout)
  return dict(
    done(""),
    previous=target.previous(current),
    prepared=[path.name for path in entries(target.releases) if target.marker(path.name)][:40],
    token=target.memory["token"],
    venvs=len(target.ready_venvs()),
    free_mb=free_bytes(target) >> 20,
  )


def prune(target, command):
  with target.locked(command):
    return load_program(target, "prepare").prune(target)


ACTIONS = {
  action.__name__.replace("_", "-"): action
  for action in (prepare, migrate, activate, check, revert, catch_up, status, prune)
}


def done(reason):
  return {"outcome": "done", "reason": reason}


# --- The other parts of this program -------------------------------------------------------------------


def load_program(target, name):
  """It imports this part under its name; runs only if it is what this document says, wherever it came from."""
  source = target.config["programs"][name]
  kept = target.state / ("%s-%s.py" % (name, source["sha256"]))
  text = kept.read_bytes() if kept.is_file() else b""
  if sha256_of(text) != source["sha256"]:
    text = fetch_document(target, source)
    for old in target.state.glob(name + "-*.py"):
      old.unlink()
    kept.write_bytes(text)
  sys.modules.setdefault("pybundle_target", sys.modules[__name__])
  program = types.ModuleType("pybundle_" + name)
  exec(compile(text, str(kept), "exec"), program.__dict__)
  return program


def fetch_document(target, source):
  """The newest that is the one: a stack updated in mid-rollout has newer ones."""
  name, version = source["document"], "$LATEST"
  target.report.say("fetching document %s" % name)
  while version != "0":
    document = target.aws.ask_ssm("GetDocument", Name=name, DocumentVersion=version)
    lines = json.loads(document["Content"])["mainSteps"][0]["inputs"]["runCommand"]
    text = "".join(line + "\n" for line in lines[1:-1]).encode()  # they stand between `cat <<X` and `X`
    if sha256_of(text) == source["sha256"]:
      return text
    version = str(int(document["DocumentVersion"]) - 1)
  raise Failed('document "%s" is not what this one names: its sha256 differs' % name)


# --- Activate: one rename, restart, proof; or back -----------------------------------------------------


def activate_release(target, id, left=None):
  """`left`: what the fleet goes back from, whose hooks then run in the place of the release's own."""
  if target.serves(id):
    return done("was active already")
  load_program(target, "verify").refuse_replay(target, id)
  release = target.prepared(id)
  health_url(target, release)  # what it lacks is told before anything is switched
  if target.memory["release"] == id:  # an earlier command was killed on this way
    left = target.memory["left"]
  try:
    if left is None:
      call_hook(target, release, "before_activate")
    serve(target, id, left)
    return done("active")
  except Failed as failure:
    if target.memory["release"] != id:  # nothing was switched
      raise
    target.report.say("%s\n%s" % (failure.reason, failure.log))
    if put_previous_back(target, id, failure) is None:
      raise Failed("%s; there is no release to go back to" % failure.reason, failure.log)
    raise Reverted(failure.reason, failure.log)


def serve(target, id, left=None):
  release = target.prepared(id)
  if left is not None:
    call_rollback_hook(target, left, "before_rollback", id)
  target.report.say("switching to %s" % id)
  target.remember(release=id, proven=False, left=left)
  logs, began = {}, time.time()
  try:
    logs = log_sizes(target)
    point_current(target, id)
    with target.report.phase("restart"):
      restart(target)
    with target.report.phase("health"):
      prove_health(target, release)
  except Exception as error:
    if not isinstance(error, Failed):
      target.report.say(traceback.format_exc())
    said = [getattr(error, "log", "")]
    with contextlib.suppress(OSError):
      said.append(app_log_since(target, logs, began))
    raise Failed(str(error), "\n".join(filter(None, said)))
  if left is None:
    call_hook(target, release, "after_activate")
  else:
    call_rollback_hook(target, left, "after_rollback", id)
  target.remember(proven=True, left=None, good=[id] + [good for good in target.memory["good"] if good != id])


def put_previous_back(target, id, why=None):
  """The release that is back and healthy; None when there was none and nothing is served."""
  previous = target.previous(id)
  target.remember(good=[good for good in target.memory["good"] if good != id])
  if previous is None:
    call_rollback_hook(target, id, "before_rollback", "")
    remove(target.current_link)
    with contextlib.suppress(Failed):
      restart(target)
    call_rollback_hook(target, id, "after_rollback", "")
    target.remember(release=None, proven=True)
    return None
  try:
    load_program(target, "verify").refuse_way_back(target, previous)
    serve(target, previous, left=id)
  except Failed as failure:
    reason = "going back to %s failed: %s" % (previous, failure.reason)
    raise Failed("%s; %s" % (why.reason, reason) if why else reason, why.log if why else failure.log)
  return previous


def point_current(target, id):
  link = target.home / "current.new"
  remove(link)
  os.symlink("releases/" + id, link)
  link.replace(target.current_link)
  sync_folder(target.home)


def restart(target):
  """Output goes to a file, never to our pipes: a daemon that kept one would hold the command open."""
  units, command = units_here(target), target.config.get("restart_command")
  if not units and not command:
    return
  if units:
    ask_systemd("reset-failed", *units)  # a release that crashed in a loop has used up systemd's starts
    arguments = ["systemctl", "--no-ask-password", "restart", *units]
  else:
    arguments = ["/bin/sh", "-c", command]
  environment = {key: value for key, value in os.environ.items() if not key.startswith("SSM_")}
  with target.open_log("restart") as log:
    streams = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log}
    end_last_restart(target)
    streams["preexec_fn"] = lambda: note_restart(target)
    process = subprocess.Popen(arguments, cwd="/", env=environment, start_new_session=True, **streams)
    try:
      code = process.wait(RESTART_SECONDS)
    except subprocess.TimeoutExpired:
      os.killpg(process.pid, signal.SIGKILL)
      process.wait()
      if units:  # systemd goes on without the systemctl that asked; the way back would wait for the same
        ask_systemd("stop", "--no-block", *units)
        ask_systemd("kill", "--signal=SIGKILL", *units)
      raise Failed("the restart did not end within %d s" % RESTART_SECONDS, log.tail())
    if code != 0:
      raise Failed("the restart failed with exit code %d" % code, log.tail())


def note_restart(target):
  """Between fork and exec: whenever the command is killed, the next one knows."""
  with contextlib.suppress(OSError):
    write_json(target.state / "restart.json", [os.getpid(), stat_of("self", BEGAN)])


def end_last_restart(target):
  """That of a command which was killed: it would run on beside the next."""
  leader, began = read_json(target.state / "restart.json") or (0, None)
  if began and stat_of(str(leader), BEGAN) == began:
    with contextlib.suppress(ProcessLookupError):
      os.killpg(leader, signal.SIGKILL)


def units_here(target):
  """As systemd notes it: "-" before a name passes over a unit that this target does not have."""
  units = target.config.get("units") or []
  named = [(unit, unit[1:] if unit.startswith("-") else unit) for unit in units]
  return [
    name
    for unit, name in named
    if unit == name or ask_systemd("show", "--property=LoadState", name) != "LoadState=not-found"
  ]


def ask_systemd(*arguments):
  """What it says; nothing where it does not answer."""
  with contextlib.suppress(OSError, subprocess.SubprocessError):
    options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    return subprocess.run(["systemctl", *arguments], timeout=10, **options).stdout.decode().strip()
  return ""


def prove_health(target, release):
  """The new release answers 200, so many times in a row, before the deadline."""
  url = health_url(target, release)
  if not url:
    return
  seconds, passes, pause = target.config["health_seconds"], 0, 0.2
  deadline = time.monotonic() + seconds
  while True:
    objection = health_objection(target, url, release["release"]) or failed_unit(target)
    passes = 0 if objection else passes + 1
    if passes >= target.config["health_passes"]:
      return
    if objection and time.monotonic() > deadline:
      raise Failed("not healthy within %s s: %s %s" % (seconds, url, objection))
    pause = min(1, pause * 1.3) if objection else 0.2
    time.sleep(pause)


def health_url(target, release):
  url, variables = target.config.get("health_url"), read_env_file(target)
  try:
    url = url and re.sub(r"\$\{(\w+)\}", lambda match: variables[match.group(1)], url)
  except KeyError as missing:
    raise Failed("health_url needs %s, which env_file does not set" % missing)
  url = url and url.rstrip("/") + "/" + release["app"]["health_path"].lstrip("/")
  if url and not is_address(url):
    raise Failed("health_url is no address: %s" % url)
  return url


def is_address(url):
  try:
    parts = urllib.parse.urlsplit(url)
    return bool(parts.hostname) and parts.port != 0
  except ValueError:
    return False


def health_objection(target, url, id):
  """What speaks against it, or None."""
  parts = urllib.parse.urlsplit(url)
  kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
  # Its own time-out is for an alarm that is lost, as one that rings in code which lets no error out.
  connection = kind(parts.hostname, parts.port, timeout=ANSWER_SECONDS + 1)
  try:
    with target.acting_as_user(), time_limit(ANSWER_SECONDS):
      connection.request("GET", parts.path + ("?" + parts.query if parts.query else ""))
      answer = connection.getresponse()
      body = answer.read(4096).decode(errors="replace").strip()
  except (OSError, http.client.HTTPException) as error:
    return "does not answer (%s)" % (error or type(error).__name__)
  finally:
    connection.close()
  if answer.status != 200:
    return "answered %d: %s" % (answer.status, body[:200])
  says = answer.getheader("X-Release")
  if says and says != id:
    return "is answered by release %s" % says
  # Old workers may answer beside new ones: whoever holds the listening socket must be of the new release.
  folder = os.path.realpath(target.releases) + "/"
  homes = [home for _, home in holders_of(listening_sockets(parts.port or connection.default_port))]
  serving = {home[len(folder) :].split("/")[0] for home in homes if home.startswith(folder)}
  if serving - {id}:
    return "is also served by release %s" % " ".join(sorted(serving - {id}))
  if not serving and not says and os.path.exists("/proc/net/tcp"):
    return "is served by no process in the release's folder"
  return None


def failed_unit(target):
  """A worker has no address to be asked at: it must not have died since the restart, as systemd counts."""
  for unit in units_here(target):
    said = ask_systemd("show", "--property=ActiveState,SubState,NRestarts", unit)
    if re.search("=failed|=auto-restart|NRestarts=[1-9]", said):
      return "answers, but %s has failed" % unit
  return None


@contextlib.contextmanager
def time_limit(seconds):
  """For all of it: a time-out of sockets begins anew with each byte that an app may trickle."""

  def give_up(*_):
    raise TimeoutError("not within %d s" % seconds)

  signal.signal(signal.SIGALRM, give_up)
  signal.alarm(seconds)
  try:
    yield
  finally:
    signal.alarm(0)


def listening_sockets(port):
  """On any address: whose process works elsewhere than below our releases does not count."""
  found = set()
  for table in ("/proc/net/tcp", "/proc/net/tcp6"):
    with contextlib.suppress(FileNotFoundError), open(table) as lines:
      for fields in [line.split() for line in lines][1:]:
        if fields[3] == "0A" and int(fields[1].split(":")[1], 16) == port:
          found.add("socket:[%s]" % fields[9])
  return found


def app_log_since(target, sizes, began):
  """The app's own last words: what its logs gained since the restart."""
  units = ["--unit=" + unit.lstrip("-") for unit in target.config.get("units") or []]
  if units:
    journal = ["journalctl", "--no-pager", "--output=cat", "--lines=20000", "--since=@%d" % began, *units]
    with contextlib.suppress(OSError, subprocess.SubprocessError), target.open_log("journal") as log:
      subprocess.run(journal, stdin=subprocess.DEVNULL, stdout=log, stderr=log, timeout=10)
  grown = {path: sizes.get(path, 0) for path in log_sizes(target)}
  grown = {path: begin for path, begin in grown.items() if path.lstat().st_size > begin}
  target.report.logs.update(grown)
  return "\n".join(last_lines(path, begin) for path, begin in grown.items())


def log_sizes(target):
  ours = ("deploy.log", "hooks.log", "install.log", "prepare.log", "restart.log")
  return {path: path.lstat().st_size for path in entries(target.log) if path.name not in ours}


# --- What else runs here -------------------------------------------------------------------------------


def processes():
  return [path for path in entries(pathlib.Path("/proc")) if path.name.isdigit()]


PARENT, BEGAN = 1, 19


def stat_of(process, field):
  """What follows its name in /proc/<id>/stat."""
  with contextlib.suppress(OSError):
    return int(pathlib.Path("/proc", process, "stat").read_bytes().rpartition(b")")[2].split()[field])
  return None


def holders_of(names):
  """Process id and working folder of who holds one of these open, as /proc names them."""
  for process in processes():
    with contextlib.suppress(OSError):
      if any(os.readlink(descriptor.path) in names for descriptor in os.scandir(process / "fd")):
        yield int(process.name), os.readlink(process / "cwd")


# --- The target: its folders, its lock, its memory, its user -------------------------------------------


# The last that is written of a release and of a virtualenv; without it nothing is prepared.
MARKER, READY = MARKERS = (".pybundle-release.json", ".ready")


class Target:
  # `release` is what was last switched to; `good` has proved healthy, the newest first.
  # `left`: the release that is being gone back from, until the other has proved healthy.
  # `accepted`: the highest serial that was signed, and what it replaces; `serials`: of releases.
  MEMORY = dict(environment=None, token=0, release=None, proven=True, left=None, good=[], accepted=[], serials={})

  def __init__(self, config, report):
    self.config, self.report = config, report
    self.environment, self.app, self.rollout = config["environment"], config["app"], ""
    self.name = os.environ.get("AWS_SSM_INSTANCE_ID") or os.uname().nodename
    # Where targets share a machine as plain directories, the operator's absolute paths lie below this.
    self.root = os.environ.get("PYBUNDLE_ROOT", "")
    self.home = pathlib.Path(self.root + config["base"], self.app)
    for name in ("releases", "venvs", "wheels", "shared", "log", "state", "tmp"):
      setattr(self, name, self.home / name)
    self.current_link = self.home / "current"
    self.memory_path = self.state / "target.json"
    self.aws = Aws(config["region"], report)
    self.bucket = Bucket(config["bucket"], self.aws)
    self.user = find_user(config["user"]) if os.geteuid() == 0 else None
    self.memory = self.recall()

  @contextlib.contextmanager
  def locked(self, command):
    """One command at a time. The lock dies with this process: nothing that it starts inherits it."""
    self.lay_out()
    self.report.open_log(self.log_path("deploy"))
    path = self.state / "lock"
    self.lock = wait_for(LOCK_SECONDS, lambda: try_lock(path))
    if self.lock is None:
      raise Refused("another command is at work on this target: %s" % last_lines(path))
    os.ftruncate(self.lock, 0)
    os.write(self.lock, ("%s %s, process %d" % (command.action, command.release, os.getpid())).encode())
    self.memory, self.work_lock, self.rollout = self.recall(), None, command.rollout
    try:
      self.end_orphans()
      self.heed(command)
      self.make_shared()
      self.empty_tmp()
      yield
      self.empty_tmp()
    finally:
      if self.work_lock is not None:
        os.close(self.work_lock)  # first, as the next command ends whoever still holds it
      os.close(self.lock)

  def empty_tmp(self):
    for path in entries(self.tmp):
      remove(path)

  def lay_out(self):
    """Each once nobody else can swap what is above it: root makes nothing behind a link of another's."""
    ours = (self.home, self.releases, self.venvs, self.wheels, self.log, self.tmp, self.state)
    for folder in (*reversed(self.home.parents), *ours):
      if len(str(folder)) > len(self.root):
        folder.mkdir(0o700 if folder == self.state else 0o755, exist_ok=True)
        if self.user:
          refuse_others(folder, folder in ours)

  def make_shared(self):
    if not os.path.lexists(self.shared):
      new = self.home / "shared.new"
      remove(new)
      new.mkdir()
      if self.user:
        os.lchown(new, self.user.pw_uid, self.user.pw_gid)
      new.rename(self.shared)

  def end_orphans(self):
    """What a killed command had started may still be writing. It holds this lock, which it inherited."""
    path = self.state / "work.lock"

    def lock_or_kill():
      lock = try_lock(path)
      for process, _ in holders_of({os.path.realpath(path)}) if lock is None else ():
        if process != os.getpid():
          with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
      return lock

    self.work_lock = wait_for(LOCK_SECONDS, lock_or_kill)
    if self.work_lock is None:
      raise Refused("something that an earlier command started is still at work on this target")

  def heed(self, command):
    """A target that was stopped runs old commands when it starts: the token tells which are over."""
    known = self.memory["environment"]
    if known not in (None, self.environment):
      raise Refused('this target is of the environment "%s"' % known)
    if not known:
      self.read_state()  # a role may read its own only
    token = self.memory["token"]
    if command.action != "catch-up" and command.token < token:
      raise Refused("token %d is older than %d: its rollout is over" % (command.token, token))
    self.remember(environment=self.environment, token=max(command.token, token))

  def ask_whether_current(self, command):
    lock = self.read_state().get("lock")
    if not lock or lock["token"] != command.token:
      raise Refused("the rollout with token %d is over" % command.token)
    return lock

  def read_state(self):
    return self.bucket.read_json("%s/%s/state.json" % (self.environment, self.app)) or {}

  def recall(self):
    exists = os.path.lexists(self.memory_path)
    memory = read_json(self.memory_path)
    if exists and memory is None:
      said = "%s has a second name, or another owner: remove the backup of hard links, if there is one"
      raise Refused(said % self.memory_path)
    return dict(self.MEMORY, **(memory or {}))

  def remember(self, **facts):
    if dict(self.memory, **facts) != self.memory:
      self.memory.update(facts)
      write_json(self.memory_path, self.memory)

  def current(self):
    return os.path.basename(os.readlink(self.current_link)) if self.current_link.is_symlink() else None

  def serves(self, id):
    return self.current() == id == self.memory["release"] and self.memory["proven"]

  def previous(self, id):
    return next((good for good in self.memory["good"] if good != id and self.marker(good)), None)

  def marker(self, id):
    return read_json(self.releases / id / MARKER)

  def prepared(self, id):
    marker = self.marker(id)
    if marker is None:
      raise Failed("release %s is not prepared on this target" % id)
    return marker

  def ready_venvs(self):
    markers = {venv.name: read_json(venv / READY) for venv in entries(self.venvs)}
    return {id: marker for id, marker in markers.items() if marker is not None}

  def discard(self, path):
    """Moved away first, for good: a folder that is being removed is never seen half, nor after a power cut."""
    if os.path.lexists(path):
      grave = self.tmp / ("gone-" + path.name)
      path.rename(grave)
      sync_folder(path.parent)
      remove(grave)

  def become_user(self):
    """Between fork and exec."""
    if self.user:
      os.initgroups(self.user.pw_name, self.user.pw_gid)
      os.setgid(self.user.pw_gid)
      os.setuid(self.user.pw_uid)

  @contextlib.contextmanager
  def acting_as_user(self):
    """For our own code where the app's user could have laid a trap, as with links under shared/."""
    if not self.user:
      yield
      return
    groups = os.getgroups()
    os.setgroups([self.user.pw_gid])
    os.setegid(self.user.pw_gid)
    os.seteuid(self.user.pw_uid)
    try:
      yield
    finally:
      os.seteuid(0)
      os.setegid(0)
      os.setgroups(groups)

  def run_as_user(self, command, cwd, environment, log, inherits=None, seconds=None):
    """In our process group, which the agent kills as one; its output never holds our pipes."""
    streams = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log}
    lock = self.work_lock if inherits is None else inherits
    settings = {"cwd": cwd, "env": environment, "pass_fds": (lock,), "preexec_fn": self.become_user}
    adopt_orphans()
    process = None
    try:
      process = subprocess.Popen(command, **streams, **settings)
      return process.wait(seconds)
    finally:
      if process:
        process.kill()
      end_children()

  def log_path(self, name):
    return self.log / (name + ".log")

  def open_log(self, name):
    return self.report.heed(Log(self.log_path(name)))


def refuse_others(folder, is_ours=False):
  """Folders on the way may be sticky, or links of root's to where the same holds."""
  link, status = folder.lstat(), folder.stat()
  others = status.st_mode & 0o022 and (is_ours or not status.st_mode & stat.S_ISVTX)
  if link.st_uid != 0 or status.st_uid != 0 or others:
    raise Refused("%s must be root's, and nobody else may write there" % folder)
  if stat.S_ISLNK(link.st_mode):
    real = folder.parent / os.readlink(folder)
    for above in reversed(real.parents):
      refuse_others(above)
    refuse_others(real, is_ours)


class Log:
  """Remembers where this command's part of it begins."""

  def __init__(self, path):
    self.path = path
    self.descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o644)
    self.begin = os.fstat(self.descriptor).st_size

  def __enter__(self):
    return self

  def __exit__(self, *_):
    os.close(self.descriptor)

  def fileno(self):
    return self.descriptor

  def tail(self):
    return last_lines(self.path, self.begin)


def find_user(name):
  try:
    user = pwd.getpwnam(name)
  except KeyError:
    raise Failed('the user "%s" does not exist on this target: create it' % name)
  if user.pw_uid == 0:
    raise Failed("the app's user must not be root")
  return user


PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans(wanted=1):
  """From now on a process whose parent ends becomes a child of this one, on Linux; with 0 no longer."""
  with contextlib.suppress(ImportError, OSError, AttributeError):
    import ctypes  # takes long, and not every command needs it

    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, wanted, 0, 0, 0)


def end_children():
  """What a hook left in the background would go on writing into what is no longer its user's.

  Then orphans are adopted no more: what a restart leaves in the background is the app.
  """
  deadline = time.monotonic() + 10
  while True:
    with contextlib.suppress(ChildProcessError):
      while os.waitpid(-1, os.WNOHANG)[0]:
        pass
    children = [process for process in processes() if stat_of(process.name, PARENT) == os.getpid()]
    if not children:
      return adopt_orphans(0)
    if time.monotonic() > deadline:
      adopt_orphans(0)
      raise Failed("what a hook left running could not be ended")
    for child in children:
      with contextlib.suppress(ProcessLookupError):
        os.kill(int(child.name), signal.SIGKILL)
    time.sleep(0.01)


def call_hook(target, release, name, log="hooks", previous=None):
  """Nothing where the app has no such command. Whatever goes wrong with it is Failed."""
  command, seconds = release["app"].get(name), HOOK_SECONDS.get(name)
  if not command:
    return
  target.report.say("%s: %s" % (name, command))
  try:
    with target.report.phase(name), target.open_log(log) as output:
      code = run_hook(target, release, name, output, previous=previous, seconds=seconds)
  except subprocess.TimeoutExpired:
    raise Failed("%s did not end within %d s: %s" % (name, seconds, command), output.tail())
  except (OSError, ValueError, subprocess.SubprocessError) as error:
    raise Failed("%s could not be run: %s" % (name, error))
  if code != 0:
    raise Failed("%s failed with exit code %d: %s" % (name, code, command), output.tail())


def call_rollback_hook(target, left, name, to):
  """Of the release that is left, which knows what it did. Never in the way: what fails is told in the verdict."""
  try:
    release = target.marker(left)
    if release:
      call_hook(target, release, name, previous=to)
  except Exception as error:
    target.report.say("%s\n%s" % (error, getattr(error, "log", "")))
    target.report.complaints.append(error)


def run_hook(target, release, name, log, inherits=None, previous=None, seconds=None):
  """One of the app's commands, in its release, with what the app will have: env_file and the virtualenv."""
  id = release["release"]
  home, venv = target.releases / id, target.venvs / release["venv"]
  environment = dict(plain_environment(target), **read_env_file(target))
  environment.update(VIRTUAL_ENV=str(venv), PATH="%s/bin:%s" % (venv, environment["PATH"]))
  environment.update(
    PYBUNDLE_ENVIRONMENT=target.environment,
    PYBUNDLE_APP=target.app,
    PYBUNDLE_TARGET=target.name,
    PYBUNDLE_RELEASE=id,
    PYBUNDLE_PREVIOUS=(target.previous(id) or "") if previous is None else previous,
    PYBUNDLE_ROLLOUT=target.rollout,
    PYBUNDLE_HOOK=name,
  )
  command = ["/bin/sh", "-c", release["app"][name]]
  return target.run_as_user(command, home, environment, log, inherits, seconds)


def plain_environment(target):
  """Nothing of ours leaks: no PIP_*, no PYTHON*, no credentials, no proxy."""
  path = os.environ.get("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
  environment = {"PATH": path, "LANG": "C.UTF-8", "HOME": str(target.shared)}
  if target.user:
    environment.update(USER=target.user.pw_name, LOGNAME=target.user.pw_name)
  return environment


def read_env_file(target):
  """KEY=value lines, as systemd's EnvironmentFile has them."""
  if not target.config.get("env_file"):
    return {}
  path = target.root + target.config["env_file"]
  own = path.startswith("%s/" % target.shared)
  try:
    with target.acting_as_user() if own else contextlib.suppress():
      descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    with open(descriptor, encoding="utf-8") as file:
      if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        raise ValueError("it is no plain file")
      lines = [line.strip() for line in file]
    if any("\0" in line for line in lines):
      raise ValueError("it has null characters")
  except (OSError, ValueError) as error:
    raise Failed("env_file %s cannot be read: %s" % (path, getattr(error, "strerror", 0) or error))
  pairs = [line.partition("=") for line in lines if "=" in line and line[0] not in "#;"]
  return {key.strip(): re.sub(r"^([\"'])(.*)\1$", r"\2", value.strip()) for key, _, value in pairs}


# --- AWS, with the instance's own role -----------------------------------------------------------------


class Aws:
  """Signed requests in one region, made again where that can help."""

  def __init__(self, region, report):
    self.region, self.report = region, report
    self.credentials = None
    self.clock_offset = datetime.timedelta(0)

  def endpoint(self, service):
    given = os.environ.get("AWS_ENDPOINT_URL_" + service.upper()) or os.environ.get("AWS_ENDPOINT_URL")
    domain = "amazonaws.com.cn" if self.region.startswith("cn-") else "amazonaws.com"
    return given.rstrip("/") if given else "https://%s.%s.%s" % (service, self.region, domain)

  def ask_ssm(self, operation, **parameters):
    headers = {"content-type": "application/x-amz-json-1.1", "x-amz-target": "AmazonSSM." + operation}
    body = json.dumps(parameters).encode()
    url = self.endpoint("ssm") + "/"
    answer = self.ask("ssm", "POST", url, read_small, headers, body)
    if answer is None:
      raise Failed("SSM has no %s here" % operation)
    return json.loads(answer)

  def ask(self, service, method, url, receive, headers=None, body=b""):
    """What `receive` makes of the answer; None when there is nothing."""
    what = urllib.parse.unquote(urllib.parse.urlsplit(url).path).lstrip("/") or service
    problem = ""
    for _ in attempts():
      try:
        wanted = headers() if callable(headers) else headers or {}
        with open_url(url, self.sign(service, method, url, wanted, body), method, 30, body) as answer:
          return receive(answer)
      except urllib.error.HTTPError as error:
        problem, said = read_refusal(error)
        if error.code == 404 and "NoSuchBucket" not in problem:
          return None
        if not self.can_mend(problem, error.headers["Date"]):
          raise Failed('%s refused "%s": %s%s' % (service.upper(), what, problem, said))
      except (OSError, http.client.HTTPException) as error:
        if getattr(error, "errno", None) in LOCAL_ERRORS:
          raise
        problem = str(error) or type(error).__name__
      self.report.say("%s: %s; trying again" % (what, problem))
    raise Failed('"%s" could not be fetched: %s' % (what, problem))

  def can_mend(self, problem, server_date):
    if server_date and ("RequestTimeTooSkewed" in problem or "InvalidSignature" in problem):
      self.clock_offset = email.utils.parsedate_to_datetime(server_date) - now()
      return True
    if "Expired" in problem or "InvalidToken" in problem or "UnrecognizedClient" in problem:
      self.credentials = None
      return True
    return problem.startswith(("5", "429")) or "Throttling" in problem or "RequestTimeout" in problem

  def sign(self, service, method, url, headers, body):
    self.credentials = self.credentials or read_role()
    when = now() + self.clock_offset
    return signed_headers(method, url, headers, self.credentials, self.region, when, body, service)


def read_refusal(error):
  """Its number and code; what else is known, as which key may not be used, or where the bucket is."""
  body = error.read(1 << 16).decode(errors="replace")
  code = re.search(r'<Code>([\w.]+)</Code>|"__type": ?"(?:[\w.]+#)?(\w+)"', body)
  said = re.search(r'<Message>([^<]+)|"[mM]essage": ?"([^"]+)', body)
  region = error.headers["x-amz-bucket-region"]
  more = [said and (said[1] or said[2]), region and "the bucket is in %s" % region]
  problem = "%d %s" % (error.code, (code[1] or code[2]) if code else error.reason)
  return problem, "".join(": %s" % text[:250] for text in more if text)


# Of this machine, not of the way to AWS: a full disk, a quota, a file system that became read-only.
LOCAL_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EFBIG)


class Bucket:
  def __init__(self, name, aws):
    self.name, self.aws = name, aws
    url = aws.endpoint("s3")
    named = url.startswith("https://s3.") and "." not in name
    self.url = url.replace("//", "//%s." % name, 1) if named else "%s/%s" % (url, name)

  def read_json(self, key):
    """None when there is no such object."""
    body = self.aws.ask("s3", "GET", self.url_of(key), read_small)
    return None if body is None else json.loads(body)

  def create(self, key, body):
    """Never over what is there: whoever writes reports cannot alter one."""
    headers = {"if-none-match": "*", "content-type": "text/plain; charset=utf-8"}
    self.aws.ask("s3", "PUT", self.url_of(key), lambda answer: True, headers, body)

  def url_of(self, key):
    return "%s/%s" % (self.url, urllib.parse.quote(key, safe="/-_.~"))


def read_small(answer):
  body = answer.read(MAX_JSON_BYTES)
  if answer.length:
    raise OSError("cut, or too large")
  return body


def read_role():
  """The credentials of the instance's role, from its metadata service (IMDSv2)."""
  base = (os.environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT") or "http://169.254.169.254").rstrip("/")
  problem = ""
  for _ in attempts():
    try:
      ttl = {"X-aws-ec2-metadata-token-ttl-seconds": "300"}
      token = open_url(base + "/latest/api/token", ttl, "PUT", 3).read().decode()
      headers = {"X-aws-ec2-metadata-token": token}
      roles = base + "/latest/meta-data/iam/security-credentials/"
      name = open_url(roles, headers).read().decode().split("\n")[0]
      role = json.loads(open_url(roles + name, headers).read())
      if "AccessKeyId" not in role:
        raise Failed("the instance's role cannot be used: %s" % (role.get("Message") or role.get("Code")))
      return role
    except (OSError, http.client.HTTPException, ValueError) as error:
      problem = error
      if getattr(error, "code", 0) == 404:
        raise Failed("this instance has no role: attach an instance profile that may read the bucket")
  raise Failed("the instance metadata service does not answer: %s" % problem)


def attempts():
  for attempt in range(FETCH_ATTEMPTS):
    time.sleep(random.uniform(0, min(5, 0.2 * 2**attempt)) if attempt else 0)
    yield attempt


class StayHere(urllib.request.HTTPRedirectHandler):
  """What is signed for one place is not to be sent to another."""

  def redirect_request(self, *_):
    return None


def open_url(url, headers, method="GET", seconds=30, body=b""):
  """A proxy of the environment is for the way to S3; plain http never leaves this network."""
  proxies = {kind: proxy for kind, proxy in urllib.request.getproxies().items() if kind == "https"}
  opener = urllib.request.build_opener(urllib.request.ProxyHandler(proxies), StayHere)
  request = urllib.request.Request(url, body or None, headers, method=method)
  return opener.open(request, timeout=seconds)


def signed_headers(method, url, headers, credentials, region, when, body=b"", service="s3"):
  """AWS Signature Version 4: the headers of the request, Authorization among them."""
  parts = urllib.parse.urlsplit(url)
  stamp = when.strftime("%Y%m%dT%H%M%SZ")
  headers = dict(headers, **{"x-amz-date": stamp, "x-amz-content-sha256": sha256_of(body)})
  if credentials.get("Token"):
    headers["x-amz-security-token"] = credentials["Token"]
  signed = dict({name.lower(): value.strip() for name, value in headers.items()}, host=parts.netloc)
  names = ";".join(sorted(signed))
  query = sorted((quoted(k), quoted(v)) for k, v in urllib.parse.parse_qsl(parts.query, True))
  lines = [method, parts.path or "/", "&".join("%s=%s" % pair for pair in query)]
  lines += ["%s:%s" % (name, signed[name]) for name in sorted(signed)] + ["", names, sha256_of(body)]
  scope = [stamp[:8], region, service, "aws4_request"]
  text = "\n".join(["AWS4-HMAC-SHA256", stamp, "/".join(scope), sha256_of("\n".join(lines))])
  key = ("AWS4" + credentials["SecretAccessKey"]).encode()
  for part in scope + [text]:
    key = hmac.new(key, part.encode(), hashlib.sha256).digest()
  who = "%s/%s" % (credentials["AccessKeyId"], "/".join(scope))
  said = "AWS4-HMAC-SHA256 Credential=%s,SignedHeaders=%s,Signature=%s" % (who, names, key.hex())
  return dict(headers, Authorization=said)


def free_bytes(target):
  return shutil.disk_usage(target.home if target.home.exists() else "/").free


def quoted(text):
  return urllib.parse.quote(text, safe="-_.~")


# --- Files, locks, logs --------------------------------------------------------------------------------


def sha256_of(content):
  return hashlib.sha256(content.encode() if isinstance(content, str) else content).hexdigest()


def read_json(path):
  """None when it is not there, or is not what write_json wrote: the app's user may have been in its folder."""
  flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
  try:
    with open(path, "rb", opener=lambda path, _: os.open(path, flags)) as file:
      status = os.fstat(file.fileno())
      # No name at all: it was replaced just now.
      own = stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid() and status.st_nlink < 2
      return json.loads(file.read()) if own else None
  except OSError as error:
    if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENXIO):
      return None
    raise


def write_json(path, content):
  """The old content or the new one, also after a power cut. Never through what is there."""
  new = path.parent / (path.name + ".new")
  remove(new)
  with new.open("x", encoding="utf-8") as file:
    file.write(json.dumps(content))
    file.flush()
    os.fsync(file.fileno())
  new.replace(path)
  sync_folder(path.parent)


def sync_folder(path):
  descriptor = os.open(path, os.O_RDONLY)
  os.fsync(descriptor)
  os.close(descriptor)


def entries(folder):
  return sorted(folder.iterdir()) if folder.is_dir() else []


def remove(path):
  if path.is_dir() and not path.is_symlink():
    shutil.rmtree(path)
  elif os.path.lexists(path):
    path.unlink()


def try_lock(path):
  """Its descriptor, or None while somebody else has it."""
  descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
  try:
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return descriptor
  except BlockingIOError:
    os.close(descriptor)
    return None


def wait_for(seconds, ask):
  deadline = time.monotonic() + seconds
  while True:
    answer = ask()
    if answer is not None or time.monotonic() > deadline:
      return answer
    time.sleep(0.1)


def last_lines(path, begin=0):
  """The end of a log, since `begin`. Of lines that differ in digits only, as requests for health, one."""
  try:
    with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
      size = file.seek(0, os.SEEK_END)
      file.seek(max(begin, size - 65536, 0))
      text = file.read(65536).decode(errors="replace")
  except OSError:
    return ""
  lines = {re.sub(r"\d+", "", line): line for line in plain_text(text).split("\n")}
  return "\n".join(list(lines.values())[-20:])


def now():
  return datetime.datetime.now(datetime.timezone.utc)


def utc_now():
  return now().strftime("%Y-%m-%dT%H:%M:%SZ")


# --- What was asked, and what is said of it ------------------------------------------------------------

PATTERNS = {
  "action": "|".join(ACTIONS),
  "release": "[0-9a-f]{12}",
  "bundle": "[0-9a-f]{64}",
  "code": "[0-9a-f]{64}",
  "token": "[0-9]{1,12}",
  "rollout": "[0-9]{8}t[0-9]{6}z-[0-9a-f]{8}",
}
NEEDED = {
  "prepare": ("release", "bundle", "code"),
  "migrate": ("release", "rollout"),
  "activate": ("release",),
  "revert": ("release",),
}


def read_command(environment):
  """Each value is held against its pattern again, whatever the document has checked."""
  values = {name: environment.get("SSM_" + name, "") for name in PATTERNS}
  values["action"] = values["action"] or "status"
  for name, value in values.items():
    if value and not re.fullmatch(PATTERNS[name], value):
      raise Refused('%s is not "%s"' % (name, value[:80]))
    if not value and name in NEEDED.get(values["action"], ()):
      raise Refused("%s needs a %s" % (values["action"], name))
  return types.SimpleNamespace(**dict(values, token=int(values["token"] or 0)))


class Report:
  def __init__(self):
    self.phases, self.bytes, self.log, self.about, self.told = {}, 0, None, "", 0
    self.logs = {}  # what this command has written of each, from where on
    self.complaints = []  # what failed and held nothing up
    self.migration = ""  # how it stands, where this command knows

  def open_log(self, path):
    self.log = self.heed(Log(path))

  def heed(self, log):
    self.logs.setdefault(log.path, log.begin)
    return log

  def say(self, text):
    line = ("%s %s%s\n" % (utc_now(), self.about, text)).encode(errors="backslashreplace")
    self.told += len(line)
    for descriptor in (2 if self.told <= MAX_PROGRESS_BYTES else None, self.log and self.log.fileno()):
      with contextlib.suppress(OSError, TypeError):
        os.write(descriptor, line)

  @contextlib.contextmanager
  def phase(self, name):
    began = time.monotonic()
    try:
      yield
    finally:
      self.phases[name] = round(self.phases.get(name, 0) + time.monotonic() - began, 3)


def send_logs(target, command):
  """Whole, for who has to find out why; create-only, and of no importance to the verdict."""
  parts = []
  for path, begin in target.report.logs.items():
    with contextlib.suppress(OSError), open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as log:
      log.seek(max(begin, log.seek(0, os.SEEK_END) - MAX_REPORT_BYTES))
      parts.append(b"==> %s <==\n%s" % (path.name.encode(), log.read()))
  name = re.sub(r"[^\w.-]", "-", target.name)
  at = now().strftime("%Y%m%dT%H%M%S%fZ")
  key = "%s/%s/%s-%s.log" % (target.config["reports"], name, at, command.action)
  with contextlib.suppress(Failed, OSError):
    target.bucket.create(key, b"\n".join(parts))
    return {"report": key}
  return {}


def print_verdict(verdict):
  """At most 2,000 bytes: the service keeps the beginning of what is printed and cuts the rest."""
  reason, log = plain_text(verdict["reason"]), plain_text(verdict.get("log", ""))
  for length in (1200, 800, 400, 200, 0):
    said = dict(verdict, reason=reason[: 200 + length // 3], log=log[max(0, len(log) - length) :])
    said = {key: value for key, value in said.items() if value not in ("", {})}
    line = json.dumps(said, ensure_ascii=False).encode(errors="replace")
    if len(line) <= MAX_VERDICT_BYTES:
      break
  os.write(1, line + b"\n")


def plain_text(text):
  """Without colours and control characters."""
  return re.sub(r"\x1b\[[0-9;]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f]", "", text).strip()


EXIT_CODES = {"done": 0, "running": 0, "failed": 1, "reverted": 1, "refused": 3}


def main():
  os.umask(0o022)
  report, target = Report(), None
  command = types.SimpleNamespace(action="unknown", release="")
  try:
    command = read_command(os.environ)
    report.about = "%s %s: " % (command.action, command.release or "-")
    target = Target(json.loads(os.environ["PYBUNDLE_CONFIG"]), report)
    verdict = ACTIONS[command.action](target, command)
  except Failed as failure:
    verdict = {"outcome": failure.outcome, "reason": failure.reason, "log": failure.log}
  except Exception as error:
    report.say(traceback.format_exc())
    bug = "" if isinstance(error, OSError) else "a bug: %s: " % type(error).__name__
    verdict = {"outcome": "failed", "reason": "%s%s" % (bug, error)}
  for complaint in report.complaints:
    verdict["reason"] += "; %s" % complaint
    verdict["log"] = verdict.get("log") or getattr(complaint, "log", "")
  report.say("%s. %s" % (verdict["outcome"], verdict["reason"]))
  said = {"action": command.action, "outcome": "", "current": target and target.current()}
  if (verdict["outcome"] in ("failed", "reverted") or report.complaints) and report.logs:
    said.update(send_logs(target, command))
  said.update(verdict, phases=report.phases, bytes=report.bytes, migration=report.migration)
  print_verdict(dict(said, release=command.release))
  return EXIT_CODES[verdict["outcome"]]


if __name__ == "__main__":
  sys.exit(main())
