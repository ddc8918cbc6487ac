from mini_ago import ago
from mini_html import Templates
from mini_router import HttpError, Response, redirect

from guestbook.entries import newest_entries, write_entry
from guestbook.settings import FOLDER, RELEASE

NAME_LIMIT, MESSAGE_LIMIT, PLACE_LIMIT = 80, 1000, 80

templates = Templates(FOLDER / "templates")


def book(_request):
    return Response(book_page(newest_entries()))


def sign(request):
    form = request.form()
    name, message = form.get("name", ""), form.get("message", "")
    if not name or not message:
        raise HttpError(400, "お名前とメッセージをご記入ください。A name and a message are needed.")
    write_entry(name[:NAME_LIMIT], message[:MESSAGE_LIMIT], form.get("place", "")[:PLACE_LIMIT])
    return redirect("/")


def book_page(entries):
    lines = [templates.render("entry", when=ago(entry["age_seconds"]), **entry) for entry in entries]
    return templates.render("芳名帳", entries=lines, count=len(lines), release=RELEASE)
