from mini_sqlite import transaction

from guestbook.database import connect

NEWEST = """
    SELECT name, message, place, strftime('%s', 'now') - strftime('%s', written_at) AS age_seconds
    FROM entries ORDER BY id DESC LIMIT 50
"""
WRITE = "INSERT INTO entries (name, message, place) VALUES (?, ?, ?)"


def newest_entries():
    with connect() as connection:
        return [dict(row) for row in connection.execute(NEWEST)]


def write_entry(name, message, place):
    with connect() as connection, transaction(connection):
        connection.execute(WRITE, [name, message, place])
