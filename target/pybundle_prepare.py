"""How a target prepares a release beside the running one, prunes what is over, and catches up.

The other half of pybundle_target.py, which fetches it and runs it only if its sha256 is the one that the
operator's document names. Root fetches, verifies, unpacks and links data here; whatever could run a line of
what was uploaded (compiling, checking, pip, hooks) is done by processes of the app's user.
"""
import base64
import contextlib
import csv
import email.parser
import errno
import filecmp
import functools
import gzip
import hashlib
import http.client
import io
import json
import os
import pathlib
import platform
import re
import shutil
import stat
import struct
import subprocess
import sys
import tarfile
import textwrap
import traceback
import types
import zipfile
import zlib

import pybundle_target
from pybundle_target import (
  MARKER,
  MARKERS,
  READY,
  Failed,
  Refused,
  activate_release,
  adopt_orphans,
  call_hook,
  done,
  end_children,
  entries,
  free_bytes,
  plain_environment,
  processes,
  quoted,
  read_env_file,
  read_json,
  remove,
  sha256_of,
  write_json,
)

DIRECTORY_BYTES = 48 << 10  # of a bundle's end: it holds the directory and pybundle.json of 180 wheels
MAX_MANIFEST_BYTES = 16 << 20
MAX_UNPACKED_BYTES = 8 << 30
MAX_UNPACKED_FILES = 200_000
PIP_SECONDS = 120  # for what imports from the uploaded pip


class Cannot(Exception):
  """What the links cannot do, or not as pip does: then pip does it."""


def prepare_release(target, asked):
  read_env_file(target)  # what it lacks is told before anything is fetched
  record = read_release_record(target, asked)
  venv = find_venv(target, asked.bundle)
  bundle = None if venv else Bundle(target, record["bundle"])
  refuse_full_disk(target, record["code"]["size"], bundle)
  code = unpack_code(target, record)
  venv = venv or build_venv(target, bundle)
  place_release(target, record, code, venv)
  return done("prepared")


def catch_up(target, rollout):
  """To the environment's current release, which may move while it is being installed."""
  for _ in range(5):
    state = target.read_state()
    wanted, lock = state.get("current"), state.get("lock")
    if not wanted:
      return done("the environment has no current release yet")
    if lock and lock["token"] == target.memory["token"] and not rollout:
      return done("left to the rollout that is at work on this target")
    if state.get("inBetween") == "stopped" and target.current() and not rollout:
      return done("left as it is: a rollout has stopped, and somebody has to decide")
    if target.serves(wanted["release"]):
      if not lock:
        prune(target)
      return done("serves the current release")
    asked = types.SimpleNamespace(**wanted)
    pybundle_target.prepare_release(target, asked, wanted.get("request", ""))
    activate_release(target, asked.release)
  raise Failed("the environment's current release moved too often; the next catch-up goes on")


def read_release_record(target, asked):
  key = "%s/%s/releases/%s.json" % (target.environment, target.app, asked.release)
  record = target.bucket.read_json(key)
  if record is None:
    raise Failed('the bucket has no record "%s" of this release' % key)
  made_of = (record["release"], record["bundle"]["digest"], record["code"]["digest"])
  if made_of != (asked.release, asked.bundle, asked.code):
    raise Failed('"%s" is of another release than the command' % key)
  return record


def refuse_full_disk(target, code_size, bundle):
  """Before anything large is fetched. Wheels unpack to three times their size, bytecode included."""
  missing = sum(bundle.members[name]["size"] for name in bundle.missing()) if bundle else 0
  needed, free = 6 * (code_size + missing), free_bytes(target)
  if free < needed:
    raise Failed("%s has %d MB free; the release may need %d MB" % (target.home, free >> 20, needed >> 20))


# --- The code ------------------------------------------------------------------------------------------


def unpack_code(target, record):
  archive, folder = target.tmp / "archive", target.tmp / "release"
  with target.report.phase("fetch"):
    target.report.say("fetching %s, %d KB" % (record["code"]["key"], record["code"]["size"] >> 10))
    save(target, record["code"], archive)
    digest = sha256_of_file(archive)
  if digest != record["code"]["digest"]:
    raise Failed('"%s" is not the released code: its sha256 is %s' % (record["code"]["key"], digest))
  with target.report.phase("unpack"):
    Unpacking(folder, taken=(".venv", MARKER)).unpack(archive, code_entries)
    archive.unlink()
  return folder


def place_release(target, record, code, venv):
  id = record["release"]
  app = read_app_settings(target, code, venv)
  for name in app["shared_paths"]:
    link_shared_path(target, code, name)
  os.symlink("../../venvs/" + venv, code / ".venv")
  home = target.releases / id
  target.discard(home)
  # The hook runs at the final path, which what it writes may name; without its marker nobody uses it yet.
  code.rename(home)
  marker = {"release": id, "revision": record.get("revision"), "venv": venv, "app": app}
  marker.update(bundle=record["bundle"]["digest"], code=record["code"]["digest"])
  compile_code = [home / ".venv/bin/python", "-IS", "-m", "compileall", "-qq", home]
  with lent_to_user(target, home), target.open_log("prepare") as log:
    with target.report.phase("compile"):
      target.run_as_user(compile_code, home, plain_environment(target), log)
    for name in ("before_prepare", "prepare_command"):
      call_hook(target, marker, name, "prepare")
  call_hook(target, marker, "after_prepare", "prepare")
  os.sync()
  write_json(home / MARKER, marker)


APP_SETTINGS = {
  "app": "",
  "prepare_command": "",
  "migrate_command": "",
  "migrate_check_command": "",
  "health_path": "/",
  "shared_paths": [],
  "hooks": {},
}
HOOKS = [when + of for of in ("prepare", "migrate", "activate", "rollback") for when in ("before_", "after_")]


