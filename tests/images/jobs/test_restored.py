"""A database that is not the one that workers acted in last, or that was recovered since."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from images import tasks
from images.errors import AnotherDatabase
from images.jobs import instance_mark, repositories, restored, sweep
from images.models import BaseImage, Instance, ManagedImage, Verification
from images.models.instance import DATABASE, TIMELINE, MarkState
from images.operations import instance as operations
from images.operations import removal
from ri_platform.errors import Conflict
from ri_platform.local import services
from tests import backups, factories
from tests.cast import Cast
from workspaces.access import Actor
from workspaces.models import AuditEvent


@pytest.fixture
def acting(cast: Cast) -> Instance:
    """This instance, which has acted in the database of the test."""
    factories.make_instance()
    instance = Instance.objects.this()
    instance.goes_on_here()
    return Instance.objects.this()


@pytest.fixture
def deleted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The images whose repositories are deleted."""
    found: list[int] = []
    monkeypatch.setattr(repositories, "delete_repository", found.append)
    return found


def copy_by_dump(name: str, folder: Path) -> None:
    backups.dump(folder / "backup")
    backups.execute(f'CREATE DATABASE "{name}"')
    backups.load(folder / "backup", name)


def copy_by_template(name: str, folder: Path) -> None:
    """Of a database that nobody else uses, as PostgreSQL asks of a template."""
    template = f"{name}_template"
    copy_by_dump(template, folder)
    with backups.using(template):
        restored.prepare_restored()
        assert Instance.objects.this().may_act
        connection.close()
        backups.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')


def identity(postgres: services.Postgres) -> tuple[str, int]:
    """What tells this database from its copies, and its timeline, which a checkpoint writes down."""
    with psycopg.connect(postgres.url("postgres"), autocommit=True) as link:
        while link.execute("SELECT pg_is_in_recovery()").fetchone() == (True,):
            time.sleep(0.05)
        link.execute("CHECKPOINT")
        columns = f"{DATABASE.sql}, {TIMELINE.sql}"
        row = link.execute(f"SELECT {columns} FROM images_instance").fetchone()  # noqa: S608
    assert row is not None
    return row


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("copied", [copy_by_dump, copy_by_template])
def test_in_a_copy_nothing_is_done_until_an_operator_says_that_it_goes_on_there(
    acting: Instance,
    cast: Cast,
    base: BaseImage,
    deleted: list[int],
    tmp_path: Path,
    copied: Callable[[str, Path], None],
) -> None:
    image = factories.make_image("unwanted", base=base, created_by=cast.member)
    removal.remove_image(Actor(cast.admin), image.name)
    name = "copied_database"
    copied(name, tmp_path)
    with backups.using(name):
        assert Instance.objects.this().is_refused
        with pytest.raises(AnotherDatabase, match="restored from a backup, copied or moved") as no:
            instance_mark.look()
        assert "RI_REPOSITORY_SEGMENT" in no.value.hint
        assert no.value.hint.endswith("manage.py restored")
        tasks.delete_repository(image.pk)
        assert not deleted
        with pytest.raises(Conflict, match="copied or moved"):
            operations.adopt_registry("unmarked")

        call_command("restored")
        assert Instance.objects.this().may_act
        tasks.delete_repository(image.pk)
        assert deleted == [image.pk]
    assert Instance.objects.this().may_act


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_a_backup_that_is_restored_over_its_own_database_is_a_copy_too(
    acting: Instance, tmp_path: Path
) -> None:
    backups.dump(tmp_path / "backup")
    name = "restored_over_itself"
    backups.execute(f'CREATE DATABASE "{name}"')
    backups.load(tmp_path / "backup", name)
    with backups.using(name):
        restored.prepare_restored()
        assert Instance.objects.this().may_act
        connection.close()
        backups.load(tmp_path / "backup", name, "--clean")
        assert Instance.objects.this().is_refused


def test_people_are_told_what_a_copy_waits_for(
    acting: Instance, cast: Cast, client: Client
) -> None:
    Instance.objects.update(database="elsewhere")
    client.force_login(cast.admin)
    pane = reverse("images", args=[cast.workspace.pk])
    for page in (pane, reverse("registry_status")):
        text = client.get(page).content.decode()
        assert "restored from a backup, copied or moved" in text, page
        assert "manage.py restored" in text, page
    client.force_login(cast.member)
    text = client.get(pane).content.decode()
    assert "restored from a backup, copied or moved" in text
    assert "manage.py" not in text


def test_what_waits_in_a_copy_says_so(acting: Instance, cast: Cast) -> None:
    Instance.objects.update(database="elsewhere")
    assert Instance.objects.seen().state == MarkState.COPY
    # Another prefix makes it no less a copy.
    Instance.objects.update(place="elsewhere")
    assert Instance.objects.this().state == MarkState.COPY


@pytest.mark.usefixtures("cast")
def test_a_database_older_than_this_is_taken_as_it_is() -> None:
    instance = factories.make_instance()
    assert instance.database == ""
    assert Instance.objects.this().may_act
    Instance.objects.this().saw(MarkState.OURS)
    kept = Instance.objects.this()
    assert kept.database == kept.database_now != ""
    assert kept.timeline == kept.timeline_now > 0


def test_after_a_recovery_what_was_decided_is_decided_anew(
    acting: Instance, cast: Cast, base: BaseImage, settings: Any
) -> None:
    settings.REMOVAL_GRACE = timedelta(hours=1)
    image = factories.make_image("unwanted", base=base, created_by=cast.member)
    removal.remove_image(Actor(cast.admin), image.name)
    long_ago = timezone.now() - timedelta(hours=2)
    ManagedImage.objects.update(deletion_due_at=long_ago, repository_due_at=long_ago)
    Instance.objects.update(timeline=acting.timeline + 1)
    assert Instance.objects.this().may_act

    sweep.sweep()
    due_at = ManagedImage.objects.get().deletion_due_at
    assert due_at is not None
    assert due_at > timezone.now() + timedelta(hours=23)
    assert Verification.objects.active().exists()
    assert AuditEvent.objects.filter(event="registry.restored").count() == 1
    # Once for each recovery.
    sweep.sweep()
    assert AuditEvent.objects.filter(event="registry.restored").count() == 1


@pytest.mark.slow
def test_a_recovery_begins_a_new_timeline_of_the_same_database(tmp_path: Path) -> None:
    """So PostgreSQL does: what tells recovered databases and copies is what it says."""
    postgres = services.start_postgres(tmp_path / "postgres")
    try:
        with psycopg.connect(postgres.url("postgres"), autocommit=True) as link:
            link.execute("CREATE TABLE images_instance ()")
            link.execute("INSERT INTO images_instance DEFAULT VALUES")
        before = identity(postgres)
        assert identity(postgres) == before
        postgres.stop()
        (tmp_path / "postgres/recovery.signal").touch()
        with (tmp_path / "postgres/postgresql.auto.conf").open("a") as file:
            file.write("restore_command = 'false'\n")
        postgres = services.start_postgres(tmp_path / "postgres")
        after = identity(postgres)
        assert (after[0], after[1]) == (before[0], before[1] + 1)
    finally:
        postgres.stop()
