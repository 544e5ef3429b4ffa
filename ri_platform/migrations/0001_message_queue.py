"""The message queue's schema (pgmq), for installations whose broker is PostgreSQL itself.

Installed whatever the broker, so that changing the broker needs no migration; it is a schema of its
own and costs nothing while unused.
"""

import pgmq.install
from django.db import migrations


def install(apps, schema_editor):
    with schema_editor.connection.cursor() as cursor:
        # Without parameters psycopg sends the script as it is, `%` and all.
        cursor.execute(pgmq.install.get_embedded_install_sql())
        # So that a message may be sent before the first worker has ever started.
        for queue in ("registry", "builds"):
            cursor.execute("SELECT pgmq.create(%s)", [queue])


class Migration(migrations.Migration):
    initial = True
    dependencies = []
    operations = [
        migrations.RunPython(
            install, migrations.RunPython.noop, elidable=False
        )
    ]
