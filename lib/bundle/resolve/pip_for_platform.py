"""Runs pip as if it ran on another platform; told to fetch, `pip download` takes files through a cache.

Arguments: what it needs to know, as JSON, then pip's own. It reaches into pip, alike from 23.0 to 26.3:

pip        where pip is unpacked
modules    where modules of ours are
markers    PEP 508's variables on the platform. pip evaluates markers with the Python that it runs on, whatever
           --platform says, and silently leaves out what others need (https://github.com/pypa/pip/issues/11664)
fetch      files: a folder that outlives the run, each file below its sha256; own: one that does not, for files of
           which an index tells no sha256; answer: the file that is to hold what was chosen and fetched
"""

import json
import os
import sys

TASK = json.loads(sys.argv[1])
sys.argv[:2] = ["pip"]
sys.path[:0] = [TASK["pip"], TASK["modules"]]

import fcntl
import hashlib
import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from pip._internal.cli.main import main
from pip._internal.commands.download import DownloadCommand
from pip._internal.exceptions import CommandError, DistributionNotFound, HashError, HashErrors, PipError
from pip._internal.index.package_finder import PackageFinder
from pip._internal.network.utils import raise_for_status
from pip._internal.operations.prepare import RequirementPreparer
from pip._internal.req.req_set import RequirementSet
from pip._internal.utils.misc import redact_auth_from_url
from pip._vendor.packaging import markers
from pip._vendor.packaging.requirements import InvalidRequirement, Requirement
from pip._vendor.packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from pip._vendor.packaging.version import InvalidVersion
from pip._vendor.urllib3.exceptions import HTTPError
import platform_markers

WORKERS = 6
TRIES_WITHOUT_PROGRESS = 4
BLOCK = 256 * 1024


def main_for_platform():
  platform_markers.use(markers, TASK["markers"])
  if TASK.get("fetch"):
    fetch_instead_of_saving()
  return main()


def fetch_instead_of_saving():
  """Choosing needs the metadata of wheels alone. What was chosen is fetched at the end, all at once."""
  chosen, passed_over = [], []
  run, fetch_metadata = DownloadCommand.run, RequirementPreparer._fetch_metadata_only

  def fetch_metadata_of_hashed(preparer, requirement):
    # Hashes are compared when the file is there: pip would fetch one after the other instead.
    preparer.require_hashes, required = False, preparer.require_hashes
    try:
      return fetch_metadata(preparer, requirement)
    except Exception:
      # Not every index answers for parts of files as pip expects: then it fetches the whole one.
      return None
    finally:
      preparer.require_hashes = required

  def run_and_fetch(command, options, arguments):
    try:
      status = run(command, options, arguments)
    except DistributionNotFound as error:
      tell({"unfit": unfit_wheels(str(error), passed_over)})
      raise
    if status == 0:
      answer(fetch_all(chosen))
    return status

  PackageFinder._log_skipped_link = lambda finder, link, *reasons: passed_over.append(link)
  RequirementPreparer._fetch_metadata_only = fetch_metadata_of_hashed
  RequirementPreparer.prepare_linked_requirements_more = lambda *arguments, **options: None
  RequirementPreparer.save_linked_requirement = lambda *arguments: chosen.append(arguments)
  # pip 23.2 looks into each file for it.
  RequirementSet.warn_legacy_versions_and_specifiers = lambda *arguments: None
  DownloadCommand.run = run_and_fetch


def unfit_wheels(complaint, passed_over):
  """Of what was not found: newest first, those for the platform's CPU before others."""
  _, _, asked = complaint.partition("No matching distribution found for ")
  try:
    requirement = Requirement(asked.strip())
  except InvalidRequirement:
    return []
  wheels = {}
  for link in passed_over:
    try:
      name, version, *_ = parse_wheel_filename(link.filename)
    except (InvalidWheelFilename, InvalidVersion):
      continue
    if name == canonicalize_name(requirement.name) and requirement.specifier.contains(version, prereleases=True):
      wheels[link.filename] = (version, TASK["markers"]["platform_machine"] in link.filename)
  return sorted(wheels, key=wheels.get, reverse=True)


def answer(files):
  with open(TASK["fetch"]["answer"], "w", encoding="utf-8") as output:
    json.dump(files, output)


def fetch_all(chosen):
  refuse_sources(requirement for _, requirement in chosen)
  progress, mismatches, failures = Progress(len(chosen)), HashErrors(), []

  def fetch_one(preparer, requirement):
    try:
      allowed = preparer._get_linked_req_hashes(requirement)
      path = fetch(preparer._session, requirement, progress)
      if allowed:
        allowed.check_against_path(path)
      progress.add("done", 1)
      return describe(requirement, path)
    except HashError as error:
      error.req = requirement
      mismatches.append(error)
    # What requests raises is an OSError too.
    except (OSError, PipError, HTTPError, Broken) as error:
      failures.append(f"{redact_auth_from_url(requirement.link.url_without_fragment)}: {error}")

  with ThreadPoolExecutor(WORKERS) as workers:
    files = list(workers.map(lambda pair: fetch_one(*pair), chosen))
  if failures:
    raise CommandError("\n  ".join(
      [f"could not download {len(failures)} of {len(files)} files:", *sorted(failures)]
    ) + "\nThe others are kept, and what there is of these: run it again to go on.")
  if mismatches:
    raise mismatches
  return files


