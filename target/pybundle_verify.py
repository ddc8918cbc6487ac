"""Whether somebody who may has signed for a release: held against the keys of the operator's document.

What pybundle_target.py asks before it prepares, migrates, activates or goes back to anything. Neither who may upload
to the bucket nor the functions that send commands can bring code of their own here, mix two releases, or bring an old
one back.
"""
import base64
import hashlib
import json
import os
import shlex
import subprocess

from pybundle_target import Failed, Refused, find_user, now, plain_environment, sha256_of

NAMESPACE = "pybundle-deploy"
WHO = "publisher"  # one name for all keys: who it was is told by the key's fingerprint
VERIFY_SECONDS = 20
AHEAD_MS = 3_600_000  # of a publisher's clock: a serial from next year would be the last one
SETTINGS = "export PYBUNDLE_CONFIG="
REVOKED = -1  # in the place of a serial: none that was accepted


def verify(target, asked, request):
  """Remembers what was signed; Refused unless it is this release, for this target, and not over."""
  refuse_misnamed(asked)
  keys = learn_signers(target)
  if not keys:
    return
  signed = read_signed(target, request)
  signer = check_signature(target, signed, keys)
  said = json.loads(signed["statement"])
  wanted = dict(bucket=target.bucket.name, environment=target.environment, app=target.app, request=request)
  wanted.update(bundle=asked.bundle, code=asked.code)
  for name, value in wanted.items():
    if said[name] != value:
      raise Refused("what was signed is for %s %s, not for %s" % (name, said[name], value))
  accept(target, asked.release, said["serial"], said["replaces"], signer)


def refuse_misnamed(asked):
  if sha256_of("bundle:%s\ncode:%s\n" % (asked.bundle, asked.code))[:12] != asked.release:
    raise Refused("release %s is not made of this bundle and this code" % asked.release)


def refuse_replay(target, id):
  """Prepared once is not enough: it is what was signed last, or what that replaced."""
  refuse_unaccepted(target, learn_signers(target), id, 2)


def refuse_revert(target, id, back):
  """From what was signed last, once, to what that replaced."""
  try:
    keys = learn_signers(target)
  except Failed as failure:
    keys = target.config["signers"]
    target.report.say("%s; going back by the keys that were known" % failure.reason)
  refuse_unaccepted(target, keys, id, 1)
  refuse_way_back(target, back)


def refuse_way_back(target, back):
  """By memory alone: no service that does not answer keeps a target on a release that fails.

  What ran before anything was signed is gone back to from the first that was, and from no other.
  """
  taken = target.memory["accepted"]
  if back and (back in target.memory["serials"] or any(taken[1:])):
    refuse_unaccepted(target, taken, back, 2)


def refuse_unaccepted(target, keys, id, accepted):
  taken = target.memory["accepted"]
  if (taken or keys) and target.memory["serials"].get(id) not in taken[:accepted]:
    raise Refused("release %s is not what was signed last" % id)


def learn_signers(target):
  """Who signs now. Of those who do no more nothing is accepted from here on."""
  keys = current_signers(target)
  forget_revoked(target, keys)
  return keys


def current_signers(target):
  """Of the document as it stands now: which of its versions a command runs is up to whoever sends it."""
  document = target.aws.ask_ssm("GetDocument", Name=target.config["document"], DocumentVersion="$LATEST")
  lines = json.loads(document["Content"])["mainSteps"][0]["inputs"]["runCommand"]
  settings = next(line for line in lines if line.startswith(SETTINGS))
  return json.loads(shlex.split(settings[len(SETTINGS) :])[0])["signers"]


def forget_revoked(target, keys):
  """What was accepted by a key that is a signer's no more is not activated again, nor gone back to."""
  memory = target.memory
  known, signed_by = {fingerprint(key) for key in keys}, memory.get("signed_by", {})
  if not keys:
    target.remember(accepted=[], serials={}, signed_by={})
  elif not known.issuperset(signed_by.values()):
    good = {id: serial for id, serial in memory["serials"].items() if signed_by.get(id) in known}
    target.remember(serials=dict(dict.fromkeys(memory["serials"], REVOKED), **good))


def read_signed(target, request):
  key = "%s/%s/requests/%s.request" % (target.environment, target.app, request)
  content = target.bucket.read_json(key) if request else None
  signed = content.get("signed") if isinstance(content, dict) else None
  if not isinstance(signed, dict) or {type(signed.get(name)) for name in ("statement", "signature")} != {str}:
    raise Refused("nobody has signed for this release: ask for it again, with a signing_key")
  return signed


def check_signature(target, signed, keys):
  """By the target's own OpenSSH, as a user without rights: what it reads came from outside. The signer's fingerprint."""
  signers, signature = target.tmp / "signers", target.tmp / "signature"
  signers.write_text("".join('%s namespaces="%s" %s\n' % (WHO, NAMESPACE, key) for key in keys))
  signature.write_text(signed["signature"])
  command = ["ssh-keygen", "-Y", "verify", "-f", signers, "-I", WHO, "-n", NAMESPACE, "-s", signature]
  with target.open_log("verify") as log:
    streams = {"stdin": subprocess.PIPE, "stdout": log, "stderr": log}
    settings = {"cwd": "/", "env": plain_environment(target), "preexec_fn": become_nobody(target)}
    try:
      process = subprocess.Popen(command, **streams, **settings)
      process.communicate(signed["statement"].encode(), VERIFY_SECONDS)
    except FileNotFoundError:
      raise Refused("this target has no ssh-keygen to verify with: install OpenSSH 8.2 or later")
    except subprocess.TimeoutExpired:
      process.kill()
      raise Refused("ssh-keygen did not answer within %d s" % VERIFY_SECONDS)
    said = log.tail()
    if process.returncode != 0:
      raise Refused("this was signed by none of the signers", said)
    target.report.say(said)
  signer = next((known for known in map(fingerprint, keys) if known in said.split()), None)
  if signer is None:
    raise Refused("ssh-keygen did not say whose key it was", said)
  return signer


def fingerprint(key):
  """As OpenSSH tells it."""
  digest = hashlib.sha256(base64.b64decode(key.split()[1])).digest()
  return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


def become_nobody(target):
  """Between fork and exec. Not the app's user, who could lay hands on a process of his own."""
  nobody = find_user("nobody") if target.user else None

  def become():
    if nobody:
      os.setgroups([])
      os.setgid(nobody.pw_gid)
      os.setuid(nobody.pw_uid)

  return become


def accept(target, id, serial, replaces, signer):
  """What was signed last, or what ran when that was signed, to which a fleet goes back by itself."""
  newest, back = target.memory["accepted"] or (0, 0)
  known = target.memory["serials"]
  serves = max(known.get(target.current(), 0), 0)
  if serial > ((now() + target.aws.clock_offset).timestamp() * 1000) + AHEAD_MS:
    raise Refused("it was signed by a clock that is more than an hour ahead: set that clock, and ask again")
  if serial > newest:
    # What the signer was told that it replaces may be a lie: nothing older than what was accepted here.
    back = replaces if replaces >= newest or replaces in (back, serves) else serves
    newest = serial
  elif serial not in (newest, back) or serial in [of for other, of in known.items() if other != id]:
    raise Refused("it was signed before what this target knows of: ask again, as an old request is over")
  kept = {other: of for other, of in known.items() if target.marker(other)}
  signed_by = {other: by for other, by in target.memory.get("signed_by", {}).items() if other in kept}
  target.remember(
    accepted=[newest, back], serials=dict(kept, **{id: serial}), signed_by=dict(signed_by, **{id: signer})
  )
