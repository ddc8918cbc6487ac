"""What a deploy does on a target: prepare, migrate, activate, revert, catch-up, status, prune.

Standard library only, Python 3.8 or later. It reads one command from the environment, prints its verdict as
one JSON line on standard output and its progress on standard error and in <base>/<app>/log/deploy.log.

    releases/<id>/     the code, unpacked; its .pybundle-release.json is written last: without it, unprepared
    venvs/<id>/        a virtualenv at its final path; its .ready is written last: without it, rebuilt
    shared/            what outlives releases; the app's user's own
    current            -> releases/<id>, switched by one rename
    log/ state/ tools/ tmp/

Every action may be killed anywhere and run again. Root never runs what was uploaded: that is for `user`.
"""
from __future__ import annotations

import contextlib
import datetime
import email.utils
import fcntl
import gzip
import hashlib
import hmac
import http.client
import json
import os
import platform
import pwd
import random
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tarfile
import time
import traceback
import urllib.error
import urllib.parse
import urllib.request
import zipfile

LOCK_SECONDS = 120  # how long to wait for another command on this target
RESTART_SECONDS = 90
MIGRATION_POLL_SECONDS = 15
FETCH_ATTEMPTS = 6
MAX_CODE_BYTES = 2 << 30
MAX_CODE_FILES = 100_000
MAX_JSON_BYTES = 16 << 20
MAX_VERDICT_BYTES = 2000
VERDICT_LOG_BYTES = 1100


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


# ---------------------------------------------------------------------------------------------------------
# The actions


def prepare(target, command):
    release = command.named_release()
    with target.locked(command):
        target.heed(command)
        return prepare_release(target, release)


def migrate(target, command):
    """Starts the migration once for its rollout and asks how it stands; the next call asks again."""
    if not command.rollout:
        raise Refused("migrate needs the id of its rollout")
    with target.locked(command):
        target.heed(command)
        target.ask_whether_current(command)
        release = target.prepared_release(command.release)
        migration = Migration(target, command.rollout)
        if not migration.was_started():
            other = Migration.running_one(target)
            if other:
                raise Refused("the migration of rollout %s is still running here" % other)
            if not release["app"]["migrate_command"]:
                return done("the app has no migration")
            if nothing_to_migrate(target, release):
                return done("nothing to migrate")
            migration.start(release)
    return migration.wait()


def activate(target, command):
    with target.locked(command):
        target.heed(command)
        target.ask_whether_current(command)
        return activate_release(target, command.release)


def revert(target, command):
    """Puts the previous release back in the place of the named one."""
    with target.locked(command):
        target.heed(command)
        if target.record["release"] == command.release:
            failure = Failed("asked to")
            with contextlib.suppress(Reverted):
                put_previous_back(target, command.release, failure)
            return done("serves %s again" % (target.current() or "nothing"))
        if not target.record["proven"]:
            serve(target, target.record["release"])
            target.remember_served(target.record["release"])
        return done("does not serve %s" % command.release)


def catch_up(target, command):
    """Brings the target to the environment's current release, which may move while it is being installed."""
    with target.locked(command):
        target.heed(command)
        for _ in range(5):
            state = target.read_state()
            wanted = state.get("current")
            if not wanted:
                return done("the environment has no current release yet")
            if state.get("lock") and state["lock"]["token"] == target.record["token"]:
                return done("left to the rollout that is at work on this target")
            if target.serves(wanted["release"]):
                return done("serves the environment's current release")
            release = Release(wanted["release"], wanted["bundle"], wanted["code"])
            prepare_release(target, release)
            activate_release(target, release.id)
    raise Failed("the environment's current release moved too often; the next catch-up goes on")


def status(target, command):
    return dict(
        done(""),
        previous=target.previous_of(target.current()),
        prepared=target.prepared_ids()[:40],
        token=target.record["token"],
        venvs=len(target.ready_venvs()),
    )


def prune(target, command):
    """Keeps good releases, and whatever is current, named by the environment or running; with their venvs."""
    with target.locked(command):
        target.heed(command)
        target.clear_leftovers()
        keep = releases_to_keep(target)
        removed = [target.discard(path) for path in children(target.releases) if os.path.basename(path) not in keep]
        venvs = {os.path.basename(os.path.realpath(os.path.join(path, ".venv"))) for path in children(target.releases)}
        venvs |= running_below(target.venvs)
        removed += [target.discard(path) for path in children(target.venvs) if os.path.basename(path) not in venvs]
        pips = {marker["pip"] for marker in target.ready_venvs().values()}
        removed += [target.discard(path) for path in children(target.tools) if os.path.basename(path) not in pips]
        target.remember(good=[id for id in target.record["good"] if id in keep])
        return done("removed %d, kept %s" % (len(removed), " ".join(sorted(keep)) or "nothing"))


ACTIONS = {
    "prepare": prepare,
    "migrate": migrate,
    "activate": activate,
    "revert": revert,
    "catch-up": catch_up,
    "status": status,
    "prune": prune,
}


def done(reason):
    return {"outcome": "done", "reason": reason}


# ---------------------------------------------------------------------------------------------------------
# Prepare: beside the running release, touching nothing live


def prepare_release(target, release):
    if target.is_prepared(release.id):
        return done("was prepared already")
    target.clear_leftovers()
    record = read_release_record(target, release)
    refuse_full_disk(target, record)
    code = unpack_code(target, record, release)
    venv = find_venv(target, release) or build_venv(target, record, release)
    place_release(target, release, record, code, venv)
    return done("prepared")


def read_release_record(target, release):
    key = "%s/%s/releases/%s.json" % (target.environment, target.app, release.id)
    record = target.bucket.read_json(key)
    if record is None:
        raise Failed('there is no record "%s" of release %s in the bucket' % (key, release.id))
    if record["bundle"]["digest"] != release.bundle or record["code"]["digest"] != release.code:
        raise Failed("the record of release %s names other digests than the command" % release.id)
    return record


def refuse_full_disk(target, record):
    needed = 6 * (record["bundle"]["size"] + record["code"]["size"])
    free = shutil.disk_usage(target.home).free
    if free < needed:
        raise Failed("%s has %d MB free; this release may need %d MB" % (target.home, free >> 20, needed >> 20))


def unpack_code(target, record, release):
    archive = os.path.join(target.tmp, "code")
    with target.report.phase("fetch"):
        digest = target.bucket.save(record["code"], archive)
    if digest != release.code:
        raise Failed('"%s" is not the code that was released: its sha256 is %s' % (record["code"]["key"], digest))
    with target.report.phase("unpack"):
        folder = os.path.join(target.tmp, "release")
        unpack_archive(archive, folder)
        os.unlink(archive)
    return folder


def find_venv(target, release):
    """A virtualenv made from this very bundle, if its interpreter is still the same: nothing to fetch then."""
    for id, marker in target.ready_venvs().items():
        if release.bundle in marker["bundles"] and marker["python"] == ask_python(marker["python"]["path"]):
            return id
    return None


