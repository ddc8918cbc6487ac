import json
import logging
import os

from mini_router import Response

from guestbook.checks import CHECKS
from guestbook.database import migration_level
from guestbook.settings import RELEASE

log = logging.getLogger("guestbook")


def health(_request):
    reason = failed_check()
    report = {
        "release": RELEASE,
        "migration": migration_level()[0],
        "pid": os.getpid(),
        "status": "failed" if reason else "ok",
    }
    if reason:
        log.error("unhealthy: %s", reason)
        report["reason"] = reason
    body = json.dumps(report, ensure_ascii=False) + "\n"
    return Response(body, 503 if reason else 200, "application/json; charset=utf-8")


def failed_check():
    for check in CHECKS:
        try:
            check()
        except Exception as error:
            return "{}: {}".format(check.__name__, error)
    return None
