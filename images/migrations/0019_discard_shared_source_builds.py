"""Wheels built before each build had a sandbox of its own may hold code of another library: none is kept.

Until then, one container with one cache served all source builds of an image, and what came of it was everybody's.
So these wheels are forgotten, and so are the layers that hold them; an image whose current build has one is made anew
by the platform, as are base images' upgrades (`images.jobs.upgrades`), and its page says why.
"""

from django.db import migrations
from packaging.utils import canonicalize_name, parse_wheel_filename

WHY = (
    "A library of this image was built from source together with others, before each build was kept apart "
    "from the rest, so code of another library may have got into it. The platform rebuilds the image with "
    "the same versions."
)
# `WheelLayer.title` is cut at this length, so one that is as long may name more than it shows.
TITLE_LENGTH = 255


def discard(apps, schema_editor):
    Build = apps.get_model("images", "Build")
    BuiltWheel = apps.get_model("images", "BuiltWheel")
    BuildLayer = apps.get_model("images", "BuildLayer")
    InstalledLibrary = apps.get_model("images", "InstalledLibrary")
    ManagedImage = apps.get_model("images", "ManagedImage")
    WheelLayer = apps.get_model("images", "WheelLayer")

    hashes, versions = set(), set()
    for sha256, filename in BuiltWheel.objects.values_list("sha256", "filename"):
        hashes.add(sha256)
        name, version, *_ = parse_wheel_filename(filename)
        versions.add((str(name), str(version)))
    if not hashes:
        return
    # Libraries of before their wheel's hash was recorded are known by name and version.
    held = set(
        InstalledLibrary.objects.filter(sha256__in=hashes).values_list("build", flat=True)
    )
    of_source = InstalledLibrary.objects.filter(build__spec__allow_source=True)
    of_source = of_source.filter(normalized_name__in={name for name, _ in versions})
    for build, name, version in of_source.values_list("build", "normalized_name", "version"):
        if (canonicalize_name(name), version) in versions:
            held.add(build)
    Build.objects.filter(pk__in=held).update(renewal=WHY)
    ManagedImage.objects.filter(
        current_build__in=held, status__in=["READY", "FAILED"], removed_at__isnull=True
    ).update(status="OUTDATED")

    words = {f"{name} {version}" for name, version in versions}
    layers = WheelLayer.objects.filter(
        pk__in=BuildLayer.objects.filter(build__in=held).values("layer")
    )
    for layer in layers:
        if len(layer.title) >= TITLE_LENGTH or words & set(layer.title.split(", ")):
            # Builds refer to the row, and the repository holds the blob as long as they are kept; but
            # nothing is found by this key any more.
            layer.key = f"discarded-{layer.pk}"
            layer.save(update_fields=["key"])
    BuiltWheel.objects.all().delete()


class Migration(migrations.Migration):
    dependencies = [("images", "0018_build_requirements")]

    operations = [migrations.RunPython(discard, migrations.RunPython.noop)]
