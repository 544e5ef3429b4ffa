"""A served instance with a worker beside it, as somebody with the SDK finds one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.db import connection

from images.jobs import alteration as locking
from images.models import Alteration, BaseImage, Build, ManagedImage
from images.models.lease import WorkState
from tests.builds import build_now
from tests.cast import Cast
from tests.local_aws import LocalAWS
from tests.sdk.prompt import Instance, Prompt
from workspaces.access import Actor
from workspaces.models import User
from workspaces.operations import tokens


@pytest.fixture
def instance(web: str, cast: Cast) -> Instance:
    def token_for(user: User) -> str:
        return tokens.create_token(Actor(user), cast.workspace, "sdk").secret

    return Instance(web, token_for)


@pytest.fixture
def building(registry: LocalAWS, debian: BaseImage) -> Iterator[None]:
    """Builds and resolves what is queued, until the test ends."""
    stop = threading.Event()

    def work() -> None:
        while not stop.wait(0.1):
            waiting = ManagedImage.objects.existing().filter(
                builds__in=Build.objects.filter(state=WorkState.QUEUED)
            )
            for image in waiting:
                build_now(registry, image)
            with registry.identity("build-jobs"):
                for alteration in Alteration.objects.filter(state=WorkState.QUEUED):
                    locking.run_alteration(alteration.pk)
        connection.close()

    worker = threading.Thread(target=work)
    worker.start()
    yield
    stop.set()
    worker.join()


@pytest.fixture
def nobodys_prompt(tmp_path: Path) -> Prompt:
    """Of somebody who is not signed in anywhere."""
    return Prompt(
        {
            "XDG_CONFIG_HOME": str(tmp_path / "config"),
            "COLUMNS": "200",
            "RI_DOMAIN": None,
            "RI_API_TOKEN": None,
            "NO_COLOR": None,
            "FORCE_COLOR": None,
        }
    )


@pytest.fixture
def prompt_of(instance: Instance, nobodys_prompt: Prompt) -> Callable[[User], Prompt]:
    """Of a user, whose token and instance are in the environment."""

    def prompt(user: User) -> Prompt:
        known = {"RI_DOMAIN": instance.domain, "RI_API_TOKEN": instance.token_for(user)}
        return Prompt({**nobodys_prompt.environment, **known})

    return prompt
