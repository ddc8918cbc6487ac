from django.apps import AppConfig
from django.db.backends.signals import connection_created


class NoticeboardConfig(AppConfig):
    name = "noticeboard"

    def ready(self):
        connection_created.connect(share_database)


def share_database(connection, **_):
    """Readers do not wait for the writer, which may be another process."""
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA synchronous = NORMAL")
