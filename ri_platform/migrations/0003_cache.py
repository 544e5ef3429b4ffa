"""The cache's table: what all web processes must agree on for a while, such as one-time codes that were used."""

from django.core.management import call_command
from django.db import migrations


def create(apps, schema_editor):
    call_command("createcachetable", database=schema_editor.connection.alias, verbosity=0)


class Migration(migrations.Migration):
    dependencies = [("ri_platform", "0002_webhooks_queue")]
    operations = [migrations.RunPython(create, migrations.RunPython.noop)]
