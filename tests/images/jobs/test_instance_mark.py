"""Two instances never share repositories: the first to mark them owns them, and the other does nothing."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import pytest
from django.urls import reverse

from images import tasks, wake
from images.building.push.referrers import EMPTY
from images.doctor import there
from images.doctor.findings import State
from images.errors import AnotherInstance, RegistryError, RepositoryOutsidePrefix
from images.jobs import aws_contact, instance_mark
from images.models import AwsContact, BaseImage, Instance, Status
from images.models.instance import MarkState
from images.operations import instance as operations
from images.registry import naming
from images.registry.distribution.client import RegistryClient
from images.registry.distribution.descriptors import OCI_MANIFEST
from images.registry.ecr import local_iam
from images.registry.ecr.repositories import ImageDetail
from ri_platform.errors import Conflict, Invalid
from ri_platform.local import services
from tests import factories
from tests.cast import Cast
from tests.local_aws import LocalAWS
from workspaces.models import AuditEvent

A = uuid.UUID("aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa")
B = uuid.UUID("bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb")
# What workers do to the registry is what these leave alone.
HARMLESS = {
    wake.Task.READ_LIBRARY_INDEX, wake.Task.DELIVER, wake.Task.PREPARE_LAYERS,
    wake.Task.WATCH_TAGS, wake.Task.REPORT_HOST, wake.Task.REPORT_SOURCE_HOST,
    wake.Task.CHECK_REGISTRY_SERVER, wake.Task.CHECK_BUILD_JOBS, wake.Task.WRITE_MARK,
    wake.Task.SEE_MARK, wake.Task.TRY_SOURCES, wake.Task.TRY_WEBHOOKS, wake.Task.TRY_REGISTRY_SERVER,
    wake.Task.TRY_BUILD_JOBS, wake.Task.END_TRIAL,
}  # fmt: skip


class Instances:
    """Instances that share an AWS account, one at a time, each with a database and workers of its own."""

    def __init__(self, aws: LocalAWS, patch: pytest.MonkeyPatch) -> None:
        self.aws = aws
        self.sent: list[wake.Task] = []
        patch.setattr(wake, "send", lambda task, pk: self.sent.append(task))

    def become(self, instance_id: uuid.UUID) -> None:
        Instance.objects.all().delete()
        Instance.objects.create(pk=1, instance_id=instance_id)

    def look(self) -> Instance:
        with self.aws.identity("registry-server"):
            instance_mark.look()
        return Instance.objects.this()

    def write(self) -> None:
        with self.aws.identity("build-jobs"):
            instance_mark.write()

    def start(self) -> Instance:
        """What its workers do at their start."""
        self.look()
        self.write()
        return self.look()


@pytest.fixture
def prefix(registry: LocalAWS, settings: Any) -> Iterator[Callable[[str, str], None]]:
    """Sets prefix and segment, for which the policies are made as Terraform's."""

    def use(prefix: str, segment: str = "") -> None:
        settings.REPOSITORY_PREFIX, settings.REPOSITORY_SEGMENT = prefix, segment
        local_iam.bootstrap(registry.url, services.REGION, naming.effective_prefix(), registry.keys)

    yield use
    local_iam.bootstrap(registry.url, services.REGION, naming.DEFAULT_PREFIX, registry.keys)


@pytest.fixture
def instances(
    prefix: Callable[..., None],
    request: pytest.FixtureRequest,
    registry: LocalAWS,
    db: None,
    monkeypatch: pytest.MonkeyPatch,
) -> Instances:
    """On a prefix of the test's own, in which nobody has been."""
    prefix(f"mark-{abs(hash(request.node.name)) % 10**9}")
    return Instances(registry, monkeypatch)


# --- whose they are ---------------------------------------------------------------------------------------


def test_a_fresh_instance_marks_the_prefix_and_does_nothing_before(instances: Instances) -> None:
    instances.become(A)
    assert instances.look().state == MarkState.FREE
    assert instances.sent == [wake.Task.WRITE_MARK]
    assert not Instance.objects.this().may_act
    instances.write()
    assert instances.sent.pop() == wake.Task.SEE_MARK
    assert instances.look().may_act
    assert instances.start().may_act


def test_an_instance_that_is_older_than_marks_adopts_what_its_records_have(
    instances: Instances,
) -> None:
    instances.become(A)
    repository = naming.base_repository(naming.effective_prefix(), "all", "3.11")
    push_something(instances.aws, repository)
    factories.make_base_image(repository=repository)
    assert instances.start().may_act


