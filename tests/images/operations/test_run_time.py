"""Run-time settings of an image: asked for, altered without resolving, built, and pulled."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from django.urls import reverse

from images.models import BaseImage, ManagedImage
from images.models.lease import WorkState
from images.operations import alterations, builds
from images.registry.distribution.descriptors import Descriptor
from images.run_time.settings import RunTime
from tests import factories
from tests.builds import ask, build_now
from tests.cast import Cast
from tests.local_aws import LocalAWS
from workspaces.access import Actor
from workspaces.models import AuditEvent

SETTINGS = RunTime(env=(("OMP_NUM_THREADS", "4"),), user="1000:1000", working_dir="/app")
FIELDS = {
    "image_type": "all",
    "python_version": "3.11",
    "pip_requirements": "numpy>=2",
    "os_packages": "",
}


@pytest.fixture
def image(cast: Cast, base: BaseImage) -> ManagedImage:
    image = factories.make_image("churn", base=base, created_by=cast.member)
    assert image.current_build is not None
    image.current_build.spec = image.spec
    image.current_build.save()
    return image


def test_settings_alone_change_nothing_that_is_resolved(cast: Cast, image: ManagedImage) -> None:
    actor, current = Actor(cast.member), image.current_build
    assert current is not None
    proposed = alterations.propose_alteration(actor, image, replace(image.spec, run_time=SETTINGS))
    assert (proposed.state, proposed.lock) == (WorkState.SUCCEEDED, current.lock)
    build = alterations.alter_image(actor, proposed)
    assert (build.lock, build.spec.run_time) == (current.lock, SETTINGS)
    altered = AuditEvent.objects.get(event="image.altered")
    assert altered.details["after"]["run_time"]["env"] == {"OMP_NUM_THREADS": "4"}


def test_settings_with_another_library_are_resolved(cast: Cast, image: ManagedImage) -> None:
    wanted = replace(image.spec, run_time=SETTINGS, allow_source=False, python_version="3.11")
    wanted = replace(wanted, pip_requirements=(*wanted.pip_requirements, *wanted.pip_requirements))
    proposed = alterations.propose_alteration(Actor(cast.member), image, wanted)
    assert (proposed.state, proposed.lock) == (WorkState.QUEUED, "")


def test_an_untrusted_lock_is_not_taken_again(cast: Cast, image: ManagedImage) -> None:
    image.builds.update(renewal="A library is no longer trusted.")
    image.refresh_from_db()
    wanted = replace(image.spec, run_time=SETTINGS)
    assert alterations.propose_alteration(Actor(cast.member), image, wanted).lock == ""


def address(cast: Cast, route: str, **more: Any) -> str:
    return reverse(route, kwargs={"workspace_id": cast.workspace.pk, "name": "churn", **more})


@pytest.mark.slow
def test_the_form_takes_settings_and_the_preview_shows_them(
    cast: Cast, image: ManagedImage
) -> None:
    client = cast.client(cast.member)
    given = {
        **FIELDS,
        "env": "OMP_NUM_THREADS=4\r\n",
        "working_dir": "/app",
        "user": "1000:1000",
        "entrypoint": "",
        "labels": "",
    }
    answer = client.post(address(cast, "alter_image"), given)
    assert answer.status_code == 302, answer.content
    page = client.get(answer["Location"]).content.decode()
    assert "Variable OMP_NUM_THREADS" in page
    assert "Alter image" in page
    image.spec = replace(image.spec, run_time=SETTINGS)
    image.save()
    form = client.get(address(cast, "alter_image")).content.decode()
    assert "OMP_NUM_THREADS=4" in form
    assert '<details class="disclosure" open>' in form
    assert "<li>OMP_NUM_THREADS=4</li>" in client.get(address(cast, "image")).content.decode()


@pytest.mark.slow
def test_the_form_refuses_a_secret_at_its_field(cast: Cast, image: ManagedImage) -> None:
    given = {**FIELDS, "env": "HF_TOKEN=abc"}
    answer = cast.client(cast.member).post(address(cast, "alter_image"), given)
    assert answer.status_code == 422
    assert "HF_TOKEN looks like the name of a secret" in answer.context["form"].errors["env"][0]


@pytest.mark.slow
@pytest.mark.network
@pytest.mark.django_db(transaction=True)
def test_a_pulled_image_has_the_settings(cast: Cast, debian: BaseImage, registry: LocalAWS) -> None:
    image = build_now(registry, ask(cast, "settings", "six"))
    first = image.current_build
    assert first is not None
    wanted = replace(image.spec, run_time=replace(SETTINGS, entrypoint=("python", "-m", "serve")))
    alterations.alter_image_unseen(Actor(cast.member), image, wanted)
    image = build_now(registry, image)
    second = image.current_build
    assert second is not None
    assert (second.number, second.lock) == (2, first.lock)
    assert second.manifest_digest != first.manifest_digest
    config = config_of(registry, image)["config"]
    assert "OMP_NUM_THREADS=4" in config["Env"]
    assert (config["User"], config["WorkingDir"]) == ("1000:1000", "/app")
    assert config["Entrypoint"] == ["python", "-m", "serve"]
    builds.roll_back_image(Actor(cast.member), image, 1)
    image = build_now(registry, image)
    assert image.current_build is not None
    assert image.current_build.manifest_digest == first.manifest_digest
    assert image.spec.run_time == RunTime()


def config_of(registry: LocalAWS, image: ManagedImage) -> dict[str, Any]:
    assert image.current_build is not None
    repository = f"rime-managed-images/{image.name}"
    with registry.client() as client:
        manifest = client.get_manifest(repository, image.current_build.manifest_digest).json()
        config = client.read_blob(
            repository, Descriptor.from_json(manifest["config"]), 1 << 20, check=lambda: None
        )
    found: dict[str, Any] = json.loads(config)
    return found
