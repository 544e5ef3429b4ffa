"""Fixtures that every test may ask for: the cast, the local AWS, the web process, the browser."""

from __future__ import annotations

import gc
import os
import re
from collections.abc import Generator, Iterator
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import botocore.session
import hypothesis
import pytest
from django.conf import settings
from django.contrib.auth.hashers import Argon2PasswordHasher
from django.core.management import call_command
from django.db import connection
from django.test import TransactionTestCase, override_settings

from images.models import BaseImage, ManagedImage, Status, instance
from images.models.lease import WorkState
from ri_platform.local import services
from ri_platform.stopping import this_worker
from tests import factories, migrated
from tests.cast import Cast
from tests.chromium import FLAGS, chromium_path
from tests.emptying import empty_used_tables
from tests.local_aws import LocalAWS, local_aws
from tests.needs import pytest_runtest_setup, pytest_terminal_summary, require  # noqa: F401
from tests.order import put_longest_first
from tests.rabbitmq import rabbitmq
from tests.services import STATE, share_debian
from tests.web_process import web_process
from workspaces.models import InstanceRole, Membership, User, Workspace, WorkspaceRole

if TYPE_CHECKING:
    from playwright.sync_api import Browser

# No test is timed: a busy machine takes longer for an example than Hypothesis allows.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")

WHOLLY_SLOW = re.compile(r"^pytestmark = (\[[^]]*)?pytest\.mark\.slow\b", re.MULTILINE)
# Fixtures that start a process each, in every process of `pytest -n`.
SERVICES = {"aws", "empty_aws", "web"}


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """What is slow as a whole is not even imported for `make check`: it takes seconds of each process."""
    if "not slow" in config.getoption("markexpr") and collection_path.name.startswith("test_"):
        return WHOLLY_SLOW.search(collection_path.read_text(encoding="utf-8")) is not None or None
    return None


def pytest_collection_finish() -> None:
    """Leave what is collected out of garbage collections: it stays until the end, and there is much of it.

    The little garbage among it stays, too: to look for it takes each process half a second.
    """
    gc.freeze()
    gc.enable()
    # Templates and queries make much that is gone at once; garbage in cycles is little, and can wait.
    gc.set_threshold(20_000, 10, 10)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Generator[None, None, None]:
    """A test that uses one of the services is slow: a few dozen would start them all for `make check`.

    Then files are put in order, after pytest-django has sorted by use of the database.
    """
    for item in items:
        if SERVICES & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.slow)
    yield
    put_longest_first(items)


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix: None) -> None:
    """The test's database begins as a copy of the migrated one, where there is one, and stays so."""
    template = os.environ.get("RI_TEST_TEMPLATE") or None
    connection.settings_dict["TEST"].update(TEMPLATE=template, MIGRATE=template is None)


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None) -> None:
    """As pytest-django has it; what was migrated is kept for the next run."""
    first = os.environ.get("PYTEST_XDIST_WORKER", "gw0") == "gw0"
    # Of a server that somebody named, nothing is known.
    if first and os.environ.get("RI_TEST_TEMPLATE") == "":
        migrated.save(str(connection.settings_dict["HOST"]), str(connection.settings_dict["NAME"]))


@pytest.fixture(scope="session", autouse=True)
def static_files() -> Iterator[None]:
    """Pages name static files by their hash, as in production; compressing them takes seconds.

    Each test client would list all of them once more, which takes longer than its requests.
    """
    backend = "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"
    with override_settings(STORAGES={**settings.STORAGES, "staticfiles": {"BACKEND": backend}}):
        call_command("collectstatic", interactive=False, verbosity=0)
    with override_settings(WHITENOISE_AUTOREFRESH=True):
        yield


class CheapArgon2(Argon2PasswordHasher):
    """Production's hash at the least cost: at its own, passwords take half of a sign-in test's time."""

    time_cost, memory_cost, parallelism = 1, 8, 1


@pytest.fixture(scope="session", autouse=True)
def cheaper() -> Iterator[None]:
    """What costs time in every test and decides nothing there; the web process has it as it is."""
    hasher = f"{CheapArgon2.__module__}.{CheapArgon2.__qualname__}"
    with override_settings(PASSWORD_HASHERS=[hasher]), pytest.MonkeyPatch.context() as patch:
        # Each session of boto3 would read its descriptions of AWS anew, which takes longer than its calls.
        patch.setattr(botocore.session, "create_loader", cache(botocore.session.create_loader))
        patch.setattr(TransactionTestCase, "_fixture_teardown", empty_used_tables)
        yield


