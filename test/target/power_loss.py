"""What a disk holds when the power goes: all that was synced, and of the rest any part.

A disk is a table of inodes. os.sync makes all of them durable as they are, os.fsync one: of a file its content,
of a folder its entries. Of what has changed since, each entry and each content is as it was or as it is, each by
itself, and a new content may also be cut off, as far as to nothing. What was renamed has one of its two names.

  python power_loss.py FOLDER DURABLE SEED   ends who works in the folder, and plays one such loss
"""

import contextlib
import os
import pathlib
import pickle
import random
import shutil
import signal
import stat
import sys
import time

held = {}  # while a durable inode is open, no new one is given its number


def note_synced(durable, folder, descriptor=None):
  if descriptor is None:
    disk = read_disk(folder)
  else:
    disk = pickle.loads(pathlib.Path(durable).read_bytes())
    synced = "/proc/self/fd/%d" % descriptor
    number, disk[number] = os.stat(synced).st_ino, read_inode(synced, os.stat(synced))
    hold(synced, number, 0)
    for name in disk[number].get("entries", ()):
      hold(os.path.join(synced, name), disk[number]["entries"][name])
  # Whoever is ended while it writes leaves what was durable before.
  beside = pathlib.Path("%s.%d" % (durable, os.getpid()))
  beside.write_bytes(pickle.dumps(disk))
  beside.replace(durable)


def hold(path, number, flags=os.O_NOFOLLOW):
  if number not in held:
    held[number] = os.open(path, os.O_PATH | flags)


def read_disk(folder):
  disk = {}
  for path in [folder, *(os.path.join(*at) for at in walk(folder))]:
    status = os.lstat(path)
    disk[status.st_ino] = read_inode(path, status)
    hold(path, status.st_ino)
  return disk


def walk(folder):
  for above, folders, files in os.walk(folder):
    yield from ((above, name) for name in folders + files)


def read_inode(path, status):
  if stat.S_ISLNK(status.st_mode):
    return {"to": os.readlink(path)}
  mode = stat.S_IMODE(status.st_mode)
  if stat.S_ISDIR(status.st_mode):
    return {"mode": mode, "entries": {entry.name: entry.inode() for entry in os.scandir(path)}}
  return {"mode": mode, "time": status.st_mtime_ns, "content": pathlib.Path(path).read_bytes()}


class Loss:
  def __init__(self, was, now, seed):
    self.was, self.now, self.random = was, now, random.Random(seed)
    self.chance = self.random.random()  # of what was not synced to be there nevertheless
    self.made = {}
    self.moved = {number: self.survives() for number in sorted(renamed(was, now))}

  def make(self, number, path):
    was, now = self.was.get(number), self.now.get(number)
    newest = now or was
    if number in self.made:
      os.link(self.made[number], path, follow_symlinks=False)
    elif "to" in newest:
      os.symlink(newest["to"], path)
    elif "entries" in newest:
      os.mkdir(path, newest["mode"])
      self.fill(path, was["entries"] if was else {}, now["entries"] if now else {})
    else:
      pathlib.Path(path).write_bytes(self.content(was, now))
      os.chmod(path, newest["mode"])
      os.utime(path, ns=(newest["time"], newest["time"]))
      self.made[number] = path

  def fill(self, path, was, now):
    for name in sorted({*was, *now}):
      number = self.entry(was.get(name), now.get(name))
      if number is not None:
        self.make(number, os.path.join(path, name))

  def entry(self, was, now):
    if was == now or self.moved.get(now):
      return now
    if was in self.moved and not self.moved[was]:
      return was
    has_come = now not in self.moved and self.survives()
    return now if has_come else None if was in self.moved else was

  def content(self, was, now):
    if not now or (was and was["content"] == now["content"]):
      return was["content"]
    if self.survives():
      return now["content"]
    if was and self.survives():
      return was["content"]
    return now["content"][: self.random.choice([0, self.random.randrange(len(now["content"]) + 1)])]

  def survives(self):
    return self.random.random() < self.chance


def renamed(was, now):
  before, after = names(was), names(now)
  return [
    number
    for number in before.keys() & after.keys()
    if before[number] != after[number] and len(before[number]) == len(after[number]) == 1
  ]


def names(disk):
  found = {}
  for folder, inode in disk.items():
    for name, number in inode.get("entries", {}).items():
      found.setdefault(number, []).append((folder, name))
  return found


def end_processes(folder):
  """All who have something open below it; nobody outlives a power cut."""
  found = True
  while found:
    found = [process for process in pathlib.Path("/proc").glob("[0-9]*") if works_in(process, folder)]
    for process in found:
      with contextlib.suppress(ProcessLookupError):
        os.kill(int(process.name), signal.SIGKILL)
    time.sleep(0.001)


def works_in(process, folder):
  with contextlib.suppress(OSError):
    places = [process / "cwd", *(process / "fd").iterdir()]
    return any(os.readlink(place).startswith(folder + "/") for place in places)
  return False


def main(folder, durable, seed):
  end_processes(folder)
  was, now = pickle.loads(pathlib.Path(durable).read_bytes()), read_disk(folder)
  top = os.stat(folder).st_ino
  shutil.rmtree(folder)
  Loss(was, now, seed).make(top, folder)


if __name__ == "__main__":
  main(*sys.argv[1:])
