"""The digest of a new image before any worker has begun, where nothing must be asked for it."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import QuerySet
from packaging.utils import canonicalize_name

from images.annotations import annotations_of
from images.build_keys import question_key, twin_key
from images.indexes import Indexes, is_forbidden
from images.lock_packages import packages_of
from images.manifest_bytes import annotate
from images.models import Build, ImportPolicy, KeptManifest, KeptResolution
from images.models.lease import WorkState
from images.queries.import_checks import policy_of
from images.registry.distribution.descriptors import digest_of
from ri_platform.ready import Given, Ready


@dataclass(frozen=True)
class Foreseen:
    """What is known of a build that has not begun. Both are empty while something must be asked first.

    `lock` is the one that the build takes. It is empty beside a digest if the build looks at the indexes all
    the same: files of a complete lock may have gone.
    """

    digest: str = ""
    lock: str = ""


NOTHING = Foreseen()


def foresee(build: Build) -> Foreseen:
    """What becomes of an image's first build that is not saved yet and has no lock.

    An image differs from a twin, one of the same lock, base, OS packages and run-time settings, by its
    annotations alone, and these are functions of the build's row.
    """
    spec, base = build.spec, build.base_image
    refusable = policy_of(build.image) == ImportPolicy.REFUSE
    if spec.allow_source or refusable or base.state != WorkState.SUCCEEDED:
        return NOTHING
    question = question_key(spec, base, Indexes.from_settings().choose(spec.indexes))
    kept = KeptResolution.objects.find_answer(question)
    lock = kept or (lock_of_twin(question) if spec.is_locked else "")
    if not lock or names_forbidden(lock):
        return NOTHING
    locked = Build(image=build.image, base_image=base, spec=spec, description=build.description)
    locked.lock = lock
    twin = TWIN.first(twin_key=twin_key(locked))
    if twin is None:
        return NOTHING
    return Foreseen(digest_of(annotate(twin.manifest, annotations_of(locked))), kept)


def lock_of_twin(question: str) -> str:
    """The lock of the newest image that the same was asked for; empty if there is none."""
    found = usable_manifests().filter(question=question).order_by("-pk")
    return found.values_list("build__lock", flat=True).first() or ""


def usable_manifests() -> QuerySet[KeptManifest]:
    """Those of images that are there. What was kept of base images has no keys."""
    return KeptManifest.objects.filter(
        build__state=WorkState.SUCCEEDED, build__image__removed_at=None
    )


TWIN: Ready[KeptManifest] = Ready(
    lambda: usable_manifests().filter(twin_key=Given("twin_key")).order_by("-pk")[:1]
)


def names_forbidden(lock: str) -> bool:
    """Whether a lock holds what the lists keep out; the worker refuses it with a sentence."""
    return any(is_forbidden(canonicalize_name(item["name"])) for item in packages_of(lock))
