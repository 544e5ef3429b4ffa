import django.db.models.deletion
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models

import images.models.lease


class Migration(migrations.Migration):
    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ("images", "0032_description"),
    ]

    operations = [
        migrations.AddField(
            model_name="managedimage",
            name="tags_may_move",
            field=models.BooleanField(default=False),
        ),
        migrations.CreateModel(
            name="MovingTag",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=31)),
                ("error", models.TextField(blank=True)),
                ("set_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("due_at", models.DateTimeField(default=images.models.lease.next_wake)),
                ("build", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="+", to="images.build")),
                ("image", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="moving_tags", to="images.managedimage")),
                ("pushed_build", models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name="+", to="images.build")),
                ("set_by", models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name="+", to=settings.AUTH_USER_MODEL)),
            ],
            options={
                "ordering": ["name"],
                "constraints": [models.UniqueConstraint(fields=("image", "name"), name="moving_tag_is_there_once")],
            },
        ),
    ]
