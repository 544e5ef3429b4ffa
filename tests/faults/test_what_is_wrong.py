"""The suite's own judgement: which ends are wrong, which lines of a log tell of a defect, and what is listed
that is nobody's.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from images import wake
from images.models import ManagedImage, MovingTag
from images.registry.distribution.descriptors import OCI_MANIFEST, digest_of
from tests.faults import listings
from tests.faults.asked import BROKE, FAILED, GONE, READY, REMOVED, Asked, Call
from tests.faults.logs import DATABASE_AWAY, Logs
from tests.images.verification import pushed
from tests.local_aws import LocalAWS

LIBRARIES = frozenset({"lib1", "lib2"})


def asked(*verbs: str, **options: Any) -> Asked:
    """One call after the other, of which the first creates the image."""
    calls = [Call("create", 0, 1, LIBRARIES)]
    calls += [Call(verb, place, place + 0.5) for place, verb in enumerate(verbs, start=2)]
    return Asked(calls=calls, **options)


def image(status: str = READY, libraries: frozenset[str] = LIBRARIES, **error: str) -> Any:
    return {
        "status": status,
        "pipRequirements": [{"name": name} for name in libraries],
        "pipLibraries": [{"name": name} for name in (*libraries, "six")],
        "latestBuild": {"error": error or None},
    }


def test_the_last_accepted_call_decides_what_may_be() -> None:
    assert asked("remove", "restore").ends == {READY}
    assert asked("restore", "remove").ends == {REMOVED}
    assert asked("remove", "delete", "remove").ends == {GONE}
    assert asked("remove", "restore").problems(None, removed=True)
    assert not asked("remove").problems(None, removed=True)
    assert asked("remove").problems(None, removed=False)


def test_of_calls_that_overlap_each_may_be_the_last() -> None:
    both = Asked(calls=[Call("remove", 0, 2), Call("restore", 1, 3)])
    assert both.ends == {REMOVED, READY}


def test_other_libraries_than_those_that_were_asked_for_are_wrong() -> None:
    other = frozenset({"lib1", "lib3"})
    assert not asked().problems(image(), removed=False)
    (asks, has) = asked().problems(image(libraries=other), removed=False)
    assert asks == "asks for lib1 lib3, not lib1 lib2"
    assert has == "has lib1 lib3 installed, not lib1 lib2"
    altered = Asked(calls=[*asked().calls, Call("alter", 5, 6, other)])
    assert altered.problems(image(), removed=False)
    # A build that was cancelled leaves what was installed before.
    cancelled = Asked(calls=[*altered.calls, Call("cancel", 7, 8)])
    assert cancelled.installed == {LIBRARIES, other}


@pytest.mark.parametrize(
    ("reason", "message", "is_wrong"),
    [
        ("fetch_failed", "No answer.", False),
        ("resolution_failed", "No version.", True),
        ("fetch_failed", f"The build {BROKE}.", True),
        ("fetch_failed", "", True),
    ],
)
def test_a_failure_counts_only_with_the_codes_of_the_fault(
    reason: str, message: str, is_wrong: bool
) -> None:
    failed = image(FAILED, reason=reason, message=message)
    found = asked(failures=frozenset({"fetch_failed"})).problems(failed, removed=False)
    assert bool(found) == is_wrong
    assert asked().problems(failed, removed=False)
    assert asked(must_fail=True).problems(image(), removed=False)


LOG = """\
10:00:00 [info     ] Build 1 of x begins. [images.jobs.build]
10:00:01 [error    ] Task raised unexpected: KeyError('x') [celery.app.trace]
Traceback (most recent call last):
  File "a.py", line 1, in f
psycopg.OperationalError: terminating connection due to crash

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "a.py", line 2, in f
KeyError: 'x'
10:00:02 [error    ] The database does not answer. [ri_platform.health]
Traceback (most recent call last):
  File "b.py", line 1, in g
