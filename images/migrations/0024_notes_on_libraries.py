from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("images", "0023_allow_prereleases_and_indexes_of_models")]

    operations = [
        migrations.AddField(
            model_name="cachedlayer",
            name="notes",
            field=models.JSONField(blank=True, default=list),
        ),
        migrations.AddField(
            model_name="installedlibrary",
            name="notes",
            field=models.JSONField(blank=True, default=list),
        ),
    ]
