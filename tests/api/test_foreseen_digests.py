"""An image of which all is known has a digest before any worker begins, and its build makes just that."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from images.models import (
    BaseImage,
    Build,
    BuildHost,
    ImportPolicy,
    KeptManifest,
    KeptResolution,
    ManagedImage,
)
from images.operations import alterations, builds
from images.operations.images import create_image
from images.requirement_files.configured import parse_pip_requirements
from images.requirements import OSPackage
from images.run_time.settings import RunTime
from images.spec import ImageSpec
from tests import factories
from tests.api.ask import Ask
from tests.builds import build_now
from tests.cast import Cast
from tests.images.building.private_index import SECRET, index_of, private_index
from tests.images.building.wheelmaker import make_wheel
from tests.local_aws import LocalAWS
from workspaces.access import Actor

pytestmark = [pytest.mark.slow, pytest.mark.network, pytest.mark.django_db(transaction=True)]

SPEC = ImageSpec("all", "3.11", tuple(parse_pip_requirements("known-lib")))


@pytest.fixture
def index(tmp_path: Path, settings: Any) -> Iterator[None]:
    """The instance's index, which asks for a name and a password."""
    with private_index(make_wheel(tmp_path, "known_lib")) as address:
        settings.PACKAGE_INDEX_URL = f"http://team:{SECRET}@{address}/simple"
        yield


@pytest.fixture
def twin(cast: Cast, debian: BaseImage, registry: LocalAWS, index: None) -> ManagedImage:
    """An image that was built just now."""
    image = build_now(registry, asked(cast, "twin"))
    assert image.current_build is not None
    return image


def asked(cast: Cast, name: str, spec: ImageSpec = SPEC, **more: Any) -> ManagedImage:
    return create_image(Actor(cast.member), name, spec, workspace=cast.workspace, **more)


def foreseen(image: ManagedImage) -> str:
    return image.builds.get().expected_digest


def log_of(image: ManagedImage) -> str:
    return "".join(chunk.text for chunk in image.builds.get().log_chunks.all())


def test_the_answer_has_the_digest_that_the_build_then_makes(
    cast: Cast, twin: ManagedImage, registry: LocalAWS, ask: Ask
) -> None:
    wanted = {
        "name": "second",
        "pythonVersion": "3.11",
        "pipRequirements": [{"name": "known-lib"}],
        "description": "Another sentence.",
    }
    told = ask(cast.member, "POST", "/v1/images", wanted).json()["image"]
    digest = told["expectedDigest"]
    assert digest.startswith("sha256:")
    assert (told["digest"], told["latestBuild"]["expectedDigest"]) == ("", digest)
    image = build_now(registry, ManagedImage.objects.get(name="second"))
    assert image.current_build is not None
    assert image.current_build.manifest_digest == digest != twin.current_build.manifest_digest  # type: ignore[union-attr]
    assert "its lock is taken" in log_of(image)
    told = ask(cast.member, "GET", "/v1/images/second").json()["image"]
    assert (told["digest"], told["expectedDigest"]) == (digest, digest)


def test_names_and_descriptions_have_their_own_digests(
    cast: Cast, twin: ManagedImage, registry: LocalAWS
) -> None:
    images = [
        asked(cast, "one"),
        asked(cast, "two"),
        asked(cast, "three", description="A sentence."),
    ]
    digests = [foreseen(image) for image in images]
    assert all(digests)
    assert len(set(digests)) == 3
    for image, digest in zip(images, digests, strict=True):
        built = build_now(registry, image)
        assert built.current_build is not None
        assert built.current_build.manifest_digest == digest


def test_run_time_settings_have_a_twin_of_their_own(
    cast: Cast, twin: ManagedImage, registry: LocalAWS
) -> None:
    spec = replace(SPEC, run_time=RunTime(env=(("MODE", "fast"),)))
    first = asked(cast, "fast", spec)
    assert foreseen(first) == ""
    build_now(registry, first)
    digest = foreseen(second := asked(cast, "fast-too", spec))
    assert digest
    build_now(registry, second)
    assert second.builds.get().manifest_digest == digest


