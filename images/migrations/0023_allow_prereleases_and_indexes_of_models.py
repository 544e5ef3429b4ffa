from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("images", "0022_indexes")]

    operations = [
        migrations.AddField(
            model_name="managedimage",
            name="allow_prereleases",
            field=models.BooleanField(default=False),
        ),
        migrations.AddField(
            model_name="mlmodel",
            name="indexes",
            field=models.JSONField(blank=True, default=list),
        ),
        migrations.AddField(
            model_name="mlmodel",
            name="allow_prereleases",
            field=models.BooleanField(default=False),
        ),
    ]
