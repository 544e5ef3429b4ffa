"""Reads of import checks: the policy of an image, and the checks of what images are now."""

from __future__ import annotations

from collections.abc import Iterable

from django.conf import settings

from images.models import ImportCheck, ImportPolicy, ManagedImage


def policy_of(image: ManagedImage) -> ImportPolicy:
    """The image's own policy, else the installation's."""
    return ImportPolicy(image.import_policy or settings.IMPORT_CHECK)


def policy_choices() -> list[tuple[str, str]]:
    """The policies that a form offers, with their labels; the first is the installation's own."""
    own = ImportPolicy(settings.IMPORT_CHECK).label
    return [("", f"As this instance has it: {own.lower()}"), *ImportPolicy.choices]


def current_checks(images: Iterable[ManagedImage]) -> dict[int, ImportCheck]:
    """Image → the check of its current build's manifest, in one query at most; others are missing.

    Their `current_build` is read.
    """
    digests = {
        image.pk: image.current_build.manifest_digest for image in images if image.current_build
    }
    if not digests:
        return {}
    rows = ImportCheck.objects.filter(manifest_digest__in=set(digests.values()))
    found = {check.manifest_digest: check for check in rows}
    return {pk: found[digest] for pk, digest in digests.items() if digest in found}


def current_check(image: ManagedImage) -> ImportCheck | None:
    """The check of what the image is now, if there is one."""
    return current_checks([image]).get(image.pk)
