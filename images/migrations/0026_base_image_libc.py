"""The C library of base images; of those that are there, as far as their packages and system tell.

The rest stays empty, and is taken for glibc 2.28 as before, until it is imported anew.
"""

import re

from django.db import migrations, models


def learn(apps, schema_editor):
    BaseImage = apps.get_model("images", "BaseImage")
    for base in BaseImage.objects.filter(state="succeeded").iterator():
        glibc = re.match(r"2\.\d{1,3}", str(dict(base.os_packages or []).get("libc6", "")))
        if glibc:
            base.libc, base.libc_version, base.machine = "glibc", glibc[0], "x86_64"
        elif base.os_id == "alpine":
            # Each Alpine with a Python of ours has a musl 1.2.
            base.libc, base.libc_version, base.machine = "musl", "1.2", "x86_64"
        else:
            continue
        base.save(update_fields=["libc", "libc_version", "machine"])


class Migration(migrations.Migration):
    dependencies = [("images", "0025_import_checks")]

    operations = [
        migrations.AddField(
            model_name="baseimage",
            name="libc",
            field=models.CharField(blank=True, max_length=8),
        ),
        migrations.AddField(
            model_name="baseimage",
            name="libc_version",
            field=models.CharField(blank=True, max_length=16),
        ),
        migrations.AddField(
            model_name="baseimage",
            name="machine",
            field=models.CharField(blank=True, max_length=16),
        ),
        migrations.RunPython(learn, migrations.RunPython.noop),
    ]
