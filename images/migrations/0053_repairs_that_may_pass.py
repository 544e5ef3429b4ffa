from django.db import migrations

# Repairs that were given up for what may pass, as for a full disk of one worker.
AGAIN = """
UPDATE images_drift SET state = 'queued', finished_at = NULL, repository_made = false
WHERE state = 'failed' AND error_code NOT IN ('cannot_be_made_again', 'tag_taken');
"""


class Migration(migrations.Migration):
    dependencies = [
        ("images", "0052_looks_in_slices"),
    ]

    operations = [
        migrations.RunSQL(AGAIN, migrations.RunSQL.noop),
    ]
