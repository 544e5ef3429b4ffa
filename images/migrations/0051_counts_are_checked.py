import django.contrib.postgres.fields
from django.db import migrations, models

# pg_restore sets an empty search path, so without one of its own the function would find no table.
OWN_PATH = """
DO $$ BEGIN
    EXECUTE format('ALTER FUNCTION images_count_changes() SET search_path = %I, pg_temp', current_schema());
END $$"""
CODES = [
    ("work_stuck", "Work that nobody goes on with"),
    ("request_without_end", "A request that will never end"),
    ("status_wrong", "A status that contradicts the builds"),
    ("count_wrong", "A count of images that is not theirs"),
    ("audit_incomplete", "An image, a removal or a build without its audit event"),
    ("repository_missing", "The repository is gone"),
    ("manifest_missing", "The manifest is gone"),
    ("tag_missing", "The build's tag is gone"),
    ("tag_moved", "The build's tag names another image"),
    ("blob_missing", "A blob is gone"),
    ("content_differs", "The content does not have its digest"),
    ("build_unknown", "A build that no record knows"),
    ("repository_unknown", "A repository that no record knows"),
]


class Migration(migrations.Migration):
    dependencies = [("images", "0050_listings_in_verifications")]

    operations = [
        migrations.AlterField(
            model_name="drift",
            name="codes",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(choices=CODES, max_length=32), size=None
            ),
        ),
        migrations.RunSQL(OWN_PATH, "ALTER FUNCTION images_count_changes() RESET search_path"),
    ]
