"""A queue for messages to webhooks: their worker fetches addresses that people named, so it has no AWS identity."""

from django.db import migrations


def create(apps, schema_editor):
    with schema_editor.connection.cursor() as cursor:
        cursor.execute("SELECT pgmq.create('webhooks')")


class Migration(migrations.Migration):
    dependencies = [("ri_platform", "0001_message_queue")]
    operations = [migrations.RunPython(create, migrations.RunPython.noop)]