def read_app_settings(target, code, venv):
  """pybundle.toml, or [tool.pybundle] of pyproject.toml."""
  own, project = code / "pybundle.toml", code / "pyproject.toml"
  file = own if own.is_file() else project
  content = read_toml(target, file, venv) if file.is_file() else {}
  said = content if file == own else content.get("tool", {}).get("pybundle", {})
  app = {key: said.get(key, default) for key, default in APP_SETTINGS.items()}
  for key, default in APP_SETTINGS.items():
    if type(app[key]) is not type(default):
      raise Failed('%s: "%s" must be a %s' % (file.name, key, type(default).__name__))
  if app["app"] not in ("", target.app):
    raise Failed('this is code of the app "%s", not of "%s"' % (app["app"], target.app))
  hooks = app.pop("hooks")
  for name, command in hooks.items():
    if name not in HOOKS or type(command) is not str:
      raise Failed('%s: "hooks.%s" is no hook, or no command: %s' % (file.name, name, ", ".join(HOOKS)))
  return dict(app, **hooks)


# With the parser of the target's Python, or, before 3.11, with the one inside the uploaded pip.
READ_TOML = """
import json, sys
sys.path.insert(0, sys.argv[1])
try: import tomllib as toml
except ImportError: from pip._vendor import tomli as toml
json.dump(toml.loads(sys.stdin.buffer.read().decode()), sys.stdout, default=str)
"""


def read_toml(target, file, venv):
  marker = target.ready_venvs()[venv]
  with open(file, "rb") as stream, target.open_log("prepare") as log:
    content = run_with_pip(target, marker["python"], marker["pip"], READ_TOML, stream, log)
    if content is None:
      raise Failed("%s cannot be read" % file.name, log.tail())
  return json.loads(content)


def run_with_pip(target, python, pip, script, stdin, log):
  """What a script says that may import from the uploaded pip, as the app's user; None when it fails."""
  command = [python["path"], "-IS", "-c", script, pip_folder(target, pip)]
  streams = {"stdin": stdin, "stdout": subprocess.PIPE, "stderr": log}
  adopt_orphans()
  try:
    said = subprocess.run(
      command, preexec_fn=target.become_user, timeout=PIP_SECONDS, **streams, **apart(target)
    )
  except subprocess.TimeoutExpired:
    raise Failed("the bundle's pip did not answer within %d s" % PIP_SECONDS, log.tail())
  finally:
    end_children()
  return said.stdout if said.returncode == 0 else None


def apart(target):
  """Nothing of this process's own, but the lock by which the next command finds what this one left."""
  return {"env": plain_environment(target), "cwd": "/", "pass_fds": (target.work_lock,)}


def link_shared_path(target, code, name):
  """A folder, unless a file is already there."""
  parts = safe_parts(name)
  shared, link = target.shared.joinpath(*parts), code.joinpath(*parts)
  if not is_inside(link.parent, code):
    raise Failed('the shared path "%s" lies behind a link' % name)
  with target.acting_as_user():
    if not os.path.lexists(shared):
      shared.mkdir(parents=True)
  link.parent.mkdir(parents=True, exist_ok=True)
  remove(link)
  os.symlink("../" * (len(parts) + 1) + "/".join(["shared", *parts]), link)


def is_inside(path, folder):
  return (os.path.realpath(path) + "/").startswith(os.path.realpath(folder) + "/")


# --- Folders that are the user's for a while ------------------------------------------------------------


@contextlib.contextmanager
def lent_to_user(target, folder):
  """The user's while it is being made; root's, and read-only to the app, before it is used."""
  if target.user:
    give(folder, target.user)
  try:
    yield
  finally:
    if target.user:
      take(folder, target.user)


def give(folder, user):
  """Bottom up: what is still to be given is in a folder of root's, where nobody can swap it."""
  for _, folders, files, descriptor in os.fwalk(folder, topdown=False):
    for name in folders + files:
      os.chown(name, user.pw_uid, user.pw_gid, dir_fd=descriptor, follow_symlinks=False)
  os.chown(folder, user.pw_uid, user.pw_gid)


def take(folder, user, parent=None):
  """Top down: nobody can add to what was taken, or swap it. The app still reads what its user could read."""
  descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
  own(".", user, descriptor)
  for entry in list(os.scandir(descriptor)):
    if parent is None and entry.name in MARKERS:
      remove(pathlib.Path(folder, entry.name))
    elif entry.is_dir(follow_symlinks=False):
      take(entry.name, user, descriptor)
    else:
      own(entry.name, user, descriptor)
  os.close(descriptor)


def own(name, user, parent):
  """But not what was somebody else's: a hard link to it may have been laid here."""
  status = os.stat(name, dir_fd=parent, follow_symlinks=False)
  if status.st_uid == user.pw_uid:
    os.chown(name, 0, user.pw_gid, dir_fd=parent, follow_symlinks=False)
    if not stat.S_ISLNK(status.st_mode):
      os.chmod(name, (status.st_mode | (status.st_mode & 0o500) >> 3) & 0o755, dir_fd=parent)


# --- What the bucket has -------------------------------------------------------------------------------


def save(target, pinned, path, begin=0, end=None):
  """Bytes of exactly the recorded version, each where it stands there; what breaks goes on where it broke."""
  end = pinned["size"] if end is None else end
  url = "%s?versionId=%s" % (target.bucket.url_of(pinned["key"]), quoted(pinned["versionId"]))
  with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o644), "wb") as file:
    file.seek(begin)

    def wanted():
      return {"range": "bytes=%d-%d" % (file.tell(), end - 1)}

    def receive(answer):
      if answer.headers["Content-Range"] != "bytes %d-%d/%d" % (file.tell(), end - 1, pinned["size"]):
        raise Failed('"%s" has not the %d bytes that its release says' % (pinned["key"], pinned["size"]))
      shutil.copyfileobj(answer, file, 1 << 20)
      if file.tell() != end:
        raise http.client.IncompleteRead(b"")
      return True

    while True:
      had = file.tell()
      try:
        found = target.aws.ask("s3", "GET", url, receive, wanted)
        break
      except Failed:
        if file.tell() == had:
          raise
  if found is None:
    raise Failed('"%s" (version %s) is no longer in the bucket' % (pinned["key"], pinned["versionId"]))
  target.report.bytes += end - begin


