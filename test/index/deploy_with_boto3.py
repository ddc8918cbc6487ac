"""What `pybundle publish-code` does, by boto3 alone: the code in parts, then a request that names its digest.

Prints what came of it as JSON, with what SSM's paginators and waiters say of the same rollout.
"""

import datetime
import hashlib
import json
import secrets
import sys
import time

import boto3
from boto3.s3.transfer import TransferConfig

bucket, archive = sys.argv[1:]
FOLDER = "staging/guestbook/"
IN_PARTS = TransferConfig(multipart_threshold=5 << 20, multipart_chunksize=5 << 20)
PATIENCE = {"Delay": 1, "MaxAttempts": 60}
s3, ssm = boto3.client("s3"), boto3.client("ssm")


def main():
  asked = publish()
  record = outcome_of(asked)
  commands = pages("list_commands", "Commands", 2, Filters=[{"key": "InvokedAfter", "value": asked["requestedAt"]}])
  ids = [command["CommandId"] for command in commands if command["Comment"].startswith(asked["id"])]
  invocations = pages("list_command_invocations", "CommandInvocations", 1, CommandId=ids[0], Details=True)
  fleet = pages("describe_instance_information", "InstanceInformationList", 5)
  print(json.dumps({
    "release": record["release"],
    "outcome": record["outcome"],
    "current": read(FOLDER + "state.json")["current"]["release"],
    "parts": int(s3.head_object(Bucket=bucket, Key=asked["code"]["key"])["ETag"].strip('"').split("-")[1]),
    "commands": len(set(ids)),
    "invocations": sorted(invocation["InstanceId"] for invocation in invocations),
    "fleet": sorted(instance["InstanceId"] for instance in fleet),
    "status": status_of(fleet[0]["InstanceId"]),
    "keys": len(s3_keys(page_size=2)),
    "refused": refusals(asked, ids[0]),
  }))


def publish():
  with open(archive, "rb") as file:
    digest = hashlib.sha256(file.read()).hexdigest()
  now = datetime.datetime.now(datetime.timezone.utc)
  bundle = read(FOLDER + "state.json")["current"]["bundle"]
  asked = {
    "format": 1,
    "action": "deploy",
    "id": "%s-%s" % (now.strftime("%Y%m%dt%H%M%Sz"), secrets.token_hex(4)),
    "environment": "staging",
    "app": "guestbook",
    "requestedBy": "boto3",
    "requestedAt": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
    "bundle": {"key": "%sbundles/%s.pybundle" % (FOLDER, bundle), "digest": bundle},
    "code": {"key": "%scode/boto3.tar.gz" % FOLDER, "digest": digest},
  }
  metadata = {"pybundle-request": asked["id"]}
  s3.upload_file(archive, bucket, asked["code"]["key"], ExtraArgs={"Metadata": metadata}, Config=IN_PARTS)
  create(request_key(asked), asked)
  return asked


def outcome_of(asked):
  key = "%srollouts/%s.json" % (FOLDER, asked["id"])
  s3.get_waiter("object_exists").wait(Bucket=bucket, Key=key, WaiterConfig=PATIENCE)
  for _ in range(240):
    record = read(key)
    if record["outcome"] != "running":
      return record
    time.sleep(0.25)
  raise SystemExit("%s is still running" % key)


def status_of(instance):
  sent = ssm.send_command(
    DocumentName="pybundle-staging-guestbook", InstanceIds=[instance], Parameters={"action": ["status"]}
  )
  where = {"CommandId": sent["Command"]["CommandId"], "InstanceId": instance}
  ssm.get_waiter("command_executed").wait(**where, WaiterConfig=PATIENCE)
  return json.loads(ssm.get_command_invocation(**where)["StandardOutputContent"])


def refusals(asked, command):
  """The names of what boto3 raises."""
  missing = {"CommandId": command, "InstanceId": "i-00000000000000000"}
  calls = [
    lambda: create(request_key(asked), asked),
    lambda: read("nowhere"),
    lambda: ssm.get_command_invocation(**missing),
    lambda: ssm.describe_document(Name="nowhere"),
    lambda: ssm.list_commands(NextToken="nowhere"),
    lambda: ssm.send_command(DocumentName="pybundle-staging-guestbook", InstanceIds=["i-00000000000000000"]),
  ]
  return [type(error_of(call)).__name__ for call in calls]


def error_of(call):
  try:
    call()
  except Exception as error:
    return error


def pages(operation, member, size, **arguments):
  found = ssm.get_paginator(operation).paginate(**arguments, PaginationConfig={"PageSize": size})
  return [item for page in found for item in page[member]]


def s3_keys(page_size):
  found = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, PaginationConfig={"PageSize": page_size})
  return {item["Key"] for page in found for item in page["Contents"]}


def request_key(asked):
  return "%srequests/%s.request" % (FOLDER, asked["id"])


def create(key, value):
  s3.put_object(Bucket=bucket, Key=key, Body=json.dumps(value), IfNoneMatch="*")


def read(key):
  return json.load(s3.get_object(Bucket=bucket, Key=key)["Body"])


main()
