"""Nothing in the registry becomes a record until it is checked: all of it may have been forged."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from images.errors import NotAdoptable
from images.models import BaseImage
from images.registry.distribution.descriptors import digest_of
from images.verification.claims import read_claims
from tests.builds import ask, build_now
from tests.cast import Cast
from tests.images.verification import forged, pushed
from tests.local_aws import LocalAWS

pytestmark = [pytest.mark.slow, pytest.mark.network, pytest.mark.django_db(transaction=True)]

REPOSITORY = f"{pushed.PREFIX}/truth"
Forge = Callable[[dict[str, Any], dict[str, Any]], None]


def definition(statement: dict[str, Any]) -> dict[str, Any]:
    return dict(statement["predicate"]["buildDefinition"])


def another_name(manifest: dict[str, Any], statement: dict[str, Any]) -> None:
    manifest["annotations"]["org.opencontainers.image.title"] = "other"


def another_base(manifest: dict[str, Any], statement: dict[str, Any]) -> None:
    manifest["annotations"]["org.opencontainers.image.base.digest"] = f"sha256:{'0' * 64}"


def another_lock(manifest: dict[str, Any], statement: dict[str, Any]) -> None:
    definition(statement)["internalParameters"]["lock"] += "\n"


def no_lock(manifest: dict[str, Any], statement: dict[str, Any]) -> None:
    del definition(statement)["internalParameters"]["lock"]


def a_lock_that_reads_files(manifest: dict[str, Any], statement: dict[str, Any]) -> None:
    lock = definition(statement)["internalParameters"]["lock"].replace("https://", "file:///")
    definition(statement)["internalParameters"]["lock"] = lock
    name = "org.opencontainers.image.revision"
    manifest["annotations"][name] = digest_of(lock.encode())


def an_option_as_a_library(manifest: dict[str, Any], statement: dict[str, Any]) -> None:
    definition(statement)["externalParameters"]["pip_requirements"][0]["name"] = "--index-url"


def a_command_as_a_package(manifest: dict[str, Any], statement: dict[str, Any]) -> None:
    parameters = definition(statement)["externalParameters"]
    parameters["os_packages"] = [{"name": "x; rm -rf /", "version": ""}]


def another_python(manifest: dict[str, Any], statement: dict[str, Any]) -> None:
    definition(statement)["externalParameters"]["python_version"] = "3.13"


def a_secret_variable(manifest: dict[str, Any], statement: dict[str, Any]) -> None:
    parameters = definition(statement)["externalParameters"]
    parameters["run_time"] = {"env": {"BAD NAME": "x"}}


def layers_of_another_base(manifest: dict[str, Any], statement: dict[str, Any]) -> None:
    manifest["layers"] = manifest["layers"][1:]


def another_subject(manifest: dict[str, Any], statement: dict[str, Any]) -> None:
    statement["subject"][0]["digest"]["sha256"] = "0" * 64


def no_object(manifest: dict[str, Any], statement: dict[str, Any]) -> None:
    statement["predicate"] = [1, 2]


FORGERIES: list[tuple[Forge, str]] = [
    (another_name, "does not say that it is an image of truth"),
    (another_base, "which no record knows"),
    (another_lock, "not the one that its manifest names"),
    (no_lock, "has no lock"),
    (a_lock_that_reads_files, "cannot be believed"),
    (an_option_as_a_library, "cannot be believed"),
    (a_command_as_a_package, "cannot be believed"),
    (another_python, "does not fit the base image"),
    (a_secret_variable, "cannot be believed"),
    (layers_of_another_base, "does not have the layers of the base image"),
    (another_subject, "that of another image"),
    (no_object, "cannot be believed"),
]


def test_only_what_the_platform_could_have_pushed_is_believed(
    cast: Cast, debian: BaseImage, registry: LocalAWS, tmp_path: Path
) -> None:
    image = build_now(registry, ask(cast, "truth", "pyjokes==0.6.0"))
    assert image.current_build is not None
    with registry.client() as client:
        manifest, _, statement = forged.read_image(client, REPOSITORY, "build-1")
        claimed = read_claims(client, REPOSITORY, "truth", 1, lambda: None)
        assert (claimed.spec, claimed.lock.text) == (image.spec, image.current_build.lock)
        assert claimed.base == debian

        for number, (alter, said) in enumerate(FORGERIES, start=2):
            altered, told = copy.deepcopy(manifest), copy.deepcopy(statement)
            alter(altered, told)
            keep = alter is another_subject
            forged.push_image(
                client, REPOSITORY, number, altered, told, tmp_path, keep_subject=keep
            )
            with pytest.raises(NotAdoptable, match=said):
                read_claims(client, REPOSITORY, "truth", number, lambda: None)