def refuse_sources(requirements):
  """What a package's metadata names by its address is fetched by pip, whatever it was told of wheels."""
  sources = [
    f"{requirement.name} ({redact_auth_from_url(requirement.link.url_without_fragment)})"
    for requirement in requirements if not requirement.link.is_wheel
  ]
  if sources:
    raise CommandError(
      f"{', '.join(sources)}: another package names it by the address of its source, which no target should have to"
      " build. Put a wheel of it into an index, and have that package ask for it by name."
    )


def describe(requirement, path):
  asked = {"name": requirement.name, "extras": sorted(requirement.extras), "isRoot": requirement.user_supplied}
  return {"path": path, **asked}


class Broken(Exception):
  """A file did not come whole, or is another one."""


def fetch(session, requirement, progress):
  link = requirement.link
  if link.is_file:
    return link.file_path
  known = link.hash if link.hash_name == "sha256" else None
  folder = os.path.join(TASK["fetch"]["files"], known) if known else TASK["fetch"]["own"]
  path = os.path.join(folder, link.filename)
  os.makedirs(folder, exist_ok=True)
  if is_here(path, known):
    return path
  with open(f"{path}.part", "ab") as part:
    # Another run may want the same file.
    fcntl.flock(part, fcntl.LOCK_EX)
    if is_here(path, known):
      return path
    fill(part, session, requirement, known, progress)
    os.fsync(part.fileno())
    os.replace(part.name, path)
  return path


def is_here(path, known):
  """Read each time: a disk that failed must not be told as tampering for ever."""
  return known is not None and os.path.exists(path) and digest(path) == known


def fill(part, session, requirement, known, progress):
  # Where an index gives no parts of files, pip had to fetch this one whole to choose it.
  if requirement.local_file_path and os.path.isfile(requirement.local_file_path):
    part.truncate(0)
    with open(requirement.local_file_path, "rb") as whole:
      shutil.copyfileobj(whole, part)
  elif part.tell() == 0 or not known or digest(part.name) != known:
    receive_all(part, session, requirement.link, progress)
  part.flush()
  found = digest(part.name)
  if known and found != known:
    part.truncate(0)
    raise Broken(f"its sha256 is {found}, not {known} as the index says")


def digest(path):
  sha256 = hashlib.sha256()
  with open(path, "rb") as content:
    for block in iter(lambda: content.read(BLOCK), b""):
      sha256.update(block)
  return sha256.hexdigest()


def receive_all(part, session, link, progress):
  """Goes on where the connection broke, as long as that leads further."""
  failed = 0
  while True:
    before = part.seek(0, os.SEEK_END)
    # The session itself asks again, as often as the user tells pip to.
    with ask_for_rest(part, session, link) as response:
      try:
        return receive(part, response, progress)
      except (OSError, HTTPError, Broken):
        failed = 1 if part.tell() > before else failed + 1
        if failed >= TRIES_WITHOUT_PROGRESS:
          raise
    time.sleep(0.25 * 2 ** failed)


def ask_for_rest(part, session, link):
  start = part.tell()
  # Compressed on the way, a file has no byte positions to go on from. Kept by its sha256, it need not be kept twice.
  headers = {"Accept-Encoding": "identity", "Cache-Control": "no-store"}
  if start:
    headers["Range"] = f"bytes={start}-"
  response = session.get(link.url_without_fragment, headers=headers, stream=True)
  if response.status_code == 416:
    part.truncate(0)
    raise Broken("there is less of it than was fetched before")
  raise_for_status(response)
  if not response.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
    part.truncate(0)
  return response


def receive(part, response, progress):
  declared = response.headers.get("Content-Length")
  received = 0
  for block in response.raw.stream(BLOCK, decode_content=False):
    part.write(block)
    received += len(block)
    progress.add("bytes", len(block))
  if declared and received < int(declared):
    raise Broken(f"the connection was closed after {received} of {declared} bytes")


class Progress:
  """Told once a second."""

  def __init__(self, files):
    self.state = {"files": files, "done": 0, "bytes": 0}
    self.told = time.monotonic()
    self.lock = threading.Lock()

  def add(self, key, count):
    with self.lock:
      self.state[key] += count
      if time.monotonic() - self.told >= 1:
        self.told = time.monotonic()
        tell({"fetched": self.state})


def tell(what):
  """In a line that begins with the record separator of RFC 7464."""
  print("\x1e" + json.dumps(what), flush=True)


sys.exit(main_for_platform())