def test_a_database_that_was_restored_from_its_backup_has_the_same_mark(
    instances: Instances,
) -> None:
    instances.become(A)
    instances.start()
    instances.become(A)
    assert instances.look().may_act


def test_a_second_instance_is_told_whose_the_prefix_is(instances: Instances) -> None:
    instances.become(A)
    instances.start()
    instances.become(B)
    with pytest.raises(AnotherInstance, match=f"another instance, {A}") as refused:
        instances.look()
    assert f"manage.py adopt_registry {A}" in refused.value.hint
    assert "RI_REPOSITORY_SEGMENT" in refused.value.hint
    # Nor does it write anything.
    instances.write()
    instances.become(A)
    assert instances.look().may_act


def test_of_two_that_start_at_once_exactly_one_gets_the_prefix(instances: Instances) -> None:
    for each in (A, B):
        instances.become(each)
        assert instances.look().state == MarkState.FREE
    instances.write()
    # A still believes that it is free.
    Instance.objects.update(instance_id=A)
    instances.write()
    with pytest.raises(AnotherInstance, match=str(B)):
        instances.look()
    instances.become(B)
    assert instances.look().may_act


def test_a_new_database_beside_repositories_that_are_older_than_marks_is_refused(
    instances: Instances,
) -> None:
    push_something(instances.aws, naming.base_repository(naming.effective_prefix(), "nlp", "3.9"))
    instances.become(B)
    with pytest.raises(AnotherInstance, match="does not know") as refused:
        instances.look()
    assert "manage.py adopt_registry unmarked" in refused.value.hint
    operations.adopt_registry("unmarked")
    assert instances.start().may_act


def test_a_mark_that_somebody_deleted_is_written_again_and_nothing_waits(
    instances: Instances,
) -> None:
    instances.become(A)
    instances.start()
    repository = naming.mark_repository(naming.effective_prefix())
    instances.aws.control("registry-server", naming.effective_prefix()).delete_repository(
        repository
    )
    assert instances.look().may_act
    instances.write()
    instances.become(B)
    with pytest.raises(AnotherInstance, match=str(A)):
        instances.look()


def test_after_a_change_of_the_segment_the_registry_is_looked_at_anew(
    instances: Instances, settings: Any
) -> None:
    instances.become(A)
    assert instances.start().may_act
    settings.REPOSITORY_SEGMENT = "other"
    assert Instance.objects.seen().state == MarkState.UNKNOWN


# --- adopting ---------------------------------------------------------------------------------------------


def test_an_operator_adopts_the_repositories_of_a_lost_database(instances: Instances) -> None:
    instances.become(A)
    instances.start()
    push_something(instances.aws, naming.base_repository(naming.effective_prefix(), "all", "3.11"))
    instances.become(B)
    with pytest.raises(AnotherInstance):
        instances.look()
    for wrong, kind in ((str(B), Invalid), ("unmarked", Invalid), ("everything", Invalid)):
        with pytest.raises(kind):
            operations.adopt_registry(wrong)
    operations.adopt_registry(str(A))
    assert AuditEvent.objects.get(event="registry.adopted").details == {"mark": str(A)}
    assert instances.start().may_act
    # The former owner stops at its next look.
    instances.become(A)
    with pytest.raises(AnotherInstance, match=str(B)):
        instances.look()


def test_nothing_is_adopted_that_is_not_known_to_be_anothers(db: None) -> None:
    factories.make_instance()
    with pytest.raises(Conflict):
        operations.adopt_registry(str(A))


# --- what a refused instance does -------------------------------------------------------------------------


def test_every_task_that_acts_on_the_registry_waits_for_the_mark(db: None) -> None:
    factories.make_instance(MarkState.FOREIGN, marked_by=str(A))
    for task in set(wake.Task) - HARMLESS:
        # Unless it waits, it looks for a row, or talks to an AWS that is not there.
        assert hasattr(getattr(tasks, task.function), "__wrapped__"), task
        assert getattr(tasks, task.function)(1) is None