# --- The bundle: a stored zip of which only what is missing is fetched ---------------------------------

MEMBER = re.compile(r"(wheels|tools)/[A-Za-z0-9_.+!-]+\.whl|requirements\.txt|pylock\.toml")


class Bundle:
  """Each member is held against pybundle.json, and that against the bundle's id, before anything uses it."""

  def __init__(self, target, pinned):
    self.target, self.pinned = target, pinned
    target.report.say("reading %s, %d KB" % (pinned["key"], pinned["size"] >> 10))
    with target.report.phase("fetch"):
      self.read_directory()
    self.python = choose_python(self.manifest["platform"])
    self.wheels = sorted(name for name in self.members if name.startswith("wheels/"))
    self.pip = next((name for name in self.members if name.startswith("tools/pip-")), None)
    if self.pip is None or "requirements.txt" not in self.members:
      raise Failed("the bundle has no requirements.txt, or no tools/pip-*.whl to install with")
    self.all = [*self.wheels, self.pip]

  def read_directory(self):
    """In a file with a hole, in which all stands where it stands in the bundle."""
    file, begin, size = self.target.tmp / "bundle", self.pinned["size"], self.pinned["size"]
    length = DIRECTORY_BYTES
    while begin > 0:
      begin, end = max(0, size - length), begin
      save(self.target, self.pinned, file, begin, end)
      try:
        with zipfile.ZipFile(file) as bundle:
          return self.check_directory(bundle)
      except (*UNREADABLE, KeyError) as error:
        if begin == 0:
          raise Failed("the bundle cannot be read: %s" % error)
        length *= 4

  def check_directory(self, bundle):
    info = bundle.getinfo("pybundle.json")
    if info.compress_type != zipfile.ZIP_STORED or info.file_size > MAX_MANIFEST_BYTES:
      raise Failed("not a bundle: its pybundle.json is compressed, or larger than 16 MB")
    text = bundle.read(info)
    if sha256_of(text) != self.pinned["digest"]:
      raise Failed("not the released bundle: its id is %s" % sha256_of(text))
    self.manifest = json.loads(text)
    self.members = self.manifest["members"]
    infos = sorted(bundle.infolist(), key=lambda info: info.header_offset)
    names = [info.filename for info in infos]
    if self.manifest["format"] != 2 or sorted(names) != sorted([*self.members, "pybundle.json"]):
      raise Failed("the bundle has other members than its pybundle.json names")
    self.extents = {}
    for info, end in zip(infos, [info.header_offset for info in infos[1:]] + [bundle.start_dir]):
      name, begin = info.filename, info.header_offset
      if name in self.members and not MEMBER.fullmatch(name):
        raise Failed('a bundle has no member "%s"' % name[:80])
      size = self.members[name]["size"] if name in self.members else len(text)
      if info.compress_type != zipfile.ZIP_STORED or not size < end - begin < size + 1024:
        raise Failed('"%s" in the bundle is compressed, or not as long as pybundle.json says' % name[:80])
      self.extents[name] = (begin, end)

  def fetch(self, name, path):
    """The member with its header before it, which readers of a zip skip; returns where it begins."""
    begin, end = self.extents[name]
    save(self.target, self.pinned, path, begin, end)
    with open(path, "r+b") as file:
      file.seek(begin)
      header = file.read(30)
      start = begin + 30 + sum(struct.unpack("<26xHH", header)) if len(header) == 30 else end
      file.truncate(start + self.members[name]["size"])
    digest = sha256_of_file(path, start)
    if digest != self.digest(name):
      raise Failed('"%s" in the bundle is damaged: its sha256 is %s' % (name, digest))
    return start

  def digest(self, name):
    return self.members[name]["sha256"]

  def home(self, name):
    """In the store."""
    return self.target.wheels / self.digest(name)

  def missing(self):
    return [name for name in self.all if not (self.home(name) / "plan.json").exists()]


def choose_python(wanted):
  """The interpreter for the bundle's platform; refuses with what differs."""
  if platform.machine() != wanted["machine"]:
    raise Refused("the bundle is for %s, this target is %s" % (wanted["machine"], platform.machine()))
  kind, version = own_libc()
  if kind != wanted["libc"][0] or numbers(version) < numbers(wanted["libc"][1]):
    raise Refused("the bundle needs %s %s, this target has %s %s" % (*wanted["libc"], kind, version))
  for name in (sys.executable, shutil.which("python" + wanted["python"])):
    python = name and ask_python(name)
    if python and numbers(python["version"])[:2] == numbers(wanted["python"]):
      return python
  found = platform.python_version()
  raise Refused("the bundle needs Python %s; this target has %s and no other" % (wanted["python"], found))


ASK_PYTHON = """
import json, os, sys, sysconfig
json.dump({
  "path": os.path.realpath(sys.executable),
  "version": "%d.%d.%d" % sys.version_info[:3],
  "tag": sys.implementation.cache_tag,
  "schemes": {
    name: sysconfig.get_path(name, "posix_prefix", {"base": "", "platbase": ""})[1:]
    for name in ("purelib", "platlib")
  },
}, sys.stdout)
"""


def ask_python(path):
  with contextlib.suppress(OSError, ValueError):
    asked = [path, "-IS", "-c", ASK_PYTHON]
    return json.loads(subprocess.run(asked, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE).stdout)
  return None


def own_libc():
  if sys.platform == "darwin":
    return "macos", platform.mac_ver()[0]
  try:
    return os.confstr("CS_GNU_LIBC_VERSION").split()
  except (ValueError, OSError):
    return "musl", "1.2"  # which has no way to be asked; 1.2 is of 2020


def numbers(version):
  return [int(part) for part in re.findall(r"\d+", version)]


# --- The virtualenv ------------------------------------------------------------------------------------


def find_venv(target, bundle):
  """One that was made of this very bundle, if its Python is still the same: nothing need be fetched."""
  for id, marker in target.ready_venvs().items():
    same = bundle in marker["bundles"] and marker["installer"] == installer(target)
    if same and ask_python(marker["python"]["path"]) == marker["python"]:
      return id
  return None


def installer(target):
  return target.config.get("installer") or "links"