def build_venv(target, record, release):
    bundle = os.path.join(target.tmp, "bundle")
    with target.report.phase("fetch"):
        target.bucket.save(record["bundle"], bundle)
    with target.report.phase("verify"):
        parts = os.path.join(target.tmp, "parts")
        manifest = take_bundle_apart(bundle, release.bundle, parts)
        os.unlink(bundle)
    python = choose_python(manifest["platform"])
    members = manifest["members"]
    id = sha256_of(json.dumps([members["requirements.txt"]["sha256"], python], sort_keys=True).encode())[:12]
    marker = target.ready_venvs().get(id)
    if marker is None:
        with target.report.phase("install"):
            pip = unpack_pip(target, members, parts)
            install(target, os.path.join(target.venvs, id), python, pip, parts)
        marker = {"bundles": [], "python": python, "pip": os.path.basename(pip)}
    marker["bundles"] = marker["bundles"][-20:] + [release.bundle]
    write_json(os.path.join(target.venvs, id, ".ready"), marker)
    shutil.rmtree(parts)
    return id


def unpack_pip(target, members, parts):
    """Unpacked and compiled once per pip wheel: it starts in a fraction of the time that it takes from a zip."""
    wheel = next((name for name in members if name.startswith("tools/pip-")), None)
    if wheel is None:
        raise Failed("the bundle has no tools/pip-*.whl to install with")
    home = os.path.join(target.tools, "pip-" + members[wheel]["sha256"][:12])
    if not os.path.isdir(home):
        folder = os.path.join(target.tmp, "pip")
        unpack_archive(os.path.join(parts, wheel), folder)
        os.rename(folder, home)
    return home


def install(target, venv, python, pip, parts):
    target.discard(venv)
    os.mkdir(venv)
    quiet = dict(plain_environment(target), PIP_CONFIG_FILE="/dev/null")
    with target.lent_to_user(venv), target.lent_to_user(pip), target.hook_log("install") as log:
        create = [python["path"], "-I", "-m", "venv", "--without-pip", venv]
        pip_install = [os.path.join(venv, "bin", "python"), "-I", "-c", INSTALL, pip]
        for command in (create, pip_install):
            if target.run_as_user(command, parts, quiet, log) != 0:
                raise Failed("installing the bundle failed", log.tail())
    # One sync of everything before the marker: much cheaper than one for each file, and as safe.
    os.sync()


# Runs unprivileged with the new virtualenv's Python, in the folder of the bundle's parts.
INSTALL = """
import compileall, os, sys, sysconfig
sys.path.insert(0, sys.argv[1])
sys.dont_write_bytecode = False
from pip._internal.cli.main import main

def pip(*arguments):
    if main([*arguments, "--isolated", "--no-input", "--disable-pip-version-check"]) != 0:
        sys.exit(1)

if os.path.getsize("requirements.txt"):
    pip("install", "--no-index", "--require-hashes", "--only-binary=:all:", "--no-deps", "--no-compile",
        "--no-cache-dir", "--no-warn-script-location", "--find-links", "wheels", "-r", "requirements.txt")
pip("check")
site = sysconfig.get_path("purelib")
many = sum(len(files) for _, _, files in os.walk(site)) > 600
compileall.compile_dir(site, quiet=1, workers=os.cpu_count() if many else 1)
"""


def place_release(target, release, record, code, venv):
    app = read_app_settings(target, code, venv)
    link_shared_paths(target, code, app["shared_paths"])
    os.symlink(os.path.join("..", "..", "venvs", venv), os.path.join(code, ".venv"))
    home = target.release_path(release.id)
    target.discard(home)
    # The hook runs at the final path, which what it writes may name; without its marker nobody uses the release.
    os.rename(code, home)
    marker = {"release": release.id, "bundle": release.bundle, "code": release.code, "venv": venv, "app": app}
    with target.report.phase("hooks"), target.lent_to_user(home), target.hook_log("prepare") as log:
        compile_code = [os.path.join(home, ".venv", "bin", "python"), "-I", "-m", "compileall", "-qq", "."]
        target.run_as_user(compile_code, home, plain_environment(target), log)
        if app["prepare_command"] and run_hook(target, marker, "prepare_command", log) != 0:
            raise Failed("prepare_command failed: %s" % app["prepare_command"], log.tail())
    os.sync()
    write_json(os.path.join(home, ".pybundle-release.json"), dict(marker, revision=record.get("revision")))


APP_SETTINGS = {
    "app": "",
    "prepare_command": "",
    "migrate_command": "",
    "migrate_check_command": "",
    "health_path": "/",
    "shared_paths": [],
}


def read_app_settings(target, code, venv):
    """[tool.pybundle] in pyproject.toml, or pybundle.toml with the same keys."""
    own, project = os.path.join(code, "pybundle.toml"), os.path.join(code, "pyproject.toml")
    file = own if os.path.isfile(own) else project
    content = read_toml(target, file, venv) if os.path.isfile(file) else {}
    settings = content if file == own else content.get("tool", {}).get("pybundle", {})
    app = {key: settings.get(key, default) for key, default in APP_SETTINGS.items()}
    for key, default in APP_SETTINGS.items():
        if type(app[key]) is not type(default):
            raise Failed('%s: "%s" is not a %s' % (os.path.basename(file), key, type(default).__name__))
    if app["app"] not in ("", target.app):
        raise Failed('the code archive is of app "%s", not of "%s"' % (app["app"], target.app))
    return app


def read_toml(target, file, venv):
    if sys.version_info >= (3, 11):
        import tomllib

        try:
            with open(file, "rb") as stream:
                return tomllib.load(stream)
        except (ValueError, RecursionError) as error:
            raise Failed("%s: %s" % (os.path.basename(file), error))
    # Older Pythons read TOML with the parser inside pip, which came with the upload: not as root.
    pip = os.path.join(target.tools, target.ready_venvs()[venv]["pip"])
    script = (
        "import json, sys; sys.path.insert(0, sys.argv[1]); from pip._vendor import tomli;"
        "json.dump(tomli.loads(sys.stdin.buffer.read().decode()), sys.stdout, default=str)"
    )
    python = os.path.join(target.venvs, venv, "bin", "python")
    with open(file, "rb") as stream:
        read = subprocess.run(
            [python, "-I", "-c", script, pip],
            stdin=stream,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=plain_environment(target),
            preexec_fn=target.become_user,
        )
    if read.returncode != 0:
        raise Failed("%s: %s" % (os.path.basename(file), read.stderr.decode(errors="replace").strip()[-300:]))
    return json.loads(read.stdout)


def link_shared_paths(target, code, paths):
    for name in paths:
        parts = safe_parts(name)
        shared, link = os.path.join(target.shared, *parts), os.path.join(code, *parts)
        with target.acting_as_user():
            os.makedirs(shared, exist_ok=True) if not os.path.lexists(shared) else None
        remove_any(link)
        os.makedirs(os.path.dirname(link), exist_ok=True)
        if not is_inside(os.path.dirname(link), code):
            raise Failed('shared path "%s" lies behind a link' % name)
        # As seen from its final place, releases/<id>/...
        os.symlink(os.path.join(*[".."] * (len(parts) + 1), "shared", *parts), link)


# ---------------------------------------------------------------------------------------------------------
# Migrate: once for the fleet, detached from the command that started it


