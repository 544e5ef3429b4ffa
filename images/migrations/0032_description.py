from django.db import migrations, models

import ri_platform.text


class Migration(migrations.Migration):
    dependencies = [("images", "0031_run_time")]

    operations = [
        migrations.AddField(
            model_name="managedimage",
            name="description",
            field=models.CharField(blank=True, max_length=500, validators=[ri_platform.text.one_line]),
        ),
        migrations.AddField(
            model_name="build",
            name="description",
            field=models.CharField(blank=True, max_length=500),
        ),
    ]
