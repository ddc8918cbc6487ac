"""What must hold for this code to serve; a check that does not hold raises, and says why."""

from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.templatetags.static import static

from noticeboard.notify import owner_address


def migration_level():
    """The number of the database's newest migration."""
    applied = MigrationExecutor(connection).loader.applied_migrations
    return max((int(name[:4]) for app, name in applied if app == "noticeboard"), default=0)


def database_is_migrated():
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if plan:
        names = ", ".join(migration.name for migration, _ in plan)
        raise RuntimeError("the database lacks {}: run `manage.py migrate`".format(names))


def static_files_are_collected():
    static("noticeboard/board.css")


def owner_can_be_notified():
    owner_address()


CHECKS = [database_is_migrated, static_files_are_collected, owner_can_be_notified]
