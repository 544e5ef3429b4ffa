from django.db import migrations, models

STATES = [
    ("unknown", "Not looked at yet"),
    ("free", "Not marked yet"),
    ("ours", "This instance's"),
    ("foreign", "Another instance's"),
]


class Migration(migrations.Migration):
    dependencies = [("images", "0033_moving_tag")]

    operations = [
        migrations.CreateModel(
            name="Instance",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("instance_id", models.UUIDField()),
                ("place", models.CharField(blank=True, max_length=300)),
                ("state", models.CharField(choices=STATES, default="unknown", max_length=16)),
                ("marked_by", models.CharField(blank=True, max_length=36)),
                ("adopting", models.CharField(blank=True, max_length=36)),
                ("looked_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(condition=models.Q(("pk", 1)), name="there_is_one_instance"),
                    models.CheckConstraint(
                        condition=models.Q(("state__in", [value for value, _ in STATES])),
                        name="instance_state_is_known",
                    ),
                ],
            },
        ),
    ]