class Migration:
    """state/migrations/<rollout>.json says how it stands; a lock that the migration inherits, whether it lives."""

    def __init__(self, target, rollout):
        self.target, self.rollout = target, rollout
        self.file = os.path.join(target.state, "migrations", rollout + ".json")
        self.log_name = "migrate-" + rollout

    @staticmethod
    def lock(target):
        """The migration lock, or None while a migration runs."""
        descriptor = os.open(os.path.join(target.state, "migration.lock"), os.O_RDWR | os.O_CREAT, 0o600)
        if try_lock(descriptor):
            return descriptor
        os.close(descriptor)
        return None

    @classmethod
    def running_one(cls, target):
        lock = cls.lock(target)
        if lock is not None:
            os.close(lock)
            return None
        running = [read_json(path) or {} for path in children(os.path.join(target.state, "migrations"))]
        return next((one["rollout"] for one in running if one.get("status") in ("starting", "running")), "(unknown)")

    def was_started(self):
        record = read_json(self.file)
        if not record:
            return False
        # "starting" with nobody at work: killed before the app's command began, so it may begin now.
        return record["status"] != "starting" or self.running_one(self.target) is not None

    def note(self, status, **more):
        write_json(self.file, dict(more, rollout=self.rollout, status=status, at=utc_now()))

    def start(self, release):
        lock = self.lock(self.target)
        os.makedirs(os.path.dirname(self.file), exist_ok=True)
        self.note("starting", release=release["release"])
        child = os.fork()
        if child == 0:
            try:
                os.setsid()
                if os.fork() == 0:
                    self.run_detached(release, lock)
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        os.close(lock)

    def run_detached(self, release, lock):
        """Holds nothing of the command's: not its pipes, not the machine lock; the command may end or be killed."""
        with self.target.hook_log(self.log_name) as log:
            null = os.open(os.devnull, os.O_RDWR)
            os.dup2(null, 0)
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
            for descriptor in range(3, 256):
                if descriptor not in (lock, log.fileno()):
                    with contextlib.suppress(OSError):
                        os.close(descriptor)
            try:
                self.note("running", release=release["release"])
                code = run_hook(self.target, release, "migrate_command", log, inherits=(lock,))
                self.note("failed" if code else "done", release=release["release"], code=code)
            except BaseException:
                traceback.print_exc()
                self.note("failed", release=release["release"], code=None)

    def wait(self):
        deadline = time.monotonic() + MIGRATION_POLL_SECONDS
        while True:
            alive = self.running_one(self.target) is not None
            record = read_json(self.file)
            if record["status"] == "done":
                return done("migrated")
            if record["status"] == "failed":
                raise Failed("migrate_command failed with exit code %s" % record.get("code"), self.last_lines())
            if not alive:
                reason = "the migration was interrupted; nobody knows how far it came: look at the database first"
                raise Failed(reason, self.last_lines())
            if time.monotonic() > deadline:
                return {"outcome": "running", "reason": "the migration is running since %s" % record["at"]}
            time.sleep(0.1)

    def last_lines(self):
        return last_lines(self.target.log_path(self.log_name))


def nothing_to_migrate(target, release):
    if not release["app"]["migrate_check_command"]:
        return False
    with target.hook_log("migrate-check") as log:
        return run_hook(target, release, "migrate_check_command", log) == 0


# ---------------------------------------------------------------------------------------------------------
# Activate: one rename, restart, proof; or back


def activate_release(target, id):
    if target.serves(id):
        return done("was active already")
    target.prepared_release(id)
    try:
        serve(target, id)
    except Failed as failure:
        put_previous_back(target, id, failure)
    target.remember_served(id)
    return done("active")


def serve(target, id):
    """`current` first, so that whatever restarts the app meanwhile starts the right one."""
    release = target.prepared_release(id)
    target.remember(release=id, proven=False)
    marks = log_sizes(target)
    began = time.time()
    target.report.say("switching to %s" % id)
    point_current(target, id)
    try:
        with target.report.phase("restart"):
            restart(target)
        with target.report.phase("health"):
            prove_health(target, release)
    except Failed as failure:
        failure.log = failure.log or app_log_since(target, marks, began)
        raise


def put_previous_back(target, id, failure):
    """Always raises: Reverted when the previous release is back and healthy, Failed otherwise."""
    previous = target.previous_of(id)
    target.report.say("%s: %s; going back to %s" % (id, failure.reason, previous or "nothing"))
    target.remember(good=[good for good in target.record["good"] if good != id])
    if previous is None:
        serve_nothing(target)
        raise Failed("%s; there is no release to go back to" % failure.reason, failure.log)
    try:
        serve(target, previous)
    except Failed as second:
        raise Failed("%s; and going back to %s failed: %s" % (failure.reason, previous, second.reason), failure.log)
    target.remember_served(previous)
    raise Reverted(failure.reason, failure.log)


def serve_nothing(target):
    with contextlib.suppress(FileNotFoundError):
        os.unlink(target.current_link)
    with contextlib.suppress(Failed):
        restart(target)
    target.remember(release=None, proven=True)


def point_current(target, id):
    link = os.path.join(target.home, ".current.new")
    remove_any(link)
    os.symlink(os.path.join("releases", id), link)
    os.replace(link, target.current_link)
    sync_folder(target.home)


def restart(target):
    """Its output goes to a file, never to our pipes: a daemon that kept one would hold the command open."""
    command = target.config.get("restart_command")
    if target.config.get("units"):
        command = ["systemctl", "--no-ask-password", "restart"] + list(target.config["units"])
    elif command:
        command = ["/bin/sh", "-c", command]
    else:
        return
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("SSM_", "PYBUNDLE_CONFIG"))}
    with target.hook_log("restart") as log:
        process = subprocess.Popen(
            command,
            cwd=target.home,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environment,
            start_new_session=True,
        )
        try:
            code = process.wait(RESTART_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise Failed("the restart did not end within %d s" % RESTART_SECONDS, log.tail())
        if code != 0:
            raise Failed("the restart failed with exit code %d" % code, log.tail())


def prove_health(target, release):
    """The new release answers 200, so many times in a row, before the deadline."""
    url = health_url(target, release)
    if not url:
        return
    seconds, needed = target.config["health_seconds"], target.config["health_passes"]
    deadline = time.monotonic() + seconds
    passes = 0
    while passes < needed:
        objection = health_objection(target, url, release["release"])
        passes = 0 if objection else passes + 1
        if objection and time.monotonic() > deadline:
            raise Failed("not healthy within %s s: %s %s" % (seconds, url, objection))
        if passes < needed:
            time.sleep(0.2)


def health_url(target, release):
    url = target.config.get("health_url")
    if not url:
        return None
    variables = read_env_file(target)

    def value(match):
        if match.group(1) not in variables:
            raise Failed('health_url names ${%s}, which env_file does not set' % match.group(1))
        return variables[match.group(1)]

    return re.sub(r"\$\{(\w+)\}", value, url).rstrip("/") + "/" + release["app"]["health_path"].lstrip("/")


def health_objection(target, url, id):
    """What speaks against it, or None."""
    parts = urllib.parse.urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname, parts.port, timeout=5)
    try:
        with target.acting_as_user():
            connection.request("GET", urllib.parse.urlunsplit(("", "", parts.path, parts.query, "")))
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
    return holder_objection(target, parts, id, says)


