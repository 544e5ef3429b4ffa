"""A queue for builds that may run a library's own build code, with a worker of its own."""

from django.db import migrations


def create(apps, schema_editor):
    with schema_editor.connection.cursor() as cursor:
        cursor.execute("SELECT pgmq.create('sources')")


class Migration(migrations.Migration):
    dependencies = [("ri_platform", "0003_cache")]
    operations = [migrations.RunPython(create, migrations.RunPython.noop)]
