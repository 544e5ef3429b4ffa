import django.contrib.postgres.indexes
from django.contrib.postgres.operations import TrigramExtension
from django.db import migrations, models


def by(column: str) -> migrations.AddIndex:
    index = models.Index(condition=models.Q(("removed_at__isnull", True)), fields=[column, "name"], name=f"image_by_{column}")
    return migrations.AddIndex(model_name="managedimage", index=index)


class Migration(migrations.Migration):
    dependencies = [("images", "0036_fair_queues")]

    operations = [
        # PostgreSQL trusts it: the owner of the database may make it, no superuser is needed.
        TrigramExtension(),
        migrations.AddField(
            model_name="managedimage",
            name="size_bytes",
            field=models.BigIntegerField(db_default=0),
        ),
        migrations.RunSQL(
            """
            UPDATE images_managedimage image SET size_bytes = build.size_bytes
            FROM images_build build WHERE build.id = image.current_build_id
            """,
            migrations.RunSQL.noop,
        ),
        by("status"),
        by("python_version"),
        by("size_bytes"),
        by("created_at"),
        by("updated_at"),
        migrations.AddIndex(
            model_name="managedimage",
            index=models.Index(condition=models.Q(("removed_at__isnull", False)), fields=["removed_at"], name="image_removed"),
        ),
        migrations.AddIndex(
            model_name="managedimage",
            index=django.contrib.postgres.indexes.GinIndex(
                fields=["name"], name="image_by_part_of_name", opclasses=["gin_trgm_ops"]
            ),
        ),
    ]
