"""Asking for the trial of an image's imports, and the policy that decides what becomes of it."""

from __future__ import annotations

from typing import Any

import pytest

from images import wake
from images.jobs import build_outcome
from images.jobs.journal import Journal
from images.models import BaseImage, Build, ImportCheck, ManagedImage, Status
from images.models.lease import WorkState
from images.operations import builds, import_checks
from images.operations.images import create_image
from images.queries.import_checks import current_check, policy_of
from images.spec import ImageSpec
from ri_platform.errors import Conflict, Invalid, NotAllowed
from tests import factories
from tests.cast import Cast
from workspaces.access import Actor
from workspaces.models import AuditEvent


@pytest.fixture
def image(base: BaseImage, cast: Cast) -> ManagedImage:
    return factories.make_image(
        "sample", base=base, created_by=cast.member, created_in=cast.workspace
    )


def succeed(image: ManagedImage, digest: str) -> Build:
    """The next build of an image, as a worker ends it."""
    build = builds.rebuild_image(Actor(image.created_by), image) if image.created_by else None
    assert build is not None
    claimed = Build.objects.claim(build.pk, seconds=60)
    assert claimed is not None
    claimed.write(lock=factories.lock_of(numpy="2.4.6"))
    product = build_outcome.Product(factories.digest(digest), factories.digest("c"), 1, 1, [], [])
    build_outcome.succeed(claimed, product, Journal(claimed))
    image.refresh_from_db()
    return claimed


def end(check: ImportCheck, result: str) -> None:
    ImportCheck.objects.filter(pk=check.pk).update(
        state=WorkState.SUCCEEDED, result=result, lease_expires_at=None
    )


def test_a_build_that_succeeded_is_tried_after_its_commit(
    image: ManagedImage, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    sent: list[tuple[str, int]] = []
    monkeypatch.setattr(wake, "send", lambda task, pk: sent.append((task, pk)))
    with django_capture_on_commit_callbacks(execute=True):
        build = succeed(image, "new")
    check = current_check(image)
    assert check is not None
    assert (check.status, check.build) == ("PENDING", build)
    assert (wake.Task.CHECK_IMPORTS, check.pk) in sent
    assert wake.Task.CHECK_IMPORTS.queue == "sources"


@pytest.mark.parametrize("policy", ["off", "refuse"])
@pytest.mark.slow
def test_a_build_of_another_policy_is_not_tried_afterwards(
    image: ManagedImage, policy: str
) -> None:
    import_checks.set_import_policy(Actor(image.created_by), image, policy)  # type: ignore[arg-type]
    succeed(image, "new")
    assert current_check(image) is None


@pytest.mark.parametrize(
    ("result", "status"), [("passed", "PASSED"), ("failed", "FAILED"), ("skipped", "PENDING")]
)
@pytest.mark.slow
def test_a_result_is_remembered_by_the_manifest_and_what_was_skipped_is_tried(
    image: ManagedImage, result: str, status: str
) -> None:
    succeed(image, "same")
    end(ImportCheck.objects.get(), result)
    later = succeed(image, "same")
    check = ImportCheck.objects.get()
    assert check.status == status
    assert (check.build == later) == (status == "PENDING")


def test_whoever_may_change_the_image_asks_again(image: ManagedImage, cast: Cast) -> None:
    with pytest.raises(NotAllowed, match="have the imports of this image tried"):
        import_checks.check_imports(Actor(cast.stranger), image)
    with pytest.raises(NotAllowed):
        import_checks.check_imports(Actor(cast.viewer), image)
    check = import_checks.check_imports(Actor(cast.member), image, workspace=cast.workspace)
    assert check.status == "PENDING"
    assert AuditEvent.objects.filter(event="image.import_check_requested").exists()
    with pytest.raises(Conflict, match="being tried already"):
        import_checks.check_imports(Actor(cast.admin), image)
    end(check, "failed")
    assert import_checks.check_imports(Actor(cast.admin), image).status == "PENDING"


def test_there_is_nothing_to_try_without_a_build(base: BaseImage, cast: Cast) -> None:
    image = factories.make_image("fresh", base=base, status=Status.BUILDING_FIRST_TIME)
    with pytest.raises(Conflict, match="no image yet"):
        import_checks.check_imports(Actor(cast.admin), image)


def test_nothing_is_tried_where_it_is_turned_off(
    image: ManagedImage, cast: Cast, settings: Any
) -> None:
    settings.IMPORT_CHECK = "off"
    with pytest.raises(Conflict, match="not to be tried"):
        import_checks.check_imports(Actor(cast.admin), image)


def test_the_policy_is_the_installations_unless_the_image_has_one(
    image: ManagedImage, cast: Cast, settings: Any
) -> None:
    settings.IMPORT_CHECK = "refuse"
    assert policy_of(image) == "refuse"
    changed = import_checks.set_import_policy(Actor(cast.member), image, "warn")
    assert policy_of(changed) == "warn"
    event = AuditEvent.objects.get(event="image.import_policy_changed")
    assert event.details == {"before": "", "after": "warn"}
    assert policy_of(import_checks.set_import_policy(Actor(cast.member), image, "")) == "refuse"


def test_a_policy_that_there_is_not_is_refused(
    base: BaseImage, image: ManagedImage, cast: Cast
) -> None:
    with pytest.raises(Invalid, match="'sometimes' is no import policy"):
        import_checks.set_import_policy(Actor(cast.member), image, "sometimes")
    with pytest.raises(Invalid, match="no import policy"):
        create_image(
            Actor(cast.member), "other", ImageSpec("all", "3.11"), import_policy="sometimes"
        )


def test_a_stranger_chooses_no_policy(image: ManagedImage, cast: Cast) -> None:
    with pytest.raises(NotAllowed):
        import_checks.set_import_policy(Actor(cast.stranger), image, "off")


def test_an_image_is_created_with_its_policy(base: BaseImage, cast: Cast) -> None:
    spec = ImageSpec("all", "3.11")
    image = create_image(Actor(cast.member), "strict", spec, import_policy="refuse")
    assert image.import_policy == "refuse"
    event = AuditEvent.objects.get(event="image.created")
    assert event.details["import_policy"] == "refuse"
