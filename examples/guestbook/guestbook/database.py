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
    """The newest migration that the database has, and those that this code needs and it lacks."""
    # Opening a database makes its file, which is for `migrate` to do.
    exists = os.path.exists(DATABASE)
    with open_database(DATABASE if exists else ":memory:") as connection:
        done = applied(connection)
        return (done[-1] if done else None), migrations.pending(connection)