def holder_objection(target, url, id, says):
    """Old workers may answer beside the new ones: whoever holds the listening socket must be of the new release."""
    sockets = listening_sockets(url.hostname, url.port or {"http": 80, "https": 443}[url.scheme])
    if sockets is None:
        return None
    releases = os.path.realpath(target.releases)
    serving = [
        os.path.relpath(folder, releases).split(os.sep)[0]
        for folder in folders_of_holders(sockets)
        if is_inside(folder, releases) and folder != releases
    ]
    others = sorted(set(serving) - {id})
    if others:
        return "is also served by processes of release %s" % " ".join(others)
    if not serving and not says:
        return "is served by no process that runs in the release's folder"
    return None


def listening_sockets(host, port):
    """Inodes of the sockets that listen there; None where there is no /proc."""
    if not os.path.exists("/proc/net/tcp"):
        return None
    addresses = {info[4][0] for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
    addresses |= {"0.0.0.0", "::"}
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(FileNotFoundError), open(table) as lines:
            for fields in (line.split() for line in list(lines)[1:]):
                address, _, hexadecimal_port = fields[1].partition(":")
                if fields[3] == "0A" and int(hexadecimal_port, 16) == port and readable(address) in addresses:
                    inodes.add(fields[9])
    return inodes


def readable(address):
    """The kernel prints each 32-bit word of an address in its own byte order."""
    words = [bytes.fromhex(address[i : i + 8]) for i in range(0, len(address), 8)]
    packed = b"".join(word[::-1] if sys.byteorder == "little" else word for word in words)
    text = socket.inet_ntop(socket.AF_INET if len(packed) == 4 else socket.AF_INET6, packed)
    return text[len("::ffff:") :] if text.startswith("::ffff:") else text


def folders_of_holders(inodes):
    names = {"socket:[%s]" % inode for inode in inodes}
    for process in processes():
        with contextlib.suppress(OSError):
            held = {os.readlink(descriptor.path) for descriptor in os.scandir(process + "/fd")}
            if held & names:
                yield os.readlink(process + "/cwd")


def app_log_since(target, marks, began):
    """The app's own last words: what its logs gained since the restart."""
    if target.config.get("units"):
        units = [word for unit in target.config["units"] for word in ("-u", unit)]
        journal = ["journalctl", "--no-pager", "-o", "cat", "-n", "20", "--since", "@%d" % began] + units
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            return subprocess.run(journal, stdout=subprocess.PIPE, timeout=10).stdout.decode(errors="replace")
    grown = [path for path, size in log_sizes(target).items() if size > marks.get(path, 0)]
    grown.sort(key=os.path.getmtime)
    return "\n".join(last_lines(path, marks.get(path, 0)) for path in grown)


def log_sizes(target):
    own = {target.log_path("deploy"), target.log_path("prepare"), target.log_path("install")}
    logs = [path for path in children(target.log) if path.endswith(".log") and path not in own]
    return {path: os.lstat(path).st_size for path in logs if stat.S_ISREG(os.lstat(path).st_mode)}


# ---------------------------------------------------------------------------------------------------------
# Prune


def releases_to_keep(target):
    state = target.read_state()
    named = [state.get(word) for word in ("desired", "current", "previous")]
    keep = {release["release"] for release in named if release}
    keep |= set(target.record["good"][: max(1, target.config["keep_releases"])])
    keep |= {target.current(), target.record["release"], target.previous_of(target.current())}
    keep |= running_below(target.releases)
    return keep - {None}


def running_below(folder):
    """Names in `folder` that a process works in or was started from."""
    found = set()
    pattern = re.compile(re.escape(os.path.realpath(folder)) + "/([0-9a-f]{12})")
    for process in processes():
        with contextlib.suppress(OSError):
            found.update(pattern.findall(os.readlink(process + "/cwd")))
        with contextlib.suppress(OSError), open(process + "/cmdline", errors="replace") as arguments:
            found.update(pattern.findall(arguments.read()))
    return found


def processes():
    if not os.path.isdir("/proc/self"):
        return []
    return [entry.path for entry in os.scandir("/proc") if entry.name.isdigit()]


# ---------------------------------------------------------------------------------------------------------
# What was asked


class Command:
    """Values from outside: each is held against its pattern again, whatever the document has checked."""

    PATTERNS = {
        "action": "|".join(ACTIONS),
        "release": "([0-9a-f]{12})?",
        "bundle": "([0-9a-f]{64})?",
        "code": "([0-9a-f]{64})?",
        "token": "[0-9]{1,12}",
        "rollout": "([0-9]{8}t[0-9]{6}z-[0-9a-f]{8})?",
    }
    DEFAULTS = {"action": "status", "token": "0"}
    NEED_RELEASE = ("prepare", "migrate", "activate", "revert")

    def __init__(self, environment):
        values = {}
        for name, pattern in self.PATTERNS.items():
            values[name] = environment.get("SSM_" + name) or self.DEFAULTS.get(name, "")
            if not re.fullmatch(pattern, values[name]):
                raise Refused('%s is not "%s"' % (name, values[name][:80]))
        self.action, self.rollout, self.token = values["action"], values["rollout"], int(values["token"])
        self.release, self.bundle, self.code = values["release"], values["bundle"], values["code"]
        if self.action in self.NEED_RELEASE and not self.release:
            raise Refused("%s needs a release" % self.action)

    def named_release(self):
        return Release(self.release, self.bundle, self.code)


class Release:
    def __init__(self, id, bundle, code):
        self.id, self.bundle, self.code = id, bundle, code
        if sha256_of(("bundle:%s\ncode:%s\n" % (bundle, code)).encode())[:12] != id:
            raise Refused("release %s is not made of this bundle and this code" % id)


# ---------------------------------------------------------------------------------------------------------
# The target: its folders, its memory, its lock, its user


class Target:
    EMPTY = {"environment": None, "token": 0, "release": None, "proven": True, "good": []}

    def __init__(self, config, report):
        self.config, self.report = config, report
        self.environment, self.app = config["environment"], config["app"]
        # Plain-directory mode of the local cloud: every absolute path of the operator lies below it.
        self.root = os.environ.get("PYBUNDLE_ROOT", "")
        self.home = os.path.join(self.root + config["base"], self.app)
        for name in ("releases", "venvs", "shared", "log", "state", "tools", "tmp"):
            setattr(self, name, os.path.join(self.home, name))
        self.current_link = os.path.join(self.home, "current")
        self.bucket = Bucket(config["bucket"], config["region"], report)
        self.user = find_user(config["user"]) if os.geteuid() == 0 else None
        self.record = dict(self.EMPTY, **(read_json(os.path.join(self.state, "target.json")) or {}))
        self.work_lock = None

    # --- the lock, and the token

    @contextlib.contextmanager
    def locked(self, command):
        """One command at a time. The lock dies with this process; nothing that it starts inherits it."""
        self.lay_out()
        self.report.open_log(self.log_path("deploy"))
        lock = os.open(os.path.join(self.state, "lock"), os.O_RDWR | os.O_CREAT, 0o600)
        deadline = time.monotonic() + LOCK_SECONDS
        while not try_lock(lock):
            if time.monotonic() > deadline:
                busy = os.pread(lock, 200, 0).decode(errors="replace").strip()
                raise Refused("another command is at work on this target: %s" % busy)
            time.sleep(0.1)
        os.ftruncate(lock, 0)
        os.pwrite(lock, ("%s %s, process %d\n" % (command.action, command.release, os.getpid())).encode(), 0)
        self.end_orphans()
        self.record = dict(self.EMPTY, **(read_json(os.path.join(self.state, "target.json")) or {}))
        try:
            yield
        finally:
            os.close(lock)

    def lay_out(self):
        os.makedirs(self.home, exist_ok=True)
        for folder in (self.releases, self.venvs, self.log, self.tools, self.tmp):
            os.makedirs(folder, exist_ok=True)
        os.makedirs(self.state, mode=0o700, exist_ok=True)
        if not os.path.lexists(self.shared):
            os.mkdir(self.shared, 0o755)
            if self.user:
                os.lchown(self.shared, self.user.pw_uid, self.user.pw_gid)

    def end_orphans(self):
        """What a killed command had started to build with may still be writing. Its children hold this lock."""
        path = os.path.join(self.state, "work.lock")
        self.work_lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        deadline = time.monotonic() + LOCK_SECONDS
        while not try_lock(self.work_lock):
            for process in processes():
                with contextlib.suppress(OSError):
                    pid = int(os.path.basename(process))
                    held = {os.readlink(descriptor.path) for descriptor in os.scandir(process + "/fd")}
                    if os.path.realpath(path) in held and pid != os.getpid():
                        os.kill(pid, signal.SIGKILL)
            if time.monotonic() > deadline:
                raise Refused("something that an earlier prepare started is still running on this target")
            time.sleep(0.05)

    def heed(self, command):
        """A stopped target runs old commands when it starts: the token says which are over."""
        if self.record["environment"] not in (None, self.environment):
            raise Refused('this target is of environment "%s"' % self.record["environment"])
        if command.action == "catch-up":
            return self.remember(environment=self.environment)
        if command.token < self.record["token"]:
            raise Refused("token %d is older than %d" % (command.token, self.record["token"]))
        self.remember(environment=self.environment, token=command.token)

    def ask_whether_current(self, command):
        lock = self.read_state().get("lock")
        if not lock or lock["token"] != command.token:
            raise Refused("the rollout with token %d is over" % command.token)

    def read_state(self):
        return self.bucket.read_json("%s/%s/state.json" % (self.environment, self.app)) or {}

    # --- memory

    def remember(self, **facts):
        if any(self.record[key] != value for key, value in facts.items()):
            self.record.update(facts)
            write_json(os.path.join(self.state, "target.json"), self.record)

    def remember_served(self, id):
        others = [good for good in self.record["good"] if good != id]
        self.remember(release=id, proven=True, good=[id] + others)

    def current(self):
        with contextlib.suppress(OSError):
            return os.path.basename(os.readlink(self.current_link))
        return None

    def serves(self, id):
        return self.current() == id and self.record["release"] == id and self.record["proven"]

    def previous_of(self, id):
        return next((good for good in self.record["good"] if good != id and self.is_prepared(good)), None)

    # --- releases and virtualenvs

    def release_path(self, id):
        return os.path.join(self.releases, id)

    def is_prepared(self, id):
        return read_json(os.path.join(self.release_path(id), ".pybundle-release.json")) is not None

    def prepared_release(self, id):
        release = read_json(os.path.join(self.release_path(id), ".pybundle-release.json"))
        if release is None:
            raise Failed("release %s is not prepared on this target" % id)
        return release

    def prepared_ids(self):
        names = (os.path.basename(path) for path in children(self.releases))
        return [name for name in names if self.is_prepared(name)]

    def ready_venvs(self):
        found = {os.path.basename(path): read_json(os.path.join(path, ".ready")) for path in children(self.venvs)}
        return {id: marker for id, marker in found.items() if marker is not None}

    def discard(self, path):
        """Moved away first: a folder that is being removed is never seen half."""
        if not os.path.lexists(path):
            return
        if os.path.realpath(path) == os.path.realpath(self.current_link):
            raise Failed("%s is being served: not removed" % path)
        grave = os.path.join(self.tmp, "gone-%s" % os.path.basename(path))
        remove_any(grave)
        os.rename(path, grave)
        remove_any(grave)

    def clear_leftovers(self):
        for path in children(self.tmp):
            remove_any(path)

    # --- the user, who runs what root must not

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

    @contextlib.contextmanager
    def lent_to_user(self, folder):
        """The user's while it is being built; root's, and read-only to the app, before it is used."""
        if self.user:
            give(folder, self.user.pw_uid, self.user.pw_gid)
        try:
            yield
        finally:
            if self.user:
                give(folder, 0, 0)

    def run_as_user(self, command, cwd, environment, log, inherits=None):
        """In our process group, which the agent kills as one. Output goes to a log, never to our pipes."""
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            preexec_fn=self.become_user,
            pass_fds=(self.work_lock,) if inherits is None else inherits,
        )
        return process.wait()

    # --- logs

    def log_path(self, name):
        return os.path.join(self.log, name + ".log")

    @contextlib.contextmanager
    def hook_log(self, name):
        with HookLog(self.log_path(name)) as log:
            yield log


