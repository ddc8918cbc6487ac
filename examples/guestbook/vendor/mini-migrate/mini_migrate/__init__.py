"""Numbered migrations: `0001_entries.sql`, or `0002_fill.py` with a function `migrate(connection)`."""

import re
import runpy
import sqlite3
from pathlib import Path

from mini_sqlite import transaction

FILE_NAME = re.compile(r"^\d{4}_[a-z0-9_]+\.(sql|py)$")
TABLE = "CREATE TABLE IF NOT EXISTS migrations (name TEXT PRIMARY KEY, applied_at TEXT NOT NULL)"


class Migrations:
    def __init__(self, folder):
        paths = sorted(path for path in Path(folder).iterdir() if FILE_NAME.match(path.name))
        self._paths = {path.stem: path for path in paths}
        numbers = [name[:4] for name in self._paths]
        if len(numbers) != len(set(numbers)):
            raise ValueError("two migrations in {} have the same number".format(folder))

    def pending(self, connection):
        """Names of this code's migrations that the database lacks. Newer ones, of other code, are no concern."""
        done = set(applied(connection))
        return [name for name in self._paths if name not in done]

    def apply(self, connection):
        """Applies what is pending, each migration in a transaction of its own, and yields its name."""
        connection.execute(TABLE)
        for name in self.pending(connection):
            with transaction(connection):
                if name not in applied(connection):
                    self._run(name, connection)
            yield name

    def _run(self, name, connection):
        path = self._paths[name]
        if path.suffix == ".py":
            runpy.run_path(str(path))["migrate"](connection)
        else:
            for statement in _statements(path.read_text(encoding="utf-8")):
                connection.execute(statement)
        connection.execute("INSERT INTO migrations VALUES (?, datetime('now'))", [name])


def applied(connection):
    """Names of the migrations that the database has, oldest first."""
    known = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'migrations'").fetchone()
    if not known:
        return []
    return [row[0] for row in connection.execute("SELECT name FROM migrations ORDER BY name")]


def _statements(script):
    # Not `executescript`, which commits: a migration that fails half-way must leave nothing.
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
    if statement.strip():
        yield statement
