"""How a target runs a release's migration: once for the fleet, detached from the command that started it.

A part of pybundle_target.py, which fetches it and runs it only if its sha256 is the one that the operator's
document names. state/migrations/<rollout>.json says how a migration stands; a lock that the app's command
inherits, whether it lives.
"""
import contextlib
import os
import subprocess
import time
import traceback

from pybundle_target import (
  Failed,
  Refused,
  done,
  last_lines,
  load_program,
  read_json,
  run_hook,
  sync_folder,
  try_lock,
  utc_now,
  wait_for,
  write_json,
)

POLL_SECONDS = 15
STEPS = ("before_migrate", "migrate_command", "after_migrate")
INTERRUPTED = {
  "before_migrate": "the migration was interrupted before it began",
  "migrate_command": "the migration was interrupted: find out how far it came before going on",
  "after_migrate": "after_migrate was interrupted, when the migration had ended",
}


def begin(target, command):
  """The verdict where there is nothing to wait for."""
  if migration_record(target, command.rollout) is not None:
    return None
  load_program(target, "verify").refuse_replay(target, command.release)
  release = target.prepared(command.release)
  running = running_migration(target)
  target.report.migration = "running" if running else "none"
  if running:
    raise Refused("the migration of rollout %s is still running here" % running)
  if not release["app"]["migrate_command"]:
    return done("the app has no migration")
  if nothing_to_migrate(target, release):
    return done("nothing to migrate")
  target.report.say("migrating: %s" % release["app"]["migrate_command"])
  start_migration(target, command.rollout, release)
  return None


def wait_for_migration(target, rollout):
  deadline = time.monotonic() + POLL_SECONDS
  while True:
    record, alive = stand(target, rollout)
    if record["status"] == "done":
      return done("migrated")
    log = last_lines(target.log_path("migrate-" + rollout))
    target.report.logs[target.log_path("migrate-" + rollout)] = 0
    if record["status"] == "failed":
      raise Failed("%s failed with exit code %s" % (record["step"], record["code"]), log)
    if not alive:
      raise Failed(INTERRUPTED[record["step"]], log)
    if time.monotonic() > deadline:
      return {"outcome": "running", "reason": "the migration runs since %s" % record["began"]}
    time.sleep(0.1)


def stand(target, rollout):
  """How it stands, which the verdict will say."""
  alive = running_migration(target) is not None
  record = migration_record(target, rollout) or {"status": "running", "step": STEPS[0], "began": utc_now()}
  target.report.migration = standing(record, alive)
  return record, alive


def standing(record, alive):
  """In one word, as the rollout goes by it."""
  if record["status"] == "running" and alive:
    return "running"
  if record["status"] == "done" or record["step"] == "after_migrate":
    return "ended"
  if record["step"] == "before_migrate":
    return "none"
  return "failed" if record["status"] == "failed" else "interrupted"


def migration_path(target, rollout):
  return target.state / "migrations" / (rollout + ".json")


def migration_record(target, rollout):
  path = migration_path(target, rollout)
  exists, record = os.path.lexists(path), read_json(path)
  if exists and record is None:  # else it would run again
    raise Refused("%s has a second name, or another owner: remove the backup of hard links, if there is one" % path)
  return record


def migration_lock(target):
  """None while a migration runs."""
  return try_lock(target.state / "migration.lock")


def running_migration(target):
  """The rollout whose migration runs; another command that asks holds the lock for a moment."""
  lock = wait_for(0.2, lambda: migration_lock(target))
  if lock is not None:
    os.close(lock)
    return None
  records = (target.state / "migrations").glob("*.json")
  running = [path.stem for path in records if (read_json(path) or {}).get("status") == "running"]
  return running[0] if running else "(starting)"


def nothing_to_migrate(target, release):
  if not release["app"]["migrate_check_command"]:
    return False
  with target.open_log("migrate-check") as log:
    return run_hook(target, release, "migrate_check_command", log) == 0


def start_migration(target, rollout, release):
  migration_path(target, rollout).parent.mkdir(exist_ok=True)
  sync_folder(target.state)  # else the first record would go with its folder when the power does
  lock = wait_for(5, lambda: migration_lock(target))
  if lock is None:
    raise Refused("another migration is still running here")
  child = os.fork()
  if child == 0:
    try:
      os.setsid()
      if os.fork() == 0:
        run_migration(target, rollout, release, lock)
    finally:
      os._exit(0)
  os.waitpid(child, 0)
  os.close(lock)


def run_migration(target, rollout, release, lock):
  """In a process of its own that holds nothing of the command's: not its pipes, not the machine lock."""
  log = target.open_log("migrate-" + rollout)
  os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
  os.dup2(log.fileno(), 1)
  os.dup2(log.fileno(), 2)
  for descriptor in range(3, 256):
    if descriptor not in (lock, log.fileno()):
      with contextlib.suppress(OSError):
        os.close(descriptor)
  leave_unit("pybundle-migrate-%s.scope" % rollout)
  record = {"release": release["release"], "status": "running", "began": utc_now()}
  try:
    for step in [name for name in STEPS if release["app"].get(name)]:
      record["step"] = step
      write_json(migration_path(target, rollout), record)
      code = run_hook(target, release, step, log, inherits=lock)
      if code != 0:
        break
    record.update(status="failed" if code else "done", code=code)
  except BaseException as error:
    traceback.print_exc()
    record.update(status="failed", code=str(error))
  write_json(migration_path(target, rollout), dict(record, ended=utc_now()))


def leave_unit(name):
  """Where systemd is: the agent's unit may end with all that it has started, as the snap of it does."""
  manager = ["org.freedesktop.systemd1", "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager"]
  move = ["StartTransientUnit", "ssa(sv)a(sa(sv))", name, "fail", "1", "PIDs", "au", "1", str(os.getpid()), "0"]
  if os.path.isdir("/run/systemd/system") and os.geteuid() == 0:
    with contextlib.suppress(OSError, subprocess.SubprocessError):
      quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
      subprocess.run(["busctl", "call", *manager, *move], timeout=10, **quiet)