class HookLog:
    """A log that remembers where this run of its command began."""

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
        raise Failed('user "%s" does not exist on this target: create it, for example with useradd --system' % name)
    if user.pw_uid == 0:
        raise Failed("the app's user must not be root")
    return user


def give(folder, uid, gid):
    """Bottom up and by descriptor: neither the old nor the new owner can lead it astray with a link."""
    for _, folders, files, descriptor in os.fwalk(folder, topdown=False, follow_symlinks=False):
        for name in folders + files:
            os.chown(name, uid, gid, dir_fd=descriptor, follow_symlinks=False)
            mode = os.stat(name, dir_fd=descriptor, follow_symlinks=False).st_mode
            if not stat.S_ISLNK(mode) and mode & 0o7022:
                os.chmod(name, stat.S_IMODE(mode) & 0o755, dir_fd=descriptor)
    os.chown(folder, uid, gid, follow_symlinks=False)


def run_hook(target, release, name, log, inherits=None):
    """One of the app's own commands, in its release, with what the app will have: env_file and the virtualenv."""
    home = target.release_path(release["release"])
    venv = os.path.realpath(os.path.join(home, ".venv"))
    environment = dict(plain_environment(target), **read_env_file(target))
    environment["VIRTUAL_ENV"] = venv
    environment["PATH"] = os.path.join(venv, "bin") + os.pathsep + environment["PATH"]
    target.report.say("%s: %s" % (name, release["app"][name]))
    return target.run_as_user(["/bin/sh", "-c", release["app"][name]], home, environment, log, inherits)


