from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("images", "0035_default_image"),
        ("workspaces", "0007_tokens_make_no_tokens"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddIndex(
            model_name="build",
            index=models.Index(
                condition=models.Q(("state__in", ["queued", "running"])), fields=["requested_by", "created_at", "id"], name="build_by_user"
            ),
        ),
        migrations.AddIndex(
            model_name="managedimage",
            index=models.Index(
                condition=models.Q(("removed_at", None), ("repository_ready_at", None)),
                fields=["created_by", "id"],
                name="managed_image_unprepared",
            ),
        ),
        migrations.AddIndex(
            model_name="managedimage",
            index=models.Index(fields=["repository_ready_at"], name="managed_image_prepared"),
        ),
        migrations.AddIndex(
            model_name="movingtag",
            index=models.Index(
                condition=models.Q(("pushed_build", None), models.Q(("pushed_build", models.F("build")), _negated=True), _connector="OR"),
                fields=["set_at"],
                name="moving_tag_behind",
            ),
        ),
    ]
