from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("images", "0013_models_and_removal_grace")]

    operations = [
        migrations.RemoveIndex(model_name="installedlibrary", name="current_library_by_name"),
        migrations.AddIndex(
            model_name="installedlibrary",
            index=models.Index(
                fields=["normalized_name", "current_of"],
                include=["version", "build"],
                condition=models.Q(current_of__isnull=False),
                name="current_library_by_name",
            ),
        ),
    ]