@pytest.mark.slow
def test_builds_and_removals_wait_and_say_why(
    cast: Cast, base: BaseImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = factories.make_image("marked-waiting", base=base, status=Status.BUILDING_FIRST_TIME)
    monkeypatch.setattr("images.registry.connection.control", lambda: pytest.fail("It asked AWS."))
    factories.make_instance(MarkState.FOREIGN, marked_by=str(A))
    build = waiting.builds.get()
    tasks.prepare_repository(waiting.pk)
    tasks.run_build(build.pk)
    tasks.delete_repository(waiting.pk)
    build.refresh_from_db()
    assert build.state == "queued"
    client = cast.client(cast.admin)
    page = client.get(reverse("image", args=[cast.workspace.pk, waiting.name])).content.decode()
    assert f"marked as those of another instance, {A}" in page
    assert "next to be built" not in page
    pane = client.get(reverse("images", args=[cast.workspace.pk])).content.decode()
    assert f"manage.py adopt_registry {A}" in pane
    others = cast.client(cast.viewer).get(reverse("images", args=[cast.workspace.pk]))
    assert "adopt_registry" not in others.content.decode()
    assert "another instance" in others.content.decode()
    status = client.get(reverse("registry_status")).content.decode()
    assert f"manage.py adopt_registry {A}" in status


def test_workers_tell_of_it_at_their_start_and_the_doctor_fails(
    instances: Instances, caplog: pytest.LogCaptureFixture
) -> None:
    instances.become(A)
    instances.start()
    instances.become(B)
    with instances.aws.identity("registry-server"):
        aws_contact.check("registry")
        assert str(A) in caplog.text
        assert str(A) in AwsContact.objects.get(identity="registry").problem
        findings = list(there.registry_server(1))
        assert [item.state for item in findings] == [State.OK, State.FAILED]
        assert [item.state for item in there.clean_up(1)] == [State.SKIPPED]
    assert [item.state for item in there.push_and_pull(1)] == [State.SKIPPED]


# --- segments ---------------------------------------------------------------------------------------------


def push_something(aws: LocalAWS, repository: str) -> None:
    aws.control("registry-server", naming.effective_prefix()).create_repository(
        repository, ours=False
    )
    with aws.client() as client:
        put_something(client, repository)


def put_empty(client: RegistryClient, repository: str) -> None:
    """The empty configuration that the manifest names."""
    with NamedTemporaryFile() as file:
        Path(file.name).write_bytes(b"{}")
        client.upload_blob(
            repository, EMPTY.digest, EMPTY.size, Path(file.name), check=lambda: None
        )


def put_something(client: RegistryClient, repository: str) -> None:
    manifest = instance_mark.mark_manifest(Instance(instance_id=A))
    put_empty(client, repository)
    client.put_manifest(repository, "build-1", manifest, OCI_MANIFEST)


@pytest.mark.parametrize(("ours", "theirs"), [("a", "b"), ("b", "a"), ("a", "")])
def test_with_a_segment_iam_keeps_an_instance_from_the_others_repositories(
    ours: str, theirs: str, prefix: Callable[[str, str], None], registry: LocalAWS
) -> None:
    shared = f"shared-{ours}{theirs or 'none'}"
    prefix(shared, theirs)
    their_prefix = naming.effective_prefix()
    victim = naming.image_repository(their_prefix, "victim")
    push_something(registry, victim)
    prefix(shared, ours)
    # Not even with a guard that lets it: the policy is what refuses.
    control = registry.control("registry-server", their_prefix)
    for act in (control.delete_repository, control.put_lifecycle_policy, control.list_images):
        with pytest.raises(RegistryError, match="refused"):
            act(victim)
    with registry.client() as client, pytest.raises(RegistryError, match="refused"):
        put_something(client, victim)
    push_something(registry, naming.image_repository(naming.effective_prefix(), "mine"))


def test_without_a_segment_the_guard_keeps_an_instance_from_the_segments_below(
    prefix: Callable[[str, str], None], registry: LocalAWS
) -> None:
    prefix("guarded", "a")
    victim = naming.image_repository(naming.effective_prefix(), "victim")
    prefix("guarded", "")
    control = registry.control("registry-server", "guarded")
    for act in (control.delete_repository, control.put_lifecycle_policy, control.list_images):
        with pytest.raises(RepositoryOutsidePrefix):
            act(victim)
    with pytest.raises(RepositoryOutsidePrefix):
        control.create_repository(victim, ours=True)
    with registry.identity("build-jobs"):
        from images.registry import connection

        with connection.registry_client() as client, pytest.raises(RepositoryOutsidePrefix):
            put_something(client, victim)
    # An image that is named as the segment is a neighbour, and none of them is hit by removing it.
    assert naming.image_repository("guarded", "a") == "guarded/a"


def test_the_mark_names_its_writer_last() -> None:
    """Whoever has the tag `instance` has been named by the other tag before."""
    both, other, nameless = (
        ImageDetail("sha256:1", tags, 0, None)
        for tags in ((f"id-{A}", "instance"), (f"id-{B}",), ("instance",))
    )
    assert instance_mark.owner_in([other, both]) == str(A)
    assert instance_mark.owner_in([other]) is None
    assert instance_mark.owner_in([nameless]) == ""
