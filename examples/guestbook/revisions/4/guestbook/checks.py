"""What must hold for this code to serve; a check that does not hold raises, and says why."""

from guestbook.database import migration_level
from guestbook.entries import newest_entries


def database_is_migrated():
    _, pending = migration_level()
    if pending:
        raise RuntimeError("the database lacks {}: run `guestbook migrate`".format(", ".join(pending)))


def entries_can_be_read():
    newest_entries()


CHECKS = [database_is_migrated, entries_can_be_read]
