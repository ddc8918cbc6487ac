"""The WSGI application: `mini-server guestbook.app:application`."""

import logging

from mini_router import Router

from guestbook import pages
from guestbook.health import health
from guestbook.settings import DATABASE, RELEASE

FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
logging.basicConfig(level=logging.INFO, format=FORMAT, datefmt="%Y-%m-%dT%H:%M:%S")
log = logging.getLogger("guestbook")


def log_error(request, error):
    log.error("%s %s failed", request.method, request.path, exc_info=error)


application = Router(headers=[("X-Release", RELEASE)], on_error=log_error)
application.get("/")(pages.book)
application.post("/")(pages.sign)
application.get("/health")(health)

log.info("芳名帳を開きました: release %s, database %s", RELEASE, DATABASE)
