import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("images", "0034_instance"),
        ("workspaces", "0007_tokens_make_no_tokens"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name="mlmodel",
            name="run_request",
            field=models.JSONField(blank=True, default=dict),
        ),
        migrations.AlterField(
            model_name="assignment",
            name="image",
            field=models.ForeignKey(
                blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name="%(class)ss", to="images.managedimage"
            ),
        ),
        migrations.CreateModel(
            name="DefaultImage",
            fields=[
                ("image_name", models.CharField(blank=True, max_length=128)),
                ("build_number", models.PositiveIntegerField(blank=True, null=True)),
                ("external_reference", models.CharField(blank=True, max_length=512)),
                ("pull_secret", models.CharField(blank=True, max_length=253)),
                (
                    "workspace",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="default_image",
                        serialize=False,
                        to="workspaces.workspace",
                    ),
                ),
                ("run_request", models.JSONField(blank=True, default=dict)),
                ("set_at", models.DateTimeField(auto_now=True)),
                (
                    "assigned_by",
                    models.ForeignKey(
                        null=True, on_delete=django.db.models.deletion.SET_NULL, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
                (
                    "build",
                    models.ForeignKey(
                        blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name="+", to="images.build"
                    ),
                ),
                (
                    "image",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="%(class)ss",
                        to="images.managedimage",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("image_name", ""), ("external_reference", ""), _connector="XOR"),
                        name="defaultimage_is_managed_or_external",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("image_name", ""), _negated=True),
                            models.Q(("build__isnull", True), ("build_number__isnull", True), ("image__isnull", True)),
                            _connector="OR",
                        ),
                        name="defaultimage_external_has_no_image",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("image_name", ""), ("pull_secret", ""), _connector="OR"),
                        name="defaultimage_managed_has_no_pull_secret",
                    ),
                ],
            },
        ),
    ]
