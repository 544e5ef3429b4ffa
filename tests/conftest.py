"""Fixtures that every test may ask for: the cast, the local AWS, the web process, the browser."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.hashers import Argon2PasswordHasher
from django.core.management import call_command
from django.test import override_settings
from playwright.sync_api import Browser, expect, sync_playwright

from images.models import BaseImage
from images.models.lease import WorkState
from ri_platform.local import services
from tests import factories
from tests.cast import Cast
from tests.chromium import FLAGS, chromium_path
from tests.local_aws import LocalAWS, local_aws
from tests.needs import pytest_runtest_setup, pytest_terminal_summary, require  # noqa: F401
from tests.rabbitmq import rabbitmq
from tests.services import STATE
from tests.web_process import web_process
from workspaces.models import InstanceRole, WorkspaceRole


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


@pytest.fixture(scope="session")
def aws() -> Iterator[LocalAWS]:
    with local_aws(STATE / "aws") as account:
        yield account


@pytest.fixture
def registry(aws: LocalAWS, settings: Any, tmp_path: Path) -> LocalAWS:
    """The settings point to the local AWS, and to caches that the whole run shares."""
    settings.AWS_ENDPOINT_URL = settings.REGISTRY_URL = aws.url
    settings.REGISTRY_HOST = aws.url.partition("://")[2]
    settings.CACHE_DIR = STATE / "cache"
    # What is removed here is looked for at once.
    settings.REMOVAL_GRACE = timedelta(0)
    return aws


@pytest.fixture(scope="module", params=["pgmq", "rabbitmq"])
def broker(request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of each broker that installations may use; empty is the test's own database."""
    if request.param == "pgmq":
        yield ""
    else:
        require("rabbitmq")
        with rabbitmq() as address:
            yield address


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
