import os

from mini_migrate import Migrations, applied
from mini_sqlite import open_database

from guestbook.settings import DATABASE, FOLDER

migrations = Migrations(FOLDER / "migrations")


def connect():
    return open_database(DATABASE)


def migrate():
    os.makedirs(os.path.dirname(os.path.abspath(DATABASE)), exist_ok=True)
    with connect() as connection:
        for name in migrations.apply(connection):
            print("applied {}".format(name), flush=True)


def migration_level():
    """The number of the database's newest migration, and the names of those that it lacks for this code."""
    # Opening a database makes its file, which is for `migrate` to do.
    exists = os.path.exists(DATABASE)
    with open_database(DATABASE if exists else ":memory:") as connection:
        done = applied(connection)
        return (int(done[-1][:4]) if done else 0), migrations.pending(connection)
