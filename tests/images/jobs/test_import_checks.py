"""Imports of images that are really built: tried after the build or within it, remembered by the manifest."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from images import tasks, wake
from images.building.containers import base_roots, container
from images.jobs import import_check, sweep, turns
from images.models import (
    BaseImage,
    BuildHost,
    Delivery,
    ImageEvent,
    ImportCheck,
    ManagedImage,
    Status,
    Webhook,
)
from images.models.lease import WorkState
from images.operations import builds, import_checks
from images.operations.images import create_image
from images.requirement_files.configured import parse_pip_requirements
from images.spec import ImageSpec
from tests import factories
from tests.builds import ask, build_now
from tests.cast import Cast
from tests.images.building.private_index import index_of
from tests.images.building.wheelmaker import make_wheel
from tests.local_aws import LocalAWS
from tests.needs import needs
from workspaces.access import Actor

really_tried = [
    needs("confinement"),
    pytest.mark.slow,
    pytest.mark.network,
    pytest.mark.django_db(transaction=True),
]
BROKEN = b"import nowhere_at_all\n"


@pytest.fixture
def index(tmp_path: Path, settings: Any) -> Iterator[None]:
    """An index with two libraries: one is broken, and so is the newer version of the other."""
    wheels = [
        make_wheel(tmp_path, "sound", files={"sound.py": b"", "extra/__init__.py": b""}),
        make_wheel(tmp_path, "broken", files={"broken.py": BROKEN}),
        make_wheel(tmp_path, "sound", "2.0", files={"sound.py": BROKEN}),
    ]
    with index_of(*wheels) as address:
        settings.PACKAGE_INDEX_URL = f"http://{address}/simple"
        yield


def checked(aws: LocalAWS, image: ManagedImage) -> ImportCheck:
    """The check of what the image is now, done by its worker."""
    assert image.current_build is not None
    check = ImportCheck.objects.get(manifest_digest=image.current_build.manifest_digest)
    with aws.identity("build-jobs"):
        import_check.run(check.pk)
    check.refresh_from_db()
    return check


def ask_strictly(cast: Cast, name: str, requirements: str) -> ManagedImage:
    spec = ImageSpec("all", "3.11", tuple(parse_pip_requirements(requirements)))
    return create_image(
        Actor(cast.member), name, spec, workspace=cast.workspace, import_policy="refuse"
    )


def log_of(image: ManagedImage) -> str:
    return "".join(chunk.text for chunk in image.builds.all()[0].log_chunks.all())


class TestReally:
    pytestmark = really_tried

    def test_an_image_is_ready_before_its_imports_are_tried(
        self, registry: LocalAWS, index: None, debian: BaseImage, cast: Cast
    ) -> None:
        image = build_now(registry, ask(cast, "early", "broken\nsound<2"))
        assert image.status == Status.READY
        assert image.current_build is not None
        check = ImportCheck.objects.get()
        assert (check.status, check.build) == ("PENDING", image.current_build)
        check = checked(registry, image)
        assert (check.status, check.tried, check.imported) == ("FAILED", 3, 2)
        (failed,) = check.failed
        assert (failed["module"], failed["requirement"]) == ("broken", "broken")
        assert "No module named 'nowhere_at_all'" in failed["message"]
        assert "nowhere_at_all" in failed["hint"]
        image.refresh_from_db()
        assert image.status == Status.READY

    def test_what_is_unpacked_is_kept_for_the_next_trial(
        self,
        registry: LocalAWS,
        index: None,
        debian: BaseImage,
        cast: Cast,
        settings: Any,
        tmp_path: Path,
    ) -> None:
        settings.CACHE_DIR = tmp_path / "cache"
        first = build_now(registry, ask(cast, "kept-first", "sound<2"))
        check = checked(registry, first)
        assert check.status == "PASSED", (check.reason, check.failed)
        second = build_now(registry, ask(cast, "kept-second", "sound<2\nbroken"))
        kept = {path.name for path in (settings.CACHE_DIR / "trees").iterdir()}
        assert checked(registry, second).status == "FAILED"
        added = {path.name for path in (settings.CACHE_DIR / "trees").iterdir()} - kept
        assert len([name for name in added if not name.endswith(".lock")]) == 1
        settings.TREE_CACHE_BYTES = 0
        base_roots.tree_cache().trim()
        assert list((settings.CACHE_DIR / "trees").iterdir()) == []

    def test_the_same_manifest_is_not_tried_again(
        self, registry: LocalAWS, index: None, debian: BaseImage, cast: Cast
    ) -> None:
        image = build_now(registry, ask(cast, "checked-again", "sound<2"))
        finished = checked(registry, image).finished_at
        builds.rebuild_image(Actor(cast.member), image)
        image = build_now(registry, image)
        assert ImportCheck.objects.get().finished_at == finished
        import_checks.check_imports(Actor(cast.member), image)
        check = checked(registry, image)
        assert check.finished_at
        assert finished
        assert check.finished_at > finished
        assert check.build == image.current_build

    def test_a_strict_image_keeps_its_revision_when_imports_fail(
        self, registry: LocalAWS, index: None, debian: BaseImage, cast: Cast
    ) -> None:
        image = build_now(registry, ask_strictly(cast, "strict", "sound<2"))
        assert image.status == Status.READY
        assert "2 of 2 modules imported" in log_of(image)
        before = image.current_build
        builds.set_spec(image, ImageSpec("all", "3.11", tuple(parse_pip_requirements("sound"))))
        build = builds.rebuild_image(Actor(cast.member), image)
        image = build_now(registry, image)
        build.refresh_from_db()
        assert (image.status, image.current_build) == (Status.FAILED, before)
        assert build.error_code == "import_failed"
        assert "No module named 'nowhere_at_all'" in build.error_message
        assert "nowhere_at_all" in build.error_hint
        assert build.timings["imports"]["failed"]
        assert 'sound.py", line 1' in log_of(image)
        assert set(ImportCheck.objects.values_list("result", flat=True)) == {"passed", "failed"}

    def test_a_strict_image_that_has_passed_is_not_tried_again(
        self, registry: LocalAWS, index: None, debian: BaseImage, cast: Cast
    ) -> None:
        image = build_now(registry, ask_strictly(cast, "twice", "sound<2"))
        builds.rebuild_image(Actor(cast.member), image)
        image = build_now(registry, image)
        assert image.status == Status.READY
        assert "have passed before" in log_of(image)

    def test_numpy_passes(self, registry: LocalAWS, debian: BaseImage, cast: Cast) -> None:
        image = build_now(registry, ask(cast, "numbers", "numpy"))
        check = checked(registry, image)
        assert (check.status, check.tried, check.failed) == ("PASSED", 1, [])


@pytest.fixture
def image(base: BaseImage, cast: Cast) -> ManagedImage:
    return factories.make_image(
        "sample", base=base, created_by=cast.member, created_in=cast.workspace
    )


def make_check(image: ManagedImage, **values: Any) -> ImportCheck:
    build = image.current_build
    assert build is not None
    return ImportCheck.objects.create(manifest_digest=build.manifest_digest, build=build, **values)


def test_where_no_sandbox_can_be_made_it_is_skipped_with_the_reason(
    image: ManagedImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(container, "confinement_problem", lambda: "This machine cannot.")
    check = make_check(image)
    import_check.run(check.pk)
    check.refresh_from_db()
    assert (check.status, check.skipped_because) == ("SKIPPED", "This machine cannot.")


def test_a_check_that_breaks_is_told_and_can_be_asked_for_again(
    image: ManagedImage, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_off(*_: object) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr(import_check, "attempt", break_off)
    check = make_check(image)
    import_check.run(check.pk)
    check.refresh_from_db()
    assert check.status == "SKIPPED"
    assert "broke on the platform's side" in check.skipped_because
    assert import_checks.check_imports(Actor(cast.member), image).status == "PENDING"


def test_the_end_of_a_check_is_told_to_webhooks(
    image: ManagedImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(container, "confinement_problem", lambda: "This machine cannot.")
    Webhook.objects.create(
        url="https://example.org/", events=[ImageEvent.IMPORT_CHECKED], secret="whsec_x"
    )
    import_check.run(make_check(image).pk)
    payload = Delivery.objects.get().payload
    assert image.current_build is not None
    assert payload["type"] == "image.import_checked"
    assert payload["data"] == {
        "name": "sample",
        "digest": image.current_build.manifest_digest,
        "status": "SKIPPED",
        "tried": 0,
        "failed": [],
        "conflicts": [],
    }


@pytest.mark.slow
def test_a_lost_message_or_a_dead_worker_loses_no_check(
    image: ManagedImage, sent: list[tuple[wake.Task, int]]
) -> None:
    check = make_check(image, due_at=timezone.now())
    sweep.sweep()
    assert sent == [(wake.Task.CHECK_IMPORTS, check.pk)]


def test_a_check_that_no_worker_takes_is_given_up(image: ManagedImage) -> None:
    check = make_check(image)
    import_check.skip_unserved()
    assert ImportCheck.objects.get().state == WorkState.QUEUED
    old = timezone.now() - import_check.UNSERVED_AFTER * 2
    ImportCheck.objects.update(created_at=old)
    BuildHost.objects.create(name="here", queue="sources")
    import_check.skip_unserved()
    assert ImportCheck.objects.get().state == WorkState.QUEUED
    BuildHost.objects.all().delete()
    import_check.skip_unserved()
    check.refresh_from_db()
    assert check.status == "SKIPPED"
    assert "No sources worker is running" in check.skipped_because


@pytest.mark.slow
def test_turns_go_first_to_whoever_had_the_fewest(
    base: BaseImage, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(container, "confinement_problem", lambda: "This machine cannot.")
    order = [("aa", cast.member), ("bb", cast.member), ("upgraded", None), ("cc", cast.viewer)]
    for name, person in order:
        image = factories.make_image(name, base=base, requested_by=person)
        make_check(image)
    for _ in order:
        import_check.run_next()
    done = ImportCheck.objects.order_by("started_at").values_list("build__image__name", flat=True)
    assert list(done) == ["aa", "cc", "bb", "upgraded"]


def test_source_builds_go_before_checks(
    image: ManagedImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    factories.make_instance()
    waiting: list[str] = ["a source build", "another"]
    did: list[str] = []
    monkeypatch.setattr(turns, "claim_next", lambda lane: waiting.pop(0) if waiting else None)
    monkeypatch.setattr(turns, "run_claimed", did.append)
    monkeypatch.setattr(import_check, "run_next", lambda: did.append("a check"))
    tasks.check_imports(1)
    assert did == ["a source build", "another", "a check"]