@pytest.fixture(scope="session", autouse=True)
def one_instance() -> Iterator[None]:
    """All tests share the local AWS, and each has an empty database: to AWS, they are one instance."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(instance, "new_id", lambda: factories.INSTANCE_ID)
        yield


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One for the whole run: Playwright's loop can be started but once in a thread."""
    # Tests without a browser would spend half a second of each process on this.
    from playwright.sync_api import expect, sync_playwright

    require("chromium")
    # A busy machine of two cores takes its time; what never comes fails all the same.
    expect.set_options(timeout=30_000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def web(django_db_setup: None) -> Iterator[str]:
    """The address of a web process as `make run` starts it. It has no AWS identity and no broker."""
    with web_process(services.free_port()) as address:
        yield address


INSTANCE_ROLES = {
    "admin": InstanceRole.ORGANIZATION_ADMINISTRATOR,
    "support": InstanceRole.SUPPORT,
    **dict.fromkeys(("manager", "member", "viewer", "stranger"), InstanceRole.BASIC),
}
WORKSPACE_ROLES = {
    "manager": WorkspaceRole.ADMINISTRATOR,
    "member": WorkspaceRole.MEMBER,
    "viewer": WorkspaceRole.VIEWER,
}


@pytest.fixture
def cast(db: None) -> Cast:
    """In three statements, for most tests have it."""
    accounts = [User(username=name, role=role) for name, role in INSTANCE_ROLES.items()]
    users = {user.username: user for user in User.objects.bulk_create(accounts)}
    workspace, other = Workspace.objects.bulk_create(
        [Workspace(name="Workspace 1"), Workspace(name="Workspace 2")]
    )
    Membership.objects.bulk_create(
        Membership(workspace=of, user=users[name], role=role)
        for of in (workspace, other)
        for name, role in WORKSPACE_ROLES.items()
    )
    return Cast(**users, workspace=workspace, other=other)


@pytest.fixture
def base(db: None) -> BaseImage:
    return factories.make_base_image()


@pytest.fixture
def theirs(cast: Cast) -> Workspace:
    """A workspace whose one member is `owner`, and in which the cast has no role."""
    owner = factories.make_user("owner")
    return factories.make_workspace("Theirs", owner=(owner, WorkspaceRole.MEMBER))


@pytest.fixture
def victim(theirs: Workspace, base: BaseImage) -> ManagedImage:
    """An image of that workspace with two revisions, the second current."""
    creator = User.objects.get(username="owner")
    image = factories.make_image("victim", base=base, created_by=creator, created_in=theirs)
    image.current_build = factories.make_build(image, base, Status.READY, number=2)
    image.save()
    return ManagedImage.objects.get(pk=image.pk)


@pytest.fixture(scope="session")
def aws() -> Iterator[LocalAWS]:
    with local_aws(STATE / "aws") as account:
        yield account


@pytest.fixture
def registry(aws: LocalAWS, settings: Any) -> Iterator[LocalAWS]:
    """The settings point to the local AWS, without images of earlier tests, and to shared caches."""
    use_registry(settings, aws)
    yield aws
    aws.delete_images()
    if _imported and not aws.holds(_imported["repository"], _imported["manifest_digest"]):
        # The next test that builds has it made anew.
        _imported.clear()
        pytest.fail("This test deleted the base image that all tests of its process share.", False)


@pytest.fixture(scope="module")
def empty_aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAWS]:
    with local_aws(tmp_path_factory.mktemp("aws")) as account:
        yield account


@pytest.fixture
def empty_registry(empty_aws: LocalAWS, settings: Any) -> Iterator[LocalAWS]:
    """One that is empty, for tests of all that a registry holds: other tests have no bases there."""
    use_registry(settings, empty_aws)
    yield empty_aws
    empty_aws.delete_images()
    empty_aws.delete_base_images()


def use_registry(settings: Any, aws: LocalAWS) -> None:
    settings.AWS_ENDPOINT_URL = settings.REGISTRY_URL = aws.url
    settings.REGISTRY_HOST = aws.url.partition("://")[2]
    settings.CACHE_DIR = STATE / "cache"
    share_debian(settings.CACHE_DIR)
    # What is removed here is looked for at once.
    settings.REMOVAL_GRACE = timedelta(0)


@pytest.fixture(scope="module", params=["pgmq", "rabbitmq"])
def broker(request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of each broker that installations may use; empty is the test's own database."""
    if request.param == "pgmq":
        yield ""
    else:
        require("rabbitmq")
        with rabbitmq() as address:
            yield address


@pytest.fixture
def told_to_stop(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    """This process is a worker that was told to stop just now, and gives its work no more time."""
    settings.STOP_SECONDS = 0
    # It is told for good, which the tests after this one are not.
    monkeypatch.setattr(this_worker, "_told_at", None)
    this_worker.tell()


_imported: dict[str, Any] = {}


@pytest.fixture
def debian(registry: LocalAWS, db: None) -> BaseImage:
    """A real base image, made of Debian once a run and really in the registry."""
    from images.jobs import base_image
    from images.jobs import repositories as reconcile

    require("debian base")
    if not _imported:
        row = BaseImage.objects.create(
            image_type="all",
            python_version="3.11",
            platform_version="test",
            source="suite:bookworm",
        )
        with registry.identity("registry-server"):
            reconcile.prepare_base_repository(row.pk)
        with registry.identity("build-jobs"):
            base_image.run(row.pk)
        row.refresh_from_db()
        assert row.state == WorkState.SUCCEEDED, f"{row.error_message} {row.error_hint}"
        _imported.update(
            {
                field.attname: getattr(row, field.attname)
                for field in row._meta.concrete_fields
                if not field.primary_key
            }
        )
        return row
    return BaseImage.objects.create(**_imported)