def build_venv(target, bundle, bytecode=True):
  # With the wheels themselves: another bundle's requirements may be the same, and its wheels its own.
  makes = [bundle.digest("requirements.txt"), *map(bundle.digest, bundle.all), bundle.python, installer(target)]
  id = sha256_of(json.dumps(makes, sort_keys=True))[:12]
  marker = target.ready_venvs().get(id)
  if marker is None:
    marker = {"bundles": [], "python": bundle.python, "installer": installer(target)}
    marker.update(pip=bundle.digest(bundle.pip), wheels=[bundle.digest(name) for name in bundle.all])
    try:
      with target.open_log("install"):  # which a worker would note for itself alone
        fill_store(target, bundle, bytecode, beside=lambda: create_empty(target, target.venvs / id, bundle))
      with target.report.phase("install"):
        make_venv(target, target.venvs / id, bundle)
    finally:  # wheels that are whole are kept also where the virtualenv fails
      with target.report.phase("sync"):
        os.sync()  # once, before the markers: much cheaper than for each file, and as safe
      for name in bundle.all:
        mark_wheel(bundle.home(name))
      os.sync()  # else a virtualenv could outlive a power cut as ready, and its wheels as unmarked
  marker["bundles"] = marker["bundles"][-20:] + [bundle.pinned["digest"]]
  write_json(target.venvs / id / READY, marker)
  return id


def make_venv(target, venv, bundle):
  if installer(target) == "links":
    try:
      return link_venv(target, venv, bundle)
    except Cannot as reason:
      target.report.say("installing with pip, as %s" % reason)
  pip_venv(target, venv, bundle)


def create_empty(target, venv, bundle):
  """By the machine's own interpreter, before anything uploaded is in it; `-S`: it reads no .pth at all."""
  target.discard(venv)
  command = [bundle.python["path"], "-IS", "-m", "venv", "--without-pip", venv]
  with target.open_log("install") as log:
    made = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **apart(target))
    if made.returncode != 0:
      raise Failed("the virtualenv could not be made", log.tail())


def link_venv(target, venv, bundle):
  """What pip would make of these wheels in this new virtualenv, of links to their unpacked files."""
  plans = {name: read_json(newest(bundle.home(name) / "plan.json")) for name in bundle.wheels}
  for name, plan in plans.items():
    if plan["cannot"]:
      raise Cannot("%s %s" % (name, plan["cannot"]))
  with target.open_log("install") as log:
    template = script_template(pip_folder(target, bundle.digest(bundle.pip)))
    schemes = {name: str(venv / path) for name, path in bundle.python["schemes"].items()}
    schemes.update(scripts=str(venv / "bin"), data=str(venv))

    def link(name):
      own = dict(schemes, headers=headers_folder(venv, bundle.python, name))
      LinkedWheel(bundle.home(name), plans[name], own).install(template, bundle.python["tag"])

    links = [functools.partial(link, name) for name in bundle.wheels]
    in_parallel(target, [lambda: check_needs(target, bundle, plans, log), *links])


def headers_folder(venv, python, wheel):
  minor = ".".join(python["version"].split(".")[:2])
  return "%s/include/site/python%s/%s" % (venv, minor, project_of(wheel))


def project_of(wheel):
  """The name as requirements.txt has it."""
  return re.sub(r"[-_.]+", "-", os.path.basename(wheel).split("-")[0]).lower()


# Messages as of `pip check`, which would take longer than all the rest of an installation does. What only an
# extra asks for is passed over unread.
CHECK_NEEDS = """
import json, re, sys
sys.path.insert(0, sys.argv[1])
from pip._vendor.packaging.requirements import Requirement

def name_of(name):
  return re.sub("[-_.]+", "-", name).lower()

installed = json.load(sys.stdin)
versions = {name_of(name): (name, version) for name, version, _ in installed}
unmet = False
for name, version, needs in installed:
  for need in (Requirement(need) for need in needs if " or " in need or not re.search("extra *==", need)):
    has = versions.get(name_of(need.name))
    if has and need.specifier.contains(has[1], prereleases=True):
      continue
    if need.marker and not need.marker.evaluate({"extra": ""}):
      continue
    if has:
      print(name, version, "has requirement", str(need) + ", but you have", *has, file=sys.stderr)
    else:
      print(name, version, "requires", need.name + ", which is not installed.", file=sys.stderr)
    unmet = True
sys.exit(unmet)
"""


def check_needs(target, bundle, plans, log):
  said = target.tmp / "needs"
  said.write_text(json.dumps([plan["project"] for plan in plans.values()]))
  with open(said) as stdin:
    pip = bundle.digest(bundle.pip)
    if run_with_pip(target, bundle.python, pip, CHECK_NEEDS, stdin, log) is None:
      raise Failed("the bundle could not be installed", log.tail())


def pip_folder(target, digest):
  return target.wheels / digest / "files"


# --- The other way: with the bundle's own pip ----------------------------------------------------------

# Run by the new virtualenv's Python, unprivileged, among the parts of the bundle.
INSTALL = """
import compileall, os, sys, sysconfig
sys.path.insert(0, sys.argv[1])
from pip._internal.cli.main import main

os.nice(10)
def pip(*arguments):
  if main([*arguments, "--isolated", "--no-input", "--disable-pip-version-check"]) != 0:
    sys.exit(1)

if os.path.getsize("requirements.txt"):
  pip("install", "--no-index", "--require-hashes", "--only-binary=:all:", "--no-deps", "--no-compile",
    "--no-cache-dir", "--no-warn-script-location", "--find-links", "wheels", "-r", "requirements.txt")
pip("check")
compileall.compile_dir(sysconfig.get_path("purelib"), quiet=1, workers=os.cpu_count())
"""


