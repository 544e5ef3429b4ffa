"""The fixed cast, and the local AWS under the document's two identities."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from allauth.account.internal.flows.login import record_authentication
from django.conf import settings
from django.contrib.auth.hashers import Argon2PasswordHasher
from django.core.management import call_command
from django.db import connection
from django.http import HttpRequest
from django.test import Client, override_settings
from playwright.sync_api import Browser, expect, sync_playwright

from images.models import BaseImage
from images.models.lease import WorkState
from images.registry.distribution.client import RegistryClient
from images.registry.distribution.transport import Credentials
from images.registry.ecr import local_iam
from images.registry.ecr.repositories import RepositoryControl
from images.registry.naming import DEFAULT_PREFIX
from ri_platform import processes
from ri_platform.local import services
from tests import factories
from tests.chromium import FLAGS, chromium_path
from tests.needs import pytest_runtest_setup, pytest_terminal_summary, require  # noqa: F401
from tests.services import STATE
from workspaces.models import InstanceRole, User, Workspace, WorkspaceRole


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
    with override_settings(PASSWORD_HASHERS=[hasher]):
        yield


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One for the whole run: Playwright's loop can be started but once in a thread."""
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


@contextmanager
def web_process(port: int, **variables: str) -> Iterator[str]:
    """A web process on the test's own database, with more variables where a test needs them."""
    database = connection.settings_dict
    environment = {
        **services.without_aws(dict(os.environ)),
        "DATABASE_URL": services.database_url(str(database["HOST"]), str(database["NAME"])),
        "RI_SECRET_KEY": settings.SECRET_KEY,
        "RI_MAX_FAILED_AUTHENTICATIONS": "10000",
        "RI_REGISTRY_HOST": "123456789012.dkr.ecr.us-east-1.amazonaws.com",
        **variables,
    }
    process = subprocess.Popen(processes.web(port), env=environment)
    try:
        # Long: other tests may keep all cores busy meanwhile.
        assert services.wait_until_answers(f"http://127.0.0.1:{port}/healthz", 120)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


@dataclass(frozen=True)
class Cast:
    """Somebody of every kind, and two workspaces; the stranger and the basic user are in neither."""

    admin: User
    support: User
    manager: User
    member: User
    viewer: User
    stranger: User
    workspace: Workspace
    other: Workspace

    @staticmethod
    def client(user: User | None) -> Client:
        client = Client()
        if user is not None:
            client.force_login(user)
        return client

    @classmethod
    def confirmed_client(cls, user: User) -> Client:
        """Of somebody who has just said once more who they are, as what protects an account asks."""
        client = cls.client(user)
        request = HttpRequest()
        request.session = client.session
        record_authentication(request, user, "password", reauthenticated=True)
        request.session.save()
        return client


@pytest.fixture
def cast(db: None) -> Cast:
    users = {
        "admin": factories.make_user("admin", InstanceRole.ORGANIZATION_ADMINISTRATOR),
        "support": factories.make_user("support", InstanceRole.SUPPORT),
        "manager": factories.make_user("manager"),
        "member": factories.make_user("member"),
        "viewer": factories.make_user("viewer"),
        "stranger": factories.make_user("stranger"),
    }
    roles = {
        "manager": (users["manager"], WorkspaceRole.ADMINISTRATOR),
        "member": (users["member"], WorkspaceRole.MEMBER),
        "viewer": (users["viewer"], WorkspaceRole.VIEWER),
    }
    return Cast(
        **users,
        workspace=factories.make_workspace("Workspace 1", **roles),
        other=factories.make_workspace("Workspace 2", **roles),
    )


@pytest.fixture
def base(db: None) -> BaseImage:
    return factories.make_base_image()


@dataclass(frozen=True)
class LocalAWS:
    """A running local AWS with IAM on, and the two identities' keys as environments."""

    url: str
    keys: dict[str, dict[str, str]]

    @contextmanager
    def identity(self, name: str) -> Iterator[None]:
        """Be `registry-server` or `build-jobs`, as that worker's process would be."""
        before = {key: os.environ.get(key) for key in self.keys[name]}
        os.environ.update(self.keys[name])
        try:
            yield
        finally:
            for key, value in before.items():
                if value is None:
                    del os.environ[key]
                else:
                    os.environ[key] = value

    def control(self, identity: str, prefix: str = DEFAULT_PREFIX) -> RepositoryControl:
        """The control plane as one of the two, wherever it is asked from."""
        keys = self.keys[identity]
        return RepositoryControl(
            prefix=prefix,
            region=services.REGION,
            endpoint_url=self.url,
            registry_override=self.url,
            session=boto3.Session(
                aws_access_key_id=keys["AWS_ACCESS_KEY_ID"],
                aws_secret_access_key=keys["AWS_SECRET_ACCESS_KEY"],
                aws_session_token=keys.get("AWS_SESSION_TOKEN"),
            ),
        )

    def password(self, identity: str = "build-jobs") -> str:
        """A password for the registry, whose user is AWS."""
        return self.control(identity).authorization().password

    def client(self, identity: str = "build-jobs", **options: Any) -> RegistryClient:
        """The data plane as one of the two, with no guard but IAM."""
        password = self.password(identity)
        return RegistryClient(
            self.url,
            credentials=lambda refused=None: Credentials("AWS", password),
            guard=str,
            **options,
        )

    @contextmanager
    def repositories(self, *names: str) -> Iterator[None]:
        """Repositories for the time of a test, made and deleted by the registry server."""
        control = self.control("registry-server")
        for name in names:
            control.create_repository(name, ours=False)
        try:
            yield
        finally:
            for name in names:
                control.delete_repository(name)


@pytest.fixture(scope="session")
def aws() -> Iterator[LocalAWS]:
    with local_aws(STATE / "aws") as account:
        yield account


@contextmanager
def local_aws(state: Path) -> Iterator[LocalAWS]:
    """An AWS account of its own, for as long as it takes."""
    port = services.free_port()
    process = services.start_aws(state, port)
    try:
        assert services.wait_until_answers(services.aws_health(port))
        url = f"http://127.0.0.1:{port}"
        yield LocalAWS(url, local_iam.bootstrap(url, services.REGION, DEFAULT_PREFIX, {}))
    finally:
        process.terminate()
        process.wait()


@pytest.fixture
def registry(aws: LocalAWS, settings: Any, tmp_path: Path) -> LocalAWS:
    """The settings point to the local AWS, and to caches that the whole run shares."""
    settings.AWS_ENDPOINT_URL = settings.REGISTRY_URL = aws.url
    settings.REGISTRY_HOST = aws.url.partition("://")[2]
    settings.CACHE_DIR = STATE / "cache"
    # What is removed here is looked for at once.
    settings.REMOVAL_GRACE = timedelta(0)
    return aws


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
