from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("images", "0021_cached_layer")]

    operations = [
        migrations.AddField(
            model_name="managedimage",
            name="indexes",
            field=models.JSONField(blank=True, default=list),
        ),
    ]