def pip_venv(target, venv, bundle):
  parts = target.tmp / "parts"
  (parts / "wheels").mkdir(parents=True)
  for name in [*bundle.wheels, "requirements.txt"]:
    part = target.tmp / "part"
    start = bundle.fetch(name, part)
    with open(part, "rb") as source, open(parts / name, "wb") as copy:
      source.seek(start)
      shutil.copyfileobj(source, copy, 1 << 20)
    part.unlink()
  create_empty(target, venv, bundle)
  environment = dict(plain_environment(target), PIP_CONFIG_FILE="/dev/null")
  pip = pip_folder(target, bundle.digest(bundle.pip))
  fill = [venv / "bin/python", "-I", "-c", INSTALL, pip]
  with target.open_log("install") as log:
    with lent_to_user(target, venv):
      if target.run_as_user(fill, parts, environment, log) != 0:
        raise Failed("the bundle could not be installed", log.tail())
  shutil.rmtree(parts)


# --- The store: each wheel unpacked and compiled once --------------------------------------------------
# wheels/<sha256>/files/ is the wheel; plan.json says what becomes of its files; <cache tag>, an empty file,
# that its bytecode is there. The last two are called *.new until all has been synced.


def fill_store(target, bundle, bytecode, beside):
  tag = bundle.python["tag"] if bytecode else None
  absent = set(bundle.missing())
  wanted = [name for name in bundle.all if name in absent or not has_bytecode(bundle.home(name), tag)]
  wanted.sort(key=lambda name: -bundle.members[name]["size"])
  compiler = Compiler(target, bundle.python)

  def bring(name):
    if name in absent:
      bring_wheel(target, bundle, name)
    if tag:
      sources = compiler.sources(bundle.home(name), only=USED_OF_PIP if name == bundle.pip else "")
      compiler.compile(bundle.home(name), sources)

  target.report.say("fetching %d wheels of %d" % (len(absent), len(bundle.all)))
  with target.report.phase("wheels"):
    in_parallel(target, [beside, *(functools.partial(bring, name) for name in wanted)])


def has_bytecode(home, tag):
  return tag is None or (home / tag).exists()


def mark_wheel(home):
  for path in home.glob("*.new"):
    path.rename(home / path.name[: -len(".new")])


def newest(path):
  new = path.parent / (path.name + ".new")
  return new if new.exists() else path


def bring_wheel(target, bundle, name):
  part, home = target.tmp / bundle.digest(name), bundle.home(name)
  bundle.fetch(name, part)
  target.discard(home)
  home.mkdir()
  digests = Unpacking(home / "files", links=False).unpack(part, zip_entries)
  part.unlink()
  try:
    plan = plan_wheel(home / "files", digests)
  except Cannot as reason:
    plan = {"cannot": str(reason), "files": list(digests)}
  (home / "plan").write_text(json.dumps(plan))
  (home / "plan").rename(home / "plan.json.new")


SCHEMES = ("purelib", "platlib", "headers", "scripts", "data")
ENTRY_POINT = re.compile(r"([\w.]+):([\w.]+)\s*(\[[^\]]*\])?")
OWN_FILES = ("RECORD", "INSTALLER", "REQUESTED")


def plan_wheel(folder, digests):
  """What becomes of each file, by the rules of pip's `install_wheel`."""
  infos = {name.split("/")[0] for name in digests if name.split("/")[0].endswith(".dist-info")}
  if len(infos) != 1:
    raise Cannot("has not one .dist-info folder")
  info = infos.pop()
  wheel, metadata = read_headers(folder / info / "WHEEL"), read_headers(folder / info / "METADATA")
  if not (wheel["Wheel-Version"] or "").startswith("1."):
    raise Cannot("is of a kind that only pip may know")
  record = read_record(folder / info)
  check_record(record, digests)
  console, gui = read_entry_points(folder / info / "entry_points.txt")
  if {"pip", "easy_install"} & set(console):
    raise Cannot("has scripts that depend on Python's version")
  plan = {"cannot": "", "info": info, "root": "purelib", "files": [], "moved": [], "written": []}
  plan["scripts"] = {**console, **gui}
  plan["project"] = (metadata["Name"], metadata["Version"], metadata.get_all("Requires-Dist", []))
  if (wheel["Root-Is-Purelib"] or "").lower() != "true":
    plan["root"] = "platlib"
  for name in digests:
    top, _, rest = name.partition("/")
    if not top.endswith(".data"):
      plan["written" if top == info and rest in OWN_FILES else "files"].append(name)
      continue
    scheme, _, rest = rest.partition("/")
    if scheme not in SCHEMES or not rest or scheme == "data" and rest.split("/")[0] in MARKERS:
      raise Cannot('has "%s"' % name[:80])
    stem = re.sub(r"(\.exe|-script\.py|\.pya)$", "", os.path.basename(rest))
    if scheme != "scripts" or stem not in plan["scripts"]:  # which is made anew
      plan["moved"].append([name, scheme, rest])
  return plan


def folders_of(names):
  """Each before what is in it."""
  found = set()
  for name in names:
    while name and os.path.dirname(name) not in found:
      name = os.path.dirname(name)
      found.add(name)
  return sorted(found)


def read_headers(path):
  try:
    return email.parser.BytesHeaderParser().parse(io.BytesIO(path.read_bytes()))
  except FileNotFoundError:
    raise Cannot("has no %s" % path.name)


def read_record(info):
  try:
    return list(csv.reader((info / "RECORD").read_text("utf-8").splitlines()))
  except (FileNotFoundError, UnicodeDecodeError):
    raise Cannot("has no RECORD that can be read")


def check_record(record, digests):
  for row in record:
    algorithm, _, digest = row[1].partition("=") if len(row) > 1 else ("", "", "")
    if algorithm == "sha256" and digests.get(row[0]) != digest.rstrip("="):
      raise Failed('"%s" is not what the RECORD of its wheel says' % row[0][:80])


def read_entry_points(path):
  found, section = {"console_scripts": {}, "gui_scripts": {}}, None
  for line in path.read_text("utf-8").splitlines() if path.is_file() else ():
    line = line.strip()
    if line.startswith("["):
      section = line.strip("[]").strip()
    elif line and not line.startswith(("#", ";")) and section in found:
      name, _, value = line.partition("=")
      entry = ENTRY_POINT.fullmatch(value.strip())
      if not entry or not re.fullmatch(r"[\w.+-]+", name.strip()):
        raise Cannot('has the entry point "%s"' % line[:80])
      found[section][name.strip()] = [entry[1], entry[2]]
  return found["console_scripts"], found["gui_scripts"]