def plain_environment(target):
    """Nothing of ours leaks: no PIP_*, no PYTHON*, no credentials, no proxy."""
    path = os.environ.get("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
    environment = {"PATH": path, "LANG": "C.UTF-8", "HOME": target.shared}
    if target.user:
        environment.update(HOME=target.user.pw_dir, USER=target.user.pw_name, LOGNAME=target.user.pw_name)
    return environment


def read_env_file(target):
    """KEY=value lines, as systemd's EnvironmentFile has them."""
    if not target.config.get("env_file"):
        return {}
    path = target.root + target.config["env_file"]
    as_whom = target.acting_as_user() if path.startswith(target.shared + os.sep) else contextlib.nullcontext()
    try:
        with as_whom, open(path, encoding="utf-8") as file:
            lines = [line.strip() for line in file]
    except OSError as error:
        raise Failed("env_file %s cannot be read: %s" % (path, error.strerror))
    pairs = [line.partition("=") for line in lines if "=" in line and not line.startswith(("#", ";"))]
    return {key.strip(): unquote(value.strip()) for key, _, value in pairs}


def unquote(value):
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'" else value


# ---------------------------------------------------------------------------------------------------------
# Bundles


MEMBER_NAME = re.compile(r"(wheels|tools)/[A-Za-z0-9_.+!-]+\.whl|requirements\.txt|pylock\.toml")


def take_bundle_apart(file, bundle_id, folder):
    """Each member is held against pybundle.json, which is held against the id, before anything uses it."""
    try:
        with zipfile.ZipFile(file) as bundle:
            infos = {info.filename: info for info in bundle.infolist()}
            if len(infos) != len(bundle.infolist()) or "pybundle.json" not in infos:
                raise Failed("not a bundle: it has no pybundle.json, or a member twice")
            if any(info.compress_type != zipfile.ZIP_STORED for info in infos.values()):
                raise Failed("not a bundle: its members must be stored, not compressed")
            text = bundle.read(infos.pop("pybundle.json"))
            if sha256_of(text) != bundle_id:
                raise Failed("the bundle is not the released one: its id is %s" % sha256_of(text))
            manifest = json.loads(text)
            if manifest["format"] != 2 or set(infos) != set(manifest["members"]):
                raise Failed("pybundle.json names other members than the bundle has")
            for name, info in infos.items():
                take_member(bundle, info, manifest["members"][name], folder)
            return manifest
    except (zipfile.BadZipFile, KeyError, ValueError, EOFError, NotImplementedError) as error:
        raise Failed("the bundle cannot be read: %s" % error)


def take_member(bundle, info, expected, folder):
    if not MEMBER_NAME.fullmatch(info.filename):
        raise Failed('a bundle has no member "%s"' % info.filename[:80])
    path = os.path.join(folder, info.filename)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with bundle.open(info) as source, open(path, "xb") as copy:
        digest, size = copy_hashed(source, copy)
    if digest != expected["sha256"] or size != expected["size"]:
        raise Failed('"%s" in the bundle is damaged: its sha256 is %s' % (info.filename, digest))


def choose_python(wanted):
    """The interpreter that fits the bundle's platform; refuses with what is missing."""
    machine = platform.machine()
    if machine != wanted["machine"]:
        raise Refused("the bundle is for %s, this target is %s" % (wanted["machine"], machine))
    kind, version = wanted["libc"]
    own_kind, own_version = own_libc()
    if own_kind != kind or numbers(own_version) < numbers(version):
        needs, has = "%s %s" % (kind, version), "%s %s" % (own_kind, own_version)
        raise Refused("the bundle needs %s or later, this target has %s" % (needs, has))
    if "%d.%d" % sys.version_info[:2] == wanted["python"]:
        return ask_python(os.path.realpath(getattr(sys, "_base_executable", sys.executable)))
    found = shutil.which("python" + wanted["python"])
    if not found:
        running = platform.python_version()
        raise Refused("the bundle needs Python %s; this target has %s and no other" % (wanted["python"], running))
    return ask_python(found)


def ask_python(path):
    """{"path", "version"} of an interpreter, or None."""
    if path == os.path.realpath(getattr(sys, "_base_executable", sys.executable)):
        return {"path": path, "version": platform.python_version()}
    script = "import json, os, platform, sys; print(json.dumps([os.path.realpath(sys.executable), platform.python_version()]))"
    with contextlib.suppress(OSError, ValueError):
        asked = subprocess.run([path, "-I", "-S", "-c", script], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
        real_path, version = json.loads(asked.stdout)
        return {"path": real_path, "version": version}
    return None


def own_libc():
    if sys.platform == "darwin":
        return "macos", platform.mac_ver()[0]
    with contextlib.suppress(ValueError, OSError):
        kind, _, version = os.confstr("CS_GNU_LIBC_VERSION").partition(" ")
        return kind, version
    loaders = [path for path in children("/lib") if os.path.basename(path).startswith("ld-musl-")]
    for loader in loaders:
        said = subprocess.run([loader], stderr=subprocess.PIPE).stderr.decode(errors="replace")
        return "musl", re.search(r"Version (\S+)", said).group(1)
    return "unknown", "0"


def numbers(version):
    return [int(part) for part in re.findall(r"\d+", version)]


# ---------------------------------------------------------------------------------------------------------
# Archives: .tar.gz, .zip. Nothing in them can name a place outside of the folder


def unpack_archive(file, folder):
    os.mkdir(folder)
    unpacking = Unpacking(folder)
    try:
        if zipfile.is_zipfile(file):
            unpack_zip(file, unpacking)
        else:
            unpack_tar(file, unpacking)
    except (tarfile.TarError, zipfile.BadZipFile, gzip.BadGzipFile if hasattr(gzip, "BadGzipFile") else OSError) as error:
        raise Failed("the archive cannot be read: %s" % error)
    except (EOFError, ValueError, NotImplementedError, RuntimeError) as error:
        raise Failed("the archive cannot be read: %s" % error)
    unpacking.check_links()


def unpack_tar(file, unpacking):
    with tarfile.open(file, "r:gz") as archive:
        for member in archive:
            mode = member.mode
            if member.isdir():
                unpacking.add_folder(member.name)
            elif member.issym():
                unpacking.add_link(member.name, member.linkname)
            elif member.isreg():
                unpacking.add_file(member.name, mode, archive.extractfile(member))
            elif member.islnk():
                unpacking.add_copy(member.name, mode, member.linkname)
            else:
                raise Failed('"%s" in the archive is neither a file, a folder nor a link' % member.name[:80])


def unpack_zip(file, unpacking):
    with zipfile.ZipFile(file) as archive:
        for info in archive.infolist():
            mode = info.external_attr >> 16
            kind = stat.S_IFMT(mode)
            if info.is_dir():
                unpacking.add_folder(info.filename)
            elif kind == stat.S_IFLNK and info.file_size < 4096:
                unpacking.add_link(info.filename, archive.read(info).decode())
            elif kind in (0, stat.S_IFREG):
                with archive.open(info) as content:
                    unpacking.add_file(info.filename, stat.S_IMODE(mode), content)
            else:
                raise Failed('"%s" in the archive is neither a file, a folder nor a link' % info.filename[:80])


class Unpacking:
    RESERVED = (".venv", ".pybundle-release.json")

    def __init__(self, folder):
        self.folder = folder
        self.files, self.links = {}, []
        self.bytes = 0

    def add_folder(self, name):
        parts = safe_parts(name)
        if parts:
            self.make_folders(parts)

    def add_file(self, name, mode, content):
        if mode & 0o7000:
            raise Failed('"%s" in the archive is setuid, setgid or sticky' % name[:80])
        path = self.place(name)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        with os.fdopen(os.open(path, flags, 0o755 if mode & 0o100 else 0o644), "wb") as file:
            for chunk in iter(lambda: content.read(1 << 20), b""):
                self.bytes += len(chunk)
                if self.bytes > MAX_CODE_BYTES:
                    raise Failed("the archive unpacks to more than %d MB" % (MAX_CODE_BYTES >> 20))
                file.write(chunk)
        self.files[tuple(safe_parts(name))] = path

    def add_copy(self, name, mode, of):
        original = self.files.get(tuple(safe_parts(of)))
        if original is None:
            raise Failed('"%s" in the archive is a hard link to "%s", which is not in it' % (name[:80], of[:80]))
        with open(original, "rb") as content:
            self.add_file(name, mode, content)

    def add_link(self, name, to):
        if os.path.isabs(to) or "\\" in to:
            raise Failed('"%s" in the archive links to "%s", out of the archive' % (name[:80], to[:80]))
        path = self.place(name)
        os.symlink(to, path)
        self.links.append((name, path))

    def place(self, name):
        """Where a file goes; its folders are made here, never through a link."""
        parts = safe_parts(name)
        if not parts or parts[0] in self.RESERVED:
            raise Failed('the archive must not contain "%s"' % name[:80])
        path = os.path.join(self.make_folders(parts[:-1]), parts[-1])
        if os.path.lexists(path):
            raise Failed('"%s" is in the archive twice' % name[:80])
        if len(self.files) + len(self.links) >= MAX_CODE_FILES:
            raise Failed("the archive has more than %d files" % MAX_CODE_FILES)
        return path

    def make_folders(self, parts):
        path = self.folder
        for part in parts:
            path = os.path.join(path, part)
            with contextlib.suppress(FileExistsError):
                os.mkdir(path, 0o755)
            if not stat.S_ISDIR(os.lstat(path).st_mode):
                raise Failed('"%s" in the archive is a folder and something else' % "/".join(parts)[:80])
        return path

    def check_links(self):
        """When all are there: one link can lead another astray."""
        for name, path in self.links:
            if not is_inside(os.path.realpath(path), self.folder):
                raise Failed('"%s" in the archive links out of the archive' % name[:80])


def safe_parts(name):
    if name.startswith("/") or "\\" in name or re.search(r"[\x00-\x1f\x7f]", name):
        raise Failed("not a path that can be used here: %r" % name[:80])
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise Failed("not a path that can be used here: %r" % name[:80])
    return parts


# ---------------------------------------------------------------------------------------------------------
# S3, with the instance's own role


class Bucket:
    def __init__(self, name, region, report):
        self.name, self.region, self.report = name, region, report
        endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
        suffix = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
        if endpoint:
            self.url = "%s/%s" % (endpoint.rstrip("/"), name)
        elif "." in name:
            self.url = "https://s3.%s.%s/%s" % (region, suffix, name)
        else:
            self.url = "https://%s.s3.%s.%s" % (name, region, suffix)
        self.role = Role()
        self.clock_offset = datetime.timedelta(0)

    def read_json(self, key):
        """None when there is no such object."""
        body = self.get(key, None, lambda answer: answer.read(MAX_JSON_BYTES))
        return None if body is None else json.loads(body)

    def save(self, pinned, path):
        """Fetches exactly the recorded version; returns its sha256."""

        def receive(answer):
            with open(path, "wb") as file:
                return copy_hashed(answer, file, pinned["size"])

        self.report.say("fetching %s (%d KB)" % (pinned["key"], pinned["size"] >> 10))
        saved = self.get(pinned["key"], pinned["versionId"], receive)
        if saved is None:
            raise Failed('"%s" (version %s) is no longer in the bucket' % (pinned["key"], pinned["versionId"]))
        digest, size = saved
        if size != pinned["size"]:
            raise Failed('"%s" has %d bytes or more; its release says %d' % (pinned["key"], size, pinned["size"]))
        self.report.bytes += size
        return digest

    def get(self, key, version, receive):
        """A broken connection starts it again, also in mid-body."""
        problem = ""
        for attempt in range(FETCH_ATTEMPTS):
            if attempt:
                time.sleep(random.uniform(0, min(5, 0.2 * 2**attempt)))
            try:
                with self.request(key, version) as answer:
                    return receive(answer)
            except urllib.error.HTTPError as error:
                code = aws_error_code(error)
                if error.code == 404:
                    return None
                if not self.can_mend(code, error):
                    raise Failed('S3 refused "%s" of bucket "%s": %d %s' % (key, self.name, error.code, code))
                problem = "%d %s" % (error.code, code)
            except (OSError, http.client.HTTPException) as error:
                problem = str(error) or type(error).__name__
            self.report.say("%s: %s; trying again" % (key, problem))
        raise Failed('"%s" could not be fetched: %s' % (key, problem))

    def request(self, key, version):
        path = urllib.parse.quote(key, safe="/-_.~")
        query = {"versionId": version} if version else {}
        url = "%s/%s%s" % (self.url, path, "?" + canonical_query(query) if query else "")
        now = datetime.datetime.now(datetime.timezone.utc) + self.clock_offset
        headers = signed_headers("GET", url, {}, self.role.credentials(), self.region, now)
        return DIRECT_UNLESS_TLS.open(urllib.request.Request(url, headers=headers), timeout=30)

    def can_mend(self, code, error):
        if code == "RequestTimeTooSkewed":
            server_time = email.utils.parsedate_to_datetime(error.headers["Date"])
            self.clock_offset = server_time - datetime.datetime.now(datetime.timezone.utc)
            return True
        if code in ("ExpiredToken", "InvalidToken"):
            self.role.forget()
            return True
        return error.code >= 500 or error.code == 429


class Role:
    """The instance's role, from its metadata service (IMDSv2)."""

    def __init__(self):
        endpoint = os.environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT") or "http://169.254.169.254"
        self.url = endpoint.rstrip("/") + "/latest/"
        self.found = None

    def forget(self):
        self.found = None

    def credentials(self):
        if self.found is None:
            token = self.ask("api/token", {"X-aws-ec2-metadata-token-ttl-seconds": "300"}, "PUT")
            headers = {"X-aws-ec2-metadata-token": token}
            name = self.ask("meta-data/iam/security-credentials/", headers).split("\n")[0]
            self.found = json.loads(self.ask("meta-data/iam/security-credentials/" + name, headers))
        return self.found

    def ask(self, path, headers, method="GET"):
        problem = ""
        for attempt in range(4):
            if attempt:
                time.sleep(random.uniform(0, 0.2 * 2**attempt))
            try:
                request = urllib.request.Request(self.url + path, headers=headers, method=method)
                with DIRECT.open(request, timeout=3) as answer:
                    return answer.read(1 << 16).decode()
            except urllib.error.HTTPError as error:
                if error.code == 404:
                    raise Failed("this instance has no role: attach an instance profile that may read the bucket")
                problem = str(error)
            except (OSError, http.client.HTTPException) as error:
                problem = str(error)
        raise Failed("the instance metadata service does not answer: %s" % problem)


DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
# A proxy of the environment is for the way to S3; plain http is a loopback endpoint.
DIRECT_UNLESS_TLS = urllib.request.build_opener(
    urllib.request.ProxyHandler({kind: url for kind, url in urllib.request.getproxies().items() if kind == "https"})
)


def aws_error_code(error):
    found = re.search(rb"<Code>(\w+)</Code>", error.read(1 << 16))
    return found.group(1).decode() if found else error.reason


def signed_headers(method, url, headers, credentials, region, now, body=b""):
    """AWS Signature Version 4 for S3; the headers of the request, Authorization included."""
    parts = urllib.parse.urlsplit(url)
    stamp, day = now.strftime("%Y%m%dT%H%M%SZ"), now.strftime("%Y%m%d")
    headers = dict(headers)
    headers["x-amz-date"] = stamp
    headers["x-amz-content-sha256"] = sha256_of(body)
    if credentials.get("Token"):
        headers["x-amz-security-token"] = credentials["Token"]
    signed = {name.lower(): value.strip() for name, value in headers.items()}
    signed["host"] = parts.netloc
    names = ";".join(sorted(signed))
    lines = [method, parts.path or "/", canonical_query(dict(urllib.parse.parse_qsl(parts.query, True)))]
    lines += ["%s:%s" % (name, signed[name]) for name in sorted(signed)]
    lines += ["", names, signed["x-amz-content-sha256"]]
    scope = "%s/%s/s3/aws4_request" % (day, region)
    to_sign = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, sha256_of("\n".join(lines).encode())])
    key = ("AWS4" + credentials["SecretAccessKey"]).encode()
    for part in (day, region, "s3", "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    signature = hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()
    headers["Authorization"] = "AWS4-HMAC-SHA256 Credential=%s/%s,SignedHeaders=%s,Signature=%s" % (
        credentials["AccessKeyId"],
        scope,
        names,
        signature,
    )
    return headers


def canonical_query(query):
    pairs = [(urllib.parse.quote(k, safe="-_.~"), urllib.parse.quote(v, safe="-_.~")) for k, v in query.items()]
    return "&".join("%s=%s" % pair for pair in sorted(pairs))


# ---------------------------------------------------------------------------------------------------------
# Files


def sha256_of(content):
    return hashlib.sha256(content).hexdigest()


def copy_hashed(source, copy, limit=None):
    """(sha256, size); stops when there is more than there should be."""
    digest, size = hashlib.sha256(), 0
    for chunk in iter(lambda: source.read(1 << 20), b""):
        digest.update(chunk)
        copy.write(chunk)
        size += len(chunk)
        if limit is not None and size > limit:
            break
    return digest.hexdigest(), size


def read_json(path):
    """None when it is not there."""
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except (FileNotFoundError, NotADirectoryError):
        return None


def write_json(path, content):
    """The old content or the new one, also after a power cut."""
    temporary = "%s.%d.new" % (path, os.getpid())
    with open(temporary, "w", encoding="utf-8") as file:
        json.dump(content, file, ensure_ascii=False)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
    sync_folder(os.path.dirname(path))


def sync_folder(path):
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def children(folder):
    with contextlib.suppress(FileNotFoundError):
        return sorted(entry.path for entry in os.scandir(folder))
    return []


def remove_any(path):
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)