django.db.utils.OperationalError: the database system is starting up
DETAIL:  Recovery has not ended.
10:00:03 [warning  ] Slow. [x]
"""


def test_errors_in_logs_are_defects_but_for_what_the_fault_causes(tmp_path: Path) -> None:
    """A traceback counts by the exception that it ends with."""
    file = tmp_path / "builds-1.log"
    file.write_text(LOG)
    logs = Logs([file])
    (found,) = logs.new_defects(DATABASE_AWAY)
    assert re.match(r"builds-1: KeyError: 'x' \(10:00:01 ", found)
    assert logs.new_defects(DATABASE_AWAY) == []


def test_the_log_of_make_run_is_read_process_by_process(tmp_path: Path) -> None:
    lines = [f"10:00:0{place} builds-1 │ {line}" for place, line in enumerate(LOG.splitlines()[:4])]
    lines.insert(2, "10:00:02 web      │ 10:00:02 [info     ] GET /v1/images 200")
    lines.append("10:00:09 builds-1 │ ValueError: no")
    file = tmp_path / "run.log"
    file.write_text("\n".join(lines) + "\n")
    (found,) = Logs([file]).new_defects(DATABASE_AWAY)
    assert found.startswith("builds-1: ValueError: no")


# --- what the registry lists ------------------------------------------------------------------------------


@pytest.fixture
def sound(
    empty_registry: LocalAWS, db: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> ManagedImage:
    """An image whose build and `latest` are in the registry, upon a base image that is there."""
    monkeypatch.setattr(wake, "send", lambda task, pk: None)
    base = pushed.push_base(empty_registry, tmp_path)
    made = pushed.push_ready(empty_registry, "sound", base, tmp_path)
    ManagedImage.objects.update(tags_may_move=True)
    build = made.builds.get()
    MovingTag.objects.create(image=made, name="latest", build=build, pushed_build=build)
    put(empty_registry, "latest")
    assert listings.findings(empty_registry) == []
    return made


def put(aws: LocalAWS, tag: str, *, other: bool = False) -> None:
    """Put the image's manifest under one more tag, or the manifest of another image of the same blobs."""
    config, *layers = pushed.contents("sound").items()
    manifest = pushed.manifest_of(dict([config, *(reversed(layers) if other else layers)]))
    with aws.client() as client:
        client.put_manifest(f"{pushed.PREFIX}/sound", tag, manifest, OCI_MANIFEST)


def codes(aws: LocalAWS) -> list[tuple[str, str]]:
    return sorted((str(item.code), item.subject) for item in listings.findings(aws))


@pytest.mark.parametrize("name", ["nobodys", "base/all-3.12", "instance/whatever"])
def test_a_repository_of_no_row_is_found(
    sound: ManagedImage, empty_registry: LocalAWS, name: str
) -> None:
    """Also one of a name that no record ever had, which the platform itself cannot look for."""
    with empty_registry.repositories(f"{pushed.PREFIX}/{name}"):
        assert codes(empty_registry) == [("repository_unknown", name)]


def test_the_repository_of_a_deleted_image_is_found(
    sound: ManagedImage, empty_registry: LocalAWS
) -> None:
    sound.delete()
    assert codes(empty_registry) == [("repository_unknown", "sound")]


@pytest.mark.parametrize("tag", ["build-7", "build-7-sbom"])
def test_the_tag_of_a_build_without_a_row_is_found(
    sound: ManagedImage, empty_registry: LocalAWS, tag: str
) -> None:
    put(empty_registry, tag)
    assert codes(empty_registry) == [("build_unknown", "sound")]


def test_the_tag_of_a_build_that_names_another_image_is_found(
    sound: ManagedImage, empty_registry: LocalAWS
) -> None:
    """As it would be if a worker that is taken for dead had put its own last; `latest` names it, too."""
    sound.builds.update(manifest_digest=digest_of(b"what the build has recorded"))
    assert codes(empty_registry) == [("build_unknown", "sound")] * 2


def test_a_moved_tag_is_found(sound: ManagedImage, empty_registry: LocalAWS) -> None:
    put(empty_registry, "latest", other=True)
    assert ("tag_moved", "sound") in codes(empty_registry)


def test_a_tag_that_no_owner_pointed_is_found(
    sound: ManagedImage, empty_registry: LocalAWS
) -> None:
    put(empty_registry, "stable")
    assert codes(empty_registry) == [("tag_moved", "sound")]


def test_a_tag_of_a_base_image_without_a_row_is_found(
    sound: ManagedImage, empty_registry: LocalAWS, tmp_path: Path
) -> None:
    pushed.push(empty_registry, "base/all-3.11", tmp_path, tags=["test-2"])
    assert codes(empty_registry) == [("build_unknown", f"{pushed.PREFIX}/base/all-3.11")]