# Reads names of sources on standard input, writes the length and the bytes of what each compiles to: files
# that this user had written could still be altered through a descriptor after they became root's.
COMPILE = """
import importlib._bootstrap_external as importing, os, struct, sys
for line in sys.stdin.buffer:
  path = os.fsdecode(line[:-1])
  try:
    with open(path, "rb") as file:
      status, source = os.fstat(file.fileno()), file.read()
    code = compile(source, path, "exec", dont_inherit=True)
    bytecode = importing._code_to_timestamp_pyc(code, int(status.st_mtime), status.st_size)
  except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError):
    bytecode = b""
  sys.stdout.buffer.write(struct.pack("<I", len(bytecode)) + bytes(bytecode))
  sys.stdout.buffer.flush()
"""
MAX_BYTECODE = 64 << 20
ASKED_AHEAD = 50  # names: it never waits for the next, and a pipe can hold twice as many
USED_OF_PIP = r"pip/(_vendor/)?__init__\.py|pip/_vendor/(packaging|pyparsing|tomli)/.*"


class Compiler:
  """One process of the app's user for each that asks, started when it is first asked."""

  def __init__(self, target, python):
    self.target, self.python, self.process = target, python, None

  def sources(self, home, only=""):
    plan = read_json(newest(home / "plan.json"))
    names = [name for name in plan.get("files", ()) if name.endswith(".py")]
    return [name for name in names if re.fullmatch(only, name)] if only else names

  def compile(self, home, names):
    """Beside the sources. What does not compile has none, as with pip."""
    paths = ["%s/files/%s" % (home, name) for name in names]
    for path, bytecode in zip(paths, self.ask(paths)):
      if bytecode:
        write_bytecode(cached(path, self.python["tag"]), bytecode)
    (home / (self.python["tag"] + ".new")).touch()

  def ask(self, paths):
    self.process = self.process or self.start()
    try:
      for number in range(len(paths)):
        if number % ASKED_AHEAD == 0:
          begin, end = number + ASKED_AHEAD if number else 0, number + 2 * ASKED_AHEAD
          self.process.stdin.write("".join(path + "\n" for path in paths[begin:end]).encode())
          self.process.stdin.flush()
        (length,) = struct.unpack("<I", self.process.stdout.read(4))
        if length > MAX_BYTECODE:
          raise ValueError(length)
        yield self.process.stdout.read(length)
    except (OSError, ValueError, struct.error):
      raise Failed("the bytecode could not be compiled: the process that does it ended")

  def start(self):
    command = [self.python["path"], "-IS", "-W", "ignore", "-c", COMPILE]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    return subprocess.Popen(command, preexec_fn=self.target.become_user, **pipes, **apart(self.target))


def cached(path, tag):
  folder, name = os.path.split(path)
  return "%s/__pycache__/%s.%s.pyc" % (folder, name[: -len(".py")], tag)


def write_bytecode(path, bytecode):
  make_folder(os.path.dirname(path))
  with open(path, "wb") as file:
    file.write(bytecode)


def make_folder(path):
  with contextlib.suppress(FileExistsError):
    os.mkdir(path)


