from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("images", "0030_library_packages")]

    operations = [
        migrations.AddField(
            model_name="managedimage",
            name="run_time",
            field=models.JSONField(blank=True, default=dict),
        ),
    ]
