from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("images", "0017_what_is_trusted")]

    operations = [
        migrations.AddField(
            model_name="build",
            name="renewal",
            field=models.CharField(blank=True, max_length=300),
        ),
        migrations.AlterField(
            model_name="build",
            name="reason",
            field=models.CharField(
                choices=[
                    ("create", "Created"),
                    ("rebuild", "Rebuilt"),
                    ("alter", "Altered"),
                    ("roll_back", "Rolled back"),
                    ("upgrade", "Base image upgraded"),
                    ("renew", "Built from source anew"),
                ],
                default="create",
                max_length=16,
            ),
        ),
        migrations.AddField(
            model_name="builtwheel",
            name="source_key",
            field=models.CharField(db_index=True, default="", max_length=64),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name="builtwheel",
            name="hook_key",
            field=models.CharField(db_index=True, default="", max_length=64),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name="builtwheel",
            name="asked",
            field=models.JSONField(blank=True, default=list),
        ),
        migrations.AddField(
            model_name="builtwheel",
            name="build_requirements",
            field=models.JSONField(blank=True, default=list),
        ),
    ]
