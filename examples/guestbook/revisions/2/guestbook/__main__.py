"""`python -m guestbook migrate [--check]`, `python -m guestbook check`."""

import argparse
import sys

from guestbook import database, pages

SAMPLE = {"name": "花子", "message": "<b>&", "place": "京都", "age_seconds": 60}


def main():
    parser = argparse.ArgumentParser(prog="guestbook")
    commands = parser.add_subparsers(dest="command", required=True)
    migrate = commands.add_parser("migrate", help="bring the database to this code's level")
    migrate.add_argument("--check", action="store_true", help="only say whether there is something to do")
    commands.add_parser("check", help="prove that this code is whole: imports and templates")
    options = parser.parse_args()
    if options.command == "check":
        return check()
    return check_migrations() if options.check else database.migrate()


def check():
    pages.book_page([SAMPLE])
    print("guestbook is whole")


def check_migrations():
    _, pending = database.migration_level()
    print("pending: {}".format(", ".join(pending)) if pending else "nothing to migrate")
    return 1 if pending else 0


if __name__ == "__main__":
    sys.exit(main())
