"""Opens a sqlite database that several processes and threads share."""

import sqlite3
from contextlib import contextmanager


@contextmanager
def open_database(path, wait_seconds=10):
    # isolation_level=None: the module begins no transaction by itself; `transaction` says when.
    connection = sqlite3.connect(path, timeout=wait_seconds, isolation_level=None)
    try:
        connection.row_factory = sqlite3.Row
        # Readers do not wait for the writer; kept in the file, so that only the first opener writes it.
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA foreign_keys = ON")
        yield connection
    finally:
        connection.close()


@contextmanager
def transaction(connection):
    """Takes the write lock at once: waiting for it in mid-transaction could only fail."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
