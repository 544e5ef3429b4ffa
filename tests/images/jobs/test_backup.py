"""A backup, rehearsed: pg_dump under load, restored beside the same registry, and what lacks is told."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone

from images import wake
from images.errors import AnotherDatabase
from images.jobs import instance_mark
from images.models import (
    BaseImage,
    Build,
    BuildReason,
    Drift,
    Instance,
    ManagedImage,
    Status,
    UnknownRepository,
    Wish,
)
from images.models.lease import WorkState
from images.operations import alterations, builds, removal, unknown_repositories
from images.requirement_files.configured import parse_pip_requirements
from images.spec import ImageSpec
from ri_platform.errors import Conflict, NotAllowed
from tests.backups import dump, dump_under_load, restored
from tests.builds import ask, build_now, pulled_by_ourselves
from tests.cast import Cast
from tests.images.verification import pushed
from tests.images.verification.workers import Workers, workers_with_registers
from tests.local_aws import LocalAWS
from workspaces.access import Actor
from workspaces.models import AuditEvent

pytestmark = [pytest.mark.slow, pytest.mark.network, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def workers(debian: BaseImage, registry: LocalAWS, monkeypatch: pytest.MonkeyPatch) -> Workers:
    Instance.objects.this().goes_on_here()
    return workers_with_registers(registry, monkeypatch, but=debian.repository)


def test_a_restored_instance_knows_what_it_lacks(
    cast: Cast, debian: BaseImage, registry: LocalAWS, workers: Workers, tmp_path: Path
) -> None:
    for name in ("stays", "goes", "rebuilt", "moved-on"):
        build_now(registry, ask(cast, name, "pyjokes==0.6.0"))
    building = ask(cast, "half-way", "pyjokes==0.6.0")
    assert dump_under_load(tmp_path / "backup") > 10

    # What happens after the backup: new images, later builds, a removal, and the end of what was under way.
    newer = build_now(registry, ask(cast, "newer", "iniconfig==2.0.0"))
    build_now(registry, ask(cast, "unwanted", "pyjokes==0.6.0"))
    assert newer.current_build is not None
    digest, lock = newer.current_build.manifest_digest, newer.current_build.lock
    had = libraries_of(newer.current_build)
    for name in ("rebuilt", "moved-on"):
        # Another manifest, whose tag no other build can have.
        ManagedImage.objects.filter(name=name).update(description="Described later")
        builds.rebuild_image(Actor(cast.member), ManagedImage.objects.get(name=name))
        build_now(registry, ManagedImage.objects.get(name=name))
    build_now(registry, building)
    removal.remove_image(Actor(cast.admin), "goes")
    registry.control("registry-server").delete_repository(f"{pushed.PREFIX}/goes")

    with restored(tmp_path / "backup"):
        known = {"stays", "goes", "rebuilt", "moved-on", "half-way"}
        assert set(ManagedImage.objects.values_list("name", flat=True)) == known
        # Workers wait for an operator, who might have meant a copy. It has the id that the mark names, so
        # nothing has to be adopted as a whole.
        with registry.identity("registry-server"):
            with pytest.raises(AnotherDatabase):
                instance_mark.look()
            call_command("restored")
            instance_mark.look()
        # What was under way goes on. This had ended since: what is in its repository is of no record.
        assert (
            build_now(registry, ManagedImage.objects.get(name="half-way")).status == Status.FAILED
        )

        assert sorted(workers.verify()) == [
            "build_unknown", "build_unknown", "repository_missing", "repository_unknown",
            "repository_unknown", "repository_unknown",
        ]  # fmt: skip
        # What the backup has and the registry lacks is pushed again, with its digest.
        drift = Drift.objects.get()
        assert (drift.name, drift.state) == ("goes", WorkState.SUCCEEDED), drift.error_message

        # What is newer than the backup is offered, to administrators alone.
        offered = set(UnknownRepository.objects.open().values_list("name", flat=True))
        assert offered == {"newer", "unwanted", "rebuilt", "moved-on", "half-way"}
        with pytest.raises(NotAllowed):
            unknown_repositories.adopt_repository(Actor(cast.member), "newer")
        with pytest.raises(Conflict):
            unknown_repositories.delete_unknown_repository(Actor(cast.admin), "rebuilt")
        unknown_repositories.adopt_repository(Actor(cast.admin), "newer")
        unknown_repositories.adopt_repository(Actor(cast.admin), "moved-on")
        unknown_repositories.adopt_repository(Actor(cast.admin), "half-way")
        unknown_repositories.delete_unknown_repository(Actor(cast.admin), "unwanted")
        # Where nobody adopts the later build, its number is taken all the same, and the next can be built.
        again = ManagedImage.objects.get(name="rebuilt")
        assert builds.rebuild_image(Actor(cast.admin), again).number == 3
        assert build_now(registry, again).status == Status.READY
        workers.work()
        assert workers.verify() == []
        assert not UnknownRepository.objects.open().exists()

        adopted = ManagedImage.objects.get(name="newer")
        build = adopted.current_build
        assert build is not None
        assert (adopted.status, adopted.spec, build.reason) == (
            Status.READY, newer.spec, BuildReason.ADOPT,
        )  # fmt: skip
        assert (build.manifest_digest, build.lock) == (digest, lock)
        assert libraries_of(build) == had
        assert pulled_by_ourselves(registry, adopted, tmp_path)
        moved = ManagedImage.objects.get(name="moved-on")
        assert moved.current_build is not None
        assert (moved.status, moved.current_build.number) == (Status.READY, 2)
        half = ManagedImage.objects.get(name="half-way")
        assert half.current_build is not None
        assert (half.status, half.created_by) == (Status.READY, cast.member)
        # It is an image like another: it can be built on.
        builds.rebuild_image(Actor(cast.admin), adopted)
        assert build_now(registry, adopted).status == Status.READY
        told = AuditEvent.objects.filter(object_name__in=["newer", "unwanted"]).order_by("pk")
        assert {(item.event, item.username) for item in told[:4]} == {
            ("repository.adoption_requested", "admin"),
            ("repository.deletion_requested", "admin"),
            ("image.adopted", "admin"),
            ("repository.deleted", "admin"),
        }


def test_nothing_newer_than_the_backup_is_deleted_by_what_the_backup_says(
    cast: Cast,
    debian: BaseImage,
    registry: LocalAWS,
    workers: Workers,
    tmp_path: Path,
    settings: Any,
) -> None:
    settings.REMOVAL_GRACE = timedelta(hours=24)
    admin = Actor(cast.admin)
    for name in ("unwanted", "taken-back", "another"):
        build_now(registry, ask(cast, name, "pyjokes==0.6.0"))
        removal.remove_image(admin, name)
    pushed.push(registry, "of-no-record", tmp_path, tags=["build-1"])
    of_no_record = UnknownRepository.objects.create(
        name="of-no-record", tags=["build-1"], pushed_at=timezone.now()
    )
    unknown_repositories.delete_unknown_repository(admin, "of-no-record")
    dump(tmp_path / "backup")

    # Since the backup one was restored and built again, and two of the names are those of other images.
    removal.restore_image(admin, "taken-back")
    ManagedImage.objects.filter(name="taken-back").update(description="Described later")
    builds.rebuild_image(Actor(cast.member), ManagedImage.objects.get(name="taken-back"))
    build_now(registry, ManagedImage.objects.get(name="taken-back"))
    removal.delete_image(admin, "another")
    workers.waiting.append((wake.Task.DELETE_UNKNOWN_REPOSITORY, of_no_record.pk))
    assert workers.sweep() >= {"delete_repository"}
    for name in ("another", "of-no-record"):
        build_now(registry, ask(cast, name, "iniconfig==2.0.0"))

    with restored(tmp_path / "backup"):
        call_command("restored")
        workers.work()
        # Removed images have their grace time anew, and nobody's wish is carried out.
        long_ago = timezone.now() - timedelta(days=2)
        UnknownRepository.objects.update(due_at=long_ago)
        assert not workers.sweep() & {"delete_repository", "delete_unknown_repository"}
        assert removal.restore_image(admin, "taken-back").status == Status.READY
        removal.remove_image(admin, "taken-back")

        # Where nobody decides in time, or nobody ran the command, what no record knows stays.
        ManagedImage.objects.update(deletion_due_at=long_ago, repository_due_at=long_ago)
        UnknownRepository.objects.filter(name="of-no-record").update(
            wish=Wish.DELETE, tags=["build-1"], pushed_at=long_ago, due_at=long_ago
        )
        assert workers.sweep() >= {"delete_repository", "delete_unknown_repository"}
        kept = {"taken-back", "another", "of-no-record"}
        held = {name.rpartition("/")[2] for name in registry.names_of_repositories()}
        assert (held & (kept | {"unwanted"})) == kept
        assert not ManagedImage.objects.exists()
        listed = UnknownRepository.objects.open().filter(wish=Wish.NONE)
        assert {row.name for row in listed if "adopt" in row.error_hint.lower()} == kept
        workers.sweep()
        assert set(workers.verify()) == {"repository_unknown"}
        for name in kept:
            unknown_repositories.adopt_repository(admin, name)
        workers.work()
        adopted = ManagedImage.objects.select_related("current_build")
        assert {
            (image.name, image.current_build and image.current_build.number) for image in adopted
        } == {("taken-back", 2), ("another", 1), ("of-no-record", 1)}
        # They are like others: removed by people who see them, they go.
        for name in kept:
            removal.remove_image(admin, name)
            removal.delete_image(admin, name)
        workers.sweep()
        assert not kept & {name.rpartition("/")[2] for name in registry.names_of_repositories()}


def test_a_later_build_is_offered_and_kept_whatever_lies_before_it(
    cast: Cast,
    debian: BaseImage,
    registry: LocalAWS,
    workers: Workers,
    tmp_path: Path,
    settings: Any,
) -> None:
    """Numbers are taken by builds that fail or are cancelled, too, and by one that waits in the backup."""
    member = Actor(cast.member)
    for name in ("skipped", "waiting"):
        build_now(registry, ask(cast, name, "pyjokes==0.6.0"))
    failed = build_now(registry, ask(cast, "failed", "ri-no-such-package-zz9"))
    assert (failed.status, failed.current_build) == (Status.FAILED, None)
    workers.work()
    skipped, waiting = (ManagedImage.objects.get(name=name) for name in ("skipped", "waiting"))
    builds.rebuild_image(member, waiting)
    dump(tmp_path / "backup")

    settings.IMAGE_VENDOR = "Since the backup"
    build_now(registry, waiting)
    for _ in range(2):
        builds.rebuild_image(member, skipped)
        builds.cancel_build(member, skipped)
    builds.rebuild_image(member, skipped)
    assert build_now(registry, skipped).status == Status.READY
    spec = ImageSpec("all", "3.11", tuple(parse_pip_requirements("iniconfig==2.0.0")))
    alterations.alter_image_unseen(member, failed, spec)
    assert build_now(registry, failed).status == Status.READY
    workers.work()
    assert tags_in(registry, "skipped")["latest"] == tags_in(registry, "skipped")["build-4"]

    with restored(tmp_path / "backup"):
        settings.IMAGE_VENDOR = ""
        # What waited has no number to take: the one that it has is in the registry already.
        waiting = build_now(registry, ManagedImage.objects.get(name="waiting"))
        assert waiting.builds.get(number=2).error_code == "tag_taken"
        newest = {"skipped": "4", "waiting": "2", "failed": "2"}
        for _ in range(2):
            found = workers.verify()
            assert found.count("build_unknown") == 3
            listed = UnknownRepository.objects.open().filter(of_known_image=True)
            assert {row.name: row.builds[0] for row in listed} == newest
        # A moving tag is where the console says, and nothing that can be adopted expires meanwhile.
        tags = tags_in(registry, "skipped")
        assert tags["latest"] == tags["build-1"]
        for image in ManagedImage.objects.all():
            wake.send(wake.Task.TIDY_REPOSITORY, image.pk)
        workers.work()
        for name, number in newest.items():
            assert f"build-{number}" not in policy_of(registry, name)
            unknown_repositories.adopt_repository(Actor(cast.admin), name)
        workers.work()
        for image in ManagedImage.objects.select_related("current_build"):
            assert image.current_build is not None
            assert image.status == Status.READY
            assert str(image.current_build.number) == newest[image.name]
            tags = tags_in(registry, image.name)
            assert tags["latest"] == image.current_build.manifest_digest
        assert workers.verify() == []


def tags_in(registry: LocalAWS, name: str) -> dict[str, str]:
    """Tag → digest."""
    found = registry.control("registry-server").describe_images(f"{pushed.PREFIX}/{name}")
    return {tag: item.digest for item in found for tag in item.tags}


def policy_of(registry: LocalAWS, name: str) -> str:
    found = registry.root.get_lifecycle_policy(repositoryName=f"{pushed.PREFIX}/{name}")
    return str(found["lifecyclePolicyText"])


def libraries_of(build: Build) -> set[tuple[str, str, str]]:
    return set(build.libraries.values_list("name", "version", "sha256"))