def is_inside(path, folder):
    path, folder = os.path.realpath(path), os.path.realpath(folder)
    return path == folder or path.startswith(folder + os.sep)


def try_lock(descriptor):
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except BlockingIOError:
        return False


def last_lines(path, begin=0):
    """The end of a log, since `begin`; control characters and colours taken out."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return ""
    with os.fdopen(descriptor, "rb") as file:
        size = os.fstat(descriptor).st_size
        file.seek(max(begin if begin <= size else 0, size - 4 * VERDICT_LOG_BYTES))
        text = file.read(4 * VERDICT_LOG_BYTES).decode(errors="replace")
    text = re.sub(r"\x1b\[[0-9;]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f]", "", text)
    return "\n".join(text.strip().split("\n")[-20:])


def utc_now():
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


# ---------------------------------------------------------------------------------------------------------
# Reporting


class Report:
    def __init__(self):
        self.phases, self.bytes, self.log = {}, 0, None
        self.prefix = ""

    def open_log(self, path):
        with contextlib.suppress(OSError):
            self.log = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o644)

    def say(self, text):
        line = ("%s %s%s\n" % (utc_now(), self.prefix, text)).encode("utf-8", "backslashreplace")
        for descriptor in (2, self.log):
            with contextlib.suppress(OSError, TypeError):
                os.write(descriptor, line)

    @contextlib.contextmanager
    def phase(self, name):
        began = time.monotonic()
        try:
            yield
        finally:
            self.phases[name] = round(self.phases.get(name, 0) + time.monotonic() - began, 3)


def print_verdict(verdict):
    """At most 2,000 bytes: the service keeps the beginning of what is printed and cuts the rest."""
    verdict["reason"] = shorten(verdict.get("reason", ""), 500, keep_end=False)
    log_bytes = VERDICT_LOG_BYTES
    while True:
        verdict["log"] = shorten(verdict.get("log", ""), log_bytes, keep_end=True)
        said = {key: value for key, value in verdict.items() if value not in ("", {}) or key == "outcome"}
        line = json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
        if len(line) <= MAX_VERDICT_BYTES or log_bytes == 0:
            break
        log_bytes = max(0, log_bytes - 100)
    os.write(1, line + b"\n")


def shorten(text, limit, keep_end):
    encoded = text.encode("utf-8", "replace")
    if len(encoded) <= limit:
        return text
    kept = encoded[len(encoded) - limit :] if keep_end else encoded[:limit]
    return kept.decode("utf-8", "ignore")


EXIT_CODES = {"done": 0, "running": 0, "failed": 1, "reverted": 1, "refused": 3}


def main():
    os.umask(0o022)
    report, target, command = Report(), None, None
    try:
        command = Command(os.environ)
        report.prefix = "%s %s: " % (command.action, command.release or "-")
        target = Target(json.loads(os.environ["PYBUNDLE_CONFIG"]), report)
        verdict = ACTIONS[command.action](target, command)
    except Failed as failure:
        verdict = {"outcome": failure.outcome, "reason": failure.reason, "log": failure.log}
    except OSError as error:
        report.say(traceback.format_exc())
        verdict = {"outcome": "failed", "reason": str(error)}
    except Exception as error:
        report.say(traceback.format_exc())
        verdict = {"outcome": "failed", "reason": "a bug: %s: %s" % (type(error).__name__, error)}
    report.say("%s %s" % (verdict["outcome"], verdict["reason"]))
    said = {"action": command.action if command else "unknown", "outcome": "", "current": target and target.current()}
    if command and command.release:
        said["release"] = command.release
    said.update(verdict, phases=report.phases, bytes=report.bytes)
    print_verdict(said)
    return EXIT_CODES[verdict["outcome"]]


if __name__ == "__main__":
    sys.exit(main())