def change(what: str, settings: Any) -> None:
    """Something that makes an answer unknown, or another question."""
    match what:
        case "a forbidden package":
            settings.PACKAGE_DENY = ["known-*"]
        case "an older resolution":
            KeptResolution.objects.update(resolved_at=timezone.now() - timedelta(seconds=61))
        case "no kept resolutions":
            settings.INDEX_PAGES_SECONDS = 0
        case "another index":
            settings.PACKAGE_INDEX_URL = "http://index.example/simple"
        case "refusal of broken imports":
            settings.IMPORT_CHECK = ImportPolicy.REFUSE
        case "another base":
            base = BaseImage.objects.get()
            BaseImage.objects.update(is_current=False)
            base.pk, base.platform_version, base.is_current = None, "newer", True
            base.manifest_digest = factories.digest("newer")
            base._state.adding = True
            base.save()
        case "other layers":
            settings.MAX_WHEEL_LAYERS = 1
        case "a removed twin":
            ManagedImage.objects.filter(name="twin").update(
                removed_at=timezone.now(), deletion_due_at=timezone.now() + timedelta(days=1)
            )


@pytest.mark.parametrize(
    "what",
    [
        "a forbidden package", "an older resolution", "no kept resolutions", "another index",
        "refusal of broken imports", "another base", "other layers", "a removed twin",
    ],
)  # fmt: skip
def test_nothing_is_foreseen_with(what: str, cast: Cast, twin: ManagedImage, settings: Any) -> None:
    change(what, settings)
    image = asked(cast, "second")
    assert (foreseen(image), image.builds.get().lock) == ("", "")


def test_nothing_is_foreseen_of_another_spec(cast: Cast, twin: ManagedImage) -> None:
    BuildHost.objects.create(name="able")
    BuildHost.objects.create(name="sources", queue="sources")
    others = {
        "packages": replace(SPEC, os_packages=(OSPackage("curl"),)),
        "sources": replace(SPEC, allow_source=True),
        "pre": replace(SPEC, allow_prereleases=True),
        "pinned": replace(SPEC, pip_requirements=tuple(parse_pip_requirements("known-lib==1.0"))),
    }
    assert [foreseen(asked(cast, name, spec)) for name, spec in others.items()] == [""] * 4
    assert foreseen(asked(cast, "strict", import_policy="refuse")) == ""
    assert foreseen(asked(cast, "same"))


def test_a_rebuild_and_an_alteration_ask_anew(cast: Cast, twin: ManagedImage) -> None:
    build = builds.rebuild_image(Actor(cast.member), twin)
    assert (build.expected_digest, build.lock) == ("", "")
    builds.cancel_build(Actor(cast.member), twin)
    spec = replace(SPEC, run_time=RunTime(user="1000"))
    build = alterations.alter_image_unseen(Actor(cast.member), twin, spec)
    assert build.expected_digest == ""


def test_a_complete_lock_is_known_for_longer_and_still_looked_for(
    cast: Cast, debian: BaseImage, registry: LocalAWS, tmp_path: Path, settings: Any
) -> None:
    wheel = make_wheel(tmp_path, "known_lib")
    with index_of(wheel) as address:
        settings.PACKAGE_INDEX_URL = f"http://{address}/simple"
        sha256 = hashlib.sha256(wheel.read_bytes()).hexdigest()
        text = f"known-lib==1.0 --hash=sha256:{sha256}"
        spec = replace(SPEC, pip_requirements=tuple(parse_pip_requirements(text)))
        assert spec.is_locked
        build_now(registry, asked(cast, "twin", spec))
        KeptResolution.objects.all().delete()
        image = asked(cast, "second", spec)
        digest = foreseen(image)
        assert (bool(digest), image.builds.get().lock) == (True, "")
        build_now(registry, image)
        assert image.builds.get().manifest_digest == digest


def test_a_digest_that_was_not_foreseen_rightly_is_told_with_the_log(
    cast: Cast, twin: ManagedImage, registry: LocalAWS
) -> None:
    """As if the twin's layers had been made anew with other bytes after the answer."""
    image = asked(cast, "second")
    wrong = factories.digest("another")
    Build.objects.filter(image=image).update(foreseen_digest=wrong)
    build_now(registry, image)
    build = image.builds.get()
    assert build.expected_digest == build.manifest_digest != wrong
    assert f"Not {wrong}, which was foreseen" in log_of(image)


def test_what_failed_is_expected_no_more(cast: Cast, twin: ManagedImage) -> None:
    image = asked(cast, "second")
    assert foreseen(image)
    builds.cancel_build(Actor(cast.member), image)
    assert foreseen(image) == ""


def test_the_web_process_needs_no_password(cast: Cast, twin: ManagedImage, settings: Any) -> None:
    settings.PACKAGE_INDEX_URL = settings.PACKAGE_INDEX_URL.replace(f"team:{SECRET}@", "")
    assert foreseen(asked(cast, "second"))
    assert SECRET not in "".join(KeptManifest.objects.values_list("question", flat=True))
