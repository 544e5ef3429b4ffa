"""Queries that are compiled once, results that are remembered, and versions of rows."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet

from ri_platform.memory import Memory
from ri_platform.ready import Among, Given, Ready
from ri_platform.row_versions import RowVersions
from tests import factories
from workspaces.models import Membership, User, Workspace, WorkspaceRole


def test_a_query_is_written_once_and_asked_with_other_values(
    db: None, django_assert_num_queries: Any
) -> None:
    written: list[QuerySet[Membership]] = []

    def write() -> QuerySet[Membership]:
        rows = Membership.objects.select_related("user", "workspace")
        written.append(rows.filter(user__username=Given("name")).order_by("pk"))
        return written[-1]

    ready: Ready[Membership] = Ready(write)
    for name in ("ada", "bob"):
        factories.make_workspace(f"{name}'s", one=(factories.make_user(name), WorkspaceRole.MEMBER))
    for name in ("ada", "bob", "ada"):
        with django_assert_num_queries(1):
            (found,) = ready.rows(name=name)
            assert (found.user.username, found.workspace.name) == (name, f"{name}'s")
    assert ready.first(name="nobody") is None
    assert len(written) == 1


def test_a_query_reads_values_and_lists(db: None) -> None:
    for name in ("a", "b", "c"):
        factories.make_user(name)
    ready: Ready[str] = Ready(
        lambda: (
            User.objects.filter(Among("username", Given("names")))
            .order_by("-username")
            .values_list("username", flat=True)
        )
    )
    assert ready.rows(names=["a", "c", "x"]) == ["c", "a"]
    assert ready.rows(names=[]) == []


def test_a_version_is_another_after_each_change_of_a_row(db: None) -> None:
    user = factories.make_user("ada")
    workspace = factories.make_workspace("one", ada=(user, WorkspaceRole.MEMBER))
    versions = Membership.objects.values_list(RowVersions("role", "user__email", "workspace__name"))

    def version() -> str:
        return str(versions.get()[0])

    seen = [version()]
    assert version() == seen[0]
    User.objects.update(email="ada@example.org")
    seen.append(version())
    Workspace.objects.filter(pk=workspace.pk).update(name="two")
    seen.append(version())
    # Also if it is as it was before.
    Workspace.objects.filter(pk=workspace.pk).update(name="one")
    seen.append(version())
    assert len(set(seen)) == 4


def test_what_is_new_is_made_at_once_and_the_oldest_goes() -> None:
    made: list[list[int]] = []

    def make(keys: list[int]) -> dict[int, str]:
        made.append(keys)
        return {key: str(key) for key in keys if key < 10}

    memory: Memory[str] = Memory(3)
    assert memory.recall_all([2, 1, 11], make) == {2: "2", 1: "1"}
    assert list(memory.recall_all([1, 3, 2], make)) == [1, 3, 2]
    assert memory.recall_all([4], make) == {4: "4"}
    memory.recall_all([1], make)
    assert made == [[2, 1, 11], [3], [4], [1]]
