from django.db import migrations, models
from django.db.models import Q


def text(length: int) -> models.CharField:
    return models.CharField(blank=True, db_default="", default="", max_length=length)


class Migration(migrations.Migration):

    dependencies = [("images", "0044_models_by_name")]

    operations = [
        migrations.AddField("build", "foreseen_digest", text(71)),
        migrations.AddField("keptmanifest", "twin_key", text(64)),
        migrations.AddField("keptmanifest", "question", text(64)),
        migrations.AddField(
            "keptresolution",
            "question",
            models.CharField(blank=True, db_default="", db_index=True, default="", max_length=64),
        ),
        migrations.AddIndex(
            "keptmanifest",
            models.Index(fields=["twin_key", "id"], condition=~Q(twin_key=""), name="manifest_by_twin"),
        ),
        migrations.AddIndex(
            "keptmanifest",
            models.Index(
                fields=["question", "id"], condition=~Q(question=""), name="manifest_by_question"
            ),
        ),
    ]
