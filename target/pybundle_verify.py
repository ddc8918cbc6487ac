"""Whether somebody who may has signed for a release: held against the keys of the operator's document.

What pybundle_target.py asks before it prepares anything. Neither who may upload to the bucket nor the functions
that send commands can bring code of their own here, mix two releases, or bring an old one back.
"""
import json
import os
import subprocess

from pybundle_target import Refused, find_user, now, plain_environment, refuse_misnamed

NAMESPACE = "pybundle-deploy"
WHO = "publisher"  # one name for all keys: who it was is told by the key's fingerprint
VERIFY_SECONDS = 20
AHEAD_MS = 3_600_000  # of a publisher's clock: a serial from next year would be the last one


def verify(target, asked, request):
  """Remembers what was signed; Refused unless it is this release, for this target, and not over."""
  refuse_misnamed(asked)
  signed = read_signed(target, request)
  check_signature(target, signed)
  said = json.loads(signed["statement"])
  wanted = dict(bucket=target.bucket.name, environment=target.environment, app=target.app, request=request)
  wanted.update(bundle=asked.bundle, code=asked.code)
  for name, value in wanted.items():
    if said[name] != value:
      raise Refused("what was signed is for %s %s, not for %s" % (name, said[name], value))
  accept(target, asked.release, said["serial"], said["replaces"])


def read_signed(target, request):
  key = "%s/%s/requests/%s.request" % (target.environment, target.app, request)
  content = target.bucket.read_json(key) if request else None
  signed = content.get("signed") if isinstance(content, dict) else None
  if not isinstance(signed, dict) or {type(signed.get(name)) for name in ("statement", "signature")} != {str}:
    raise Refused("nobody has signed for this release: ask for it again, with a signing_key")
  return signed


def check_signature(target, signed):
  """By the target's own OpenSSH, as a user without rights: what it reads came from outside."""
  signers, signature = target.tmp / "signers", target.tmp / "signature"
  keys = target.config["signers"]
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
      raise Refused("this target has no ssh-keygen to verify with: install OpenSSH 8.1 or later")
    except subprocess.TimeoutExpired:
      process.kill()
      raise Refused("ssh-keygen did not answer within %d s" % VERIFY_SECONDS)
    if process.returncode != 0:
      raise Refused("this was signed by none of the signers", log.tail())
    target.report.say(log.tail())


def become_nobody(target):
  """Between fork and exec. Not the app's user, who could lay hands on a process of his own."""
  nobody = find_user("nobody") if target.user else None

  def become():
    if nobody:
      os.setgroups([])
      os.setgid(nobody.pw_gid)
      os.setuid(nobody.pw_uid)

  return become


def accept(target, id, serial, replaces):
  """What was signed last, or what ran when that was signed, to which a fleet goes back by itself."""
  newest, back = target.memory["accepted"] or (0, 0)
  serves = target.memory["serials"].get(target.current(), 0)
  if serial > ((now() + target.aws.clock_offset).timestamp() * 1000) + AHEAD_MS:
    raise Refused("it was signed by a clock that is more than an hour ahead: set that clock, and ask again")
  if serial > newest:
    # What the signer was told that it replaces may be a lie: nothing older than what was accepted here.
    back = replaces if replaces >= newest or replaces in (back, serves) else serves
    newest = serial
  elif serial not in (newest, back):
    raise Refused("it was signed before what this target knows of: ask again, as an old request is over")
  serials = {known: of for known, of in target.memory["serials"].items() if target.marker(known)}
  target.remember(accepted=[newest, back], serials=dict(serials, **{id: serial}))
