from django.db import migrations, models
from django.db.models import Count, OuterRef, Q, Subquery
from django.db.models.functions import Coalesce
from packaging.utils import canonicalize_version


def fill(apps, schema_editor):
    """What the builds of before would have recorded."""
    Build = apps.get_model("images", "Build")
    InstalledLibrary = apps.get_model("images", "InstalledLibrary")
    ManagedImage = apps.get_model("images", "ManagedImage")
    versions = InstalledLibrary.objects.order_by().values_list("version", flat=True).distinct()
    for version in versions.iterator():
        InstalledLibrary.objects.filter(version=version).update(
            normalized_version=canonicalize_version(version)
        )
    names = ManagedImage.objects.filter(
        current_build=OuterRef("build"), removed_at__isnull=True
    ).values("name")
    InstalledLibrary.objects.update(current_of=Subquery(names[:1]))
    counts = (
        InstalledLibrary.objects.filter(build=OuterRef("pk"))
        .order_by()
        .values("build")
        .annotate(count=Count("pk"))
        .values("count")
    )
    Build.objects.update(library_count=Coalesce(Subquery(counts), 0))


class Migration(migrations.Migration):
    # Filling a table and adding indexes to it do not go into one transaction.
    atomic = False

    dependencies = [
        ("images", "0008_source_builds"),
    ]

    operations = [
        migrations.AddField("build", "library_count", models.PositiveIntegerField(default=0)),
        migrations.AddField(
            "installedlibrary",
            "current_of",
            models.CharField(blank=True, max_length=128, null=True),
        ),
        migrations.AddField(
            "installedlibrary",
            "normalized_version",
            models.CharField(default="", max_length=100),
            preserve_default=False,
        ),
        migrations.RunPython(fill, migrations.RunPython.noop),
        migrations.RemoveIndex("installedlibrary", "library_by_name_and_version"),
        migrations.AddIndex(
            "installedlibrary",
            models.Index(
                condition=Q(("current_of__isnull", False)),
                fields=["normalized_name", "current_of"],
                include=("version",),
                name="current_library_by_name",
            ),
        ),
        migrations.AddIndex(
            "installedlibrary",
            models.Index(
                condition=Q(("current_of__isnull", False)),
                fields=["normalized_name", "normalized_version", "current_of"],
                name="current_library_by_version",
            ),
        ),
    ]