class LinkedWheel:
  """One wheel in one virtualenv; `schemes` says which folder is which there."""

  def __init__(self, home, plan, schemes):
    self.files, self.plan, self.schemes = "%s/files/" % home, plan, schemes
    self.site = schemes[plan["root"]]
    self.installed = {name: name for name in plan["files"] + plan["written"]}
    self.changed, self.made, self.shared = {}, [], set()

  def install(self, template, tag):
    for folder in folders_of(self.plan["files"]):
      make_folder("%s/%s" % (self.site, folder))
    for name in self.plan["files"]:
      if not link_file(self.files + name, "%s/%s" % (self.site, name)):
        self.shared.add(name)
    for name, scheme, rest in self.plan["moved"]:
      self.move(name, scheme, "%s/%s" % (self.schemes[scheme], rest))
    for name, entry in self.plan["scripts"].items():
      self.make("%s/%s" % (self.schemes["scripts"], name), self.script(template, *entry), 0o755)
    info = "%s/%s/" % (self.site, self.plan["info"])
    self.make(info + "INSTALLER", b"pip\n")
    self.make(info + "REQUESTED", b"")
    write_new(info + "RECORD", self.record().encode())
    self.link_bytecode(tag)

  def move(self, name, scheme, path):
    """Of what is not at home in site-packages. A script's first line names the interpreter, as pip writes it."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    self.installed[name] = self.recorded(path)
    if scheme == "scripts":
      with open(self.files + name, "rb") as source:
        first = source.readline()
        if first.startswith(b"#!python"):
          content = b"#!%s\n" % self.python().encode() + source.read()
          write_new(path, content, os.fstat(source.fileno()).st_mode)
          self.changed[self.recorded(path)] = content
          return
    link_file(self.files + name, path)

  def make(self, path, content, mode=0o644):
    write_new(path, content, mode)
    self.made.append((self.recorded(path), *recorded_digest(content)))

  def python(self):
    return self.schemes["scripts"] + "/python"

  def script(self, template, module, function):
    line = "#!%s\n" % self.python()
    if len(line) > 127:  # what a kernel takes; then a line that is shell to a shell and a string to Python
      line = "#!/bin/sh\n'''exec' %s \"$0\" \"$@\"\n' '''\n" % self.python()
    names = {"module": module, "import_name": function.split(".")[0], "func": function}
    return (line + re.sub(r"%\((\w+)\)s", lambda match: names[match[1]], template)).encode()

  def recorded(self, path):
    return os.path.relpath(path, self.site)

  def record(self):
    rows = []
    for row in read_record(pathlib.Path(self.files, self.plan["info"])):
      path = self.installed.pop(row[0], row[0])
      said = recorded_digest(self.changed[path]) if path in self.changed else [*row[1:3], "", ""][:2]
      rows.append((path, *said))
    rows += self.made + [(path, "", "") for path in self.installed.values()]
    text = io.StringIO(newline="")
    csv.writer(text).writerows(sorted(rows))
    return text.getvalue()

  def link_bytecode(self, tag):
    """Not of a file that another wheel had brought: its bytecode tells when the other was unpacked."""
    ending = ".%s.pyc" % tag
    for folder in {os.path.dirname(name) for name in self.plan["files"] if name.endswith(".py")}:
      source, copy = self.files + folder + "/__pycache__/", "%s/%s/__pycache__/" % (self.site, folder)
      if os.path.isdir(source):
        make_folder(copy)
        for name in os.listdir(source):
          source_name = os.path.join(folder, name[: -len(ending)] + ".py")
          if name.endswith(ending) and source_name not in self.shared:
            link_file(source + name, copy + name)


def recorded_digest(content):
  return "sha256=" + digest_text(hashlib.sha256(content)), str(len(content))


def digest_text(digest):
  return base64.urlsafe_b64encode(digest.digest()).decode().rstrip("=")


def link_file(source, path):
  """False if it was there. A copy where links do not work, or not so many; either way it belongs to root."""
  try:
    os.link(source, path)
  except FileExistsError:
    refuse_other_content(path, lambda: filecmp.cmp(source, path, shallow=False))
    return False
  except OSError as error:
    if error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP, errno.ENOSYS):
      raise
    shutil.copy2(source, path)
  return True


def write_new(path, content, mode=0o644):
  """Never through what is there: it may be a link, as bin/python is."""
  try:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, stat.S_IMODE(mode))
  except FileExistsError:
    return refuse_other_content(path, lambda: open(path, "rb").read() == content)
  with open(descriptor, "wb") as file:
    file.write(content)


def refuse_other_content(path, is_same):
  if os.path.islink(path) or not os.path.isfile(path) or not is_same():
    raise Cannot('two wheels have different files for "%s"' % path)


def script_template(pip):
  """The text that this pip writes into scripts, read out of its source: it differs between its versions."""
  own = ("_internal/operations/install/wheel.py", r'script_template = textwrap\.dedent\(\s*"""\\\n(.*?)"""')
  older = ("_vendor/distlib/scripts.py", r"SCRIPT_TEMPLATE = r'''(.*?)'''")
  for path, pattern in (own, older):
    found = re.search(pattern, (pip / "pip" / path).read_text("utf-8"), re.DOTALL)
    if found:
      return textwrap.dedent(found[1])
  raise Cannot("this pip writes scripts in a way of its own")


# --- Prune ---------------------------------------------------------------------------------------------


def prune(target):
  """Keeps what is good, current, named by the environment or running, and what these need."""
  keep = releases_to_keep(target)
  discard_others(target, target.releases, keep)
  venvs = {target.marker(id)["venv"] for id in keep if target.marker(id)} | running_below(target, target.venvs)
  discard_others(target, target.venvs, venvs)
  wheels = [wheel for marker in target.ready_venvs().values() for wheel in marker["wheels"]]
  discard_others(target, target.wheels, wheels)
  target.remember(good=[id for id in target.memory["good"] if id in keep])
  return done("kept %s" % (" ".join(sorted(keep)) or "nothing"))


def discard_others(target, folder, keep):
  for path in entries(folder):
    if path.name not in keep:
      target.discard(path)


def releases_to_keep(target):
  state, current = target.read_state(), target.current()
  keep = {state[word]["release"] for word in ("desired", "current", "previous") if state.get(word)}
  keep |= {current, target.previous(current), target.memory["release"]}
  migrations = [read_json(path) or {} for path in (target.state / "migrations").glob("*.json")]
  keep |= {each["release"] for each in migrations if each.get("status") == "running"}
  keep |= set(target.memory["good"][: target.config["keep_releases"]])
  return (keep | running_below(target, target.releases)) - {None}


def running_below(target, folder):
  """Names in `folder` in which a process works, which it has loaded, or from which it was started."""
  found, user = set(), target.user.pw_uid if target.user else os.geteuid()
  pattern = re.compile(re.escape(os.path.realpath(folder)) + "/([0-9a-f]{12})")
  for process in processes():
    with contextlib.suppress(OSError):
      said = (process / "cmdline").read_text(errors="replace")
      places = [os.readlink(process / "cwd"), said]
      if process.stat().st_uid == user:  # a path of anybody else's leads root anywhere
        places += behind_links(said)
      places.append((process / "maps").read_text(errors="replace"))
      found.update(pattern.findall("\n".join(places)))
  return found


def behind_links(said):
  """Where the paths of a command line lead to, by links that somebody may have made by hand."""
  paths = [pathlib.PurePath(word) for word in re.split(r"[\0=:,]", said[:4096]) if word.startswith("/")]
  return {os.path.realpath(place) for path in paths for place in (path, *path.parents)}


# --- Several processes ---------------------------------------------------------------------------------


def in_parallel(target, jobs):
  """In two processes or more, as one can unpack while another fetches; nice to what else runs here."""
  queue, results = os.pipe(), os.pipe()
  os.write(queue[1], b"".join(struct.pack("<I", number) for number in range(len(jobs))))
  os.close(queue[1])
  adopt_orphans()
  workers = [
    fork(lambda: work_off(target, queue[0], results[1], jobs))
    for _ in range(min(len(jobs), max(2, os.cpu_count() or 1)))
  ]
  os.close(queue[0])
  os.close(results[1])
  with open(results[0], encoding="utf-8") as lines:
    told = [json.loads(line) for line in lines]
  for worker in workers:
    os.waitpid(worker, 0)
  end_children()
  target.report.bytes += sum(each.get("bytes", 0) for each in told)
  for each in told:
    if "failed" in each:
      raise Failed(each["failed"], each["log"])
    if "cannot" in each:
      raise Cannot(each["cannot"])
  if len(told) != len(jobs):
    raise Failed("a process that worked for this one was killed: has the target enough memory?")


def fork(work):
  process = os.fork()
  if process == 0:
    try:
      work()
    finally:
      os._exit(0)
  return process


def work_off(target, queue, results, jobs):
  """One line for each job; after a failure the others find nothing more to do."""
  os.close(target.lock)  # only the command itself holds the machine lock
  os.nice(10)
  target.report.told = sys.maxsize  # standard error is the command's
  for number in iter(lambda: os.read(queue, 4), b""):
    before = target.report.bytes
    try:
      jobs[struct.unpack("<I", number)[0]]()
      said = {"bytes": target.report.bytes - before}
    except Cannot as reason:
      said = {"cannot": str(reason)[:400]}
    except Failed as failure:
      said = {"failed": failure.reason[:400], "log": failure.log[-400:]}
    except BaseException as error:
      target.report.say(traceback.format_exc())
      said = {"failed": str(error)[:400] or type(error).__name__, "log": ""}
    # Shorter than what a pipe takes as one.
    os.write(results, json.dumps(said, ensure_ascii=False).encode(errors="replace") + b"\n")
    while "bytes" not in said and os.read(queue, 1 << 16):
      pass


# --- Archives: nothing in them can name a place outside of the folder ----------------------------------

BROKEN = (tarfile.TarError, zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, EOFError)
UNREADABLE = (*BROKEN, ValueError, RuntimeError, struct.error)


class Unpacking:
  """Into a new folder, which has nothing called as what is `taken`, and no links unless they may be."""

  def __init__(self, folder, taken=(), links=True):
    self.folder, self.taken, self.links = str(folder), taken, links
    self.bytes_left, self.files_left = MAX_UNPACKED_BYTES, MAX_UNPACKED_FILES
    self.folders, self.digests = {""}, {}
    os.mkdir(self.folder)

  def unpack(self, file, read_entries):
    """The sha256 of each file by its name, as RECORD has it."""
    links = []
    try:
      for name, kind, mode, to, content in read_entries(file):
        if mode & 0o7000 and kind == "file":
          raise Failed('"%s" in the archive is setuid, setgid or sticky' % name[:80])
        parts = safe_parts(name)
        if parts[0] in self.taken if parts else kind != "folder":
          raise Failed('the archive must not contain "%s"' % name[:80])
        if kind == "folder":
          self.make_folders(parts)
          continue
        path = self.new_place(parts)
        if kind == "link" and self.links:
          os.symlink(to, path)
          links.append((name, to, path))
        elif kind == "file":
          self.digests[name] = self.write(path, 0o755 if mode & 0o111 else 0o644, content)
        else:
          kinds = "a file, a folder nor a link" if self.links else "a file nor a folder"
          raise Failed('"%s" in the archive is neither %s' % (name[:80], kinds))
    except FileExistsError:
      raise Failed('"%s" is in the archive twice' % name[:80])
    except UNREADABLE as error:
      raise Failed("the archive cannot be read: %s" % error)
    # When all are there, as one link can lead another astray.
    for name, to, path in links:
      if os.path.isabs(to) or not is_inside(path, self.folder):
        raise Failed('"%s" in the archive links out of it, to "%s"' % (name[:80], to[:80]))
    return self.digests

  def new_place(self, parts):
    self.make_folders(parts[:-1])
    self.count_file()
    return "%s/%s" % (self.folder, "/".join(parts))

  def count_file(self):
    self.files_left -= 1
    if self.files_left < 0:
      raise Failed("the archive has more than %d files" % MAX_UNPACKED_FILES)

  def make_folders(self, parts):
    """Never through a link."""
    folder = "/".join(parts)
    if folder in self.folders:
      return
    self.make_folders(parts[:-1])
    self.count_file()
    path = "%s/%s" % (self.folder, folder)
    make_folder(path)
    if not stat.S_ISDIR(os.lstat(path).st_mode):
      raise Failed('"%s" in the archive is a folder and something else' % folder[:80])
    self.folders.add(folder)

  def write(self, path, mode, content):
    digest = hashlib.sha256()
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
      for chunk in iter(lambda: content.read(1 << 20), b""):
        self.bytes_left -= len(chunk)
        if self.bytes_left < 0:
          raise Failed("the archive unpacks to more than %d MB" % (MAX_UNPACKED_BYTES >> 20))
        digest.update(chunk)
        file.write(chunk)
    return digest_text(digest)


def tar_entries(file):
  with tarfile.open(file, "r:gz") as archive:
    for member in archive:
      kinds = {"folder": member.isdir(), "link": member.issym(), "file": member.isreg(), "other": True}
      kind = next(kind for kind, fits in kinds.items() if fits)
      content = archive.extractfile(member) if kind == "file" else None
      yield member.name, kind, member.mode, member.linkname, content


def code_entries(file):
  """By its first bytes: a tar that ends as a zip is the tar that it was checked as."""
  with open(file, "rb") as stream:
    return zip_entries(file) if stream.read(4) == b"PK\3\4" else tar_entries(file)


def zip_entries(file):
  """Without a kind of file in its mode an entry is a plain one that nobody may execute, as to pip."""
  with zipfile.ZipFile(file) as archive:
    for info in archive.infolist():
      mode = info.external_attr >> 16
      kind = {0: "file", stat.S_IFREG: "file", stat.S_IFLNK: "link"}.get(stat.S_IFMT(mode), "other")
      kind = "folder" if info.is_dir() else kind
      to = archive.read(info).decode() if kind == "link" and info.file_size < 4096 else ""
      with archive.open(info) as content:
        yield info.filename, kind, stat.S_IMODE(mode) if stat.S_IFMT(mode) else mode & 0o7000, to, content


def safe_parts(name):
  parts = [part for part in name.split("/") if part not in ("", ".")]
  if name.startswith("/") or ".." in parts or re.search(r"[\x00-\x1f\x7f\\]", name):
    raise Failed("not a path that can be used here: %r" % name[:80])
  return parts


def sha256_of_file(path, begin=0):
  digest = hashlib.sha256()
  with open(path, "rb") as file:
    file.seek(begin)
    for chunk in iter(lambda: file.read(1 << 20), b""):
      digest.update(chunk)
  return digest.hexdigest()
