import logging
import os

from django.conf import settings
from django.http import JsonResponse

from noticeboard.checks import CHECKS, migration_level

log = logging.getLogger("noticeboard")


def health(_request):
    reason = failed_check()
    report = {
        "release": settings.RELEASE,
        "migration": migration_level(),
        "pid": os.getpid(),
        "status": "failed" if reason else "ok",
    }
    if reason:
        log.error("unhealthy: %s", reason)
        report["reason"] = reason
    return JsonResponse(report, status=503 if reason else 200, json_dumps_params={"ensure_ascii": False})


def failed_check():
    for check in CHECKS:
        try:
            check()
        except Exception as error:
            return "{}: {}".format(check.__name__, error)
    return None
