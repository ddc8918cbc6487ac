from mini_sqlite import transaction

from guestbook.database import connect

NEWEST = "SELECT name, message, written_at FROM entries ORDER BY id DESC LIMIT 50"
WRITE = "INSERT INTO entries (name, message) VALUES (?, ?)"


def newest_entries():
    with connect() as connection:
        return [dict(row) for row in connection.execute(NEWEST)]


def write_entry(name, message):
    with connect() as connection, transaction(connection):
        connection.execute(WRITE, [name, message])
