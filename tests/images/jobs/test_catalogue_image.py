"""The catalogue's base images: built by the same engine, and what stands on them still works."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from images.catalogue import catalogue
from images.jobs import base_image, repositories
from images.models import BaseImage, ImageType, PythonVersion, Status
from images.models.lease import WorkState
from images.operations.images import create_image
from images.requirement_files.configured import parse_pip_requirements
from images.spec import ImageSpec
from ri_platform.errors import Invalid
from tests import factories
from tests.builds import build_now, pulled, runs_in
from tests.cast import Cast
from tests.local_aws import LocalAWS
from tests.needs import needs
from workspaces.access import Actor


def test_the_catalogue_has_every_use_case_and_python() -> None:
    read = catalogue()
    assert set(read.use_cases) == set(ImageType.values)
    assert set(read.roots) == set(PythonVersion.values)
    assert read.source("all", "3.13") == "registry:python:3.13-slim-trixie | suite:trixie"
    assert read.source("tabular", "3.11") == "catalogue:tabular"
    with pytest.raises(Invalid, match="no base image sound"):
        read.source("sound", "3.11")


def test_a_base_image_is_asked_for_by_name(db: None) -> None:
    call_command("build_base_image", "nlp", "3.11", platform_version="v1", no_wait=True)
    base = BaseImage.objects.get()
    assert (str(base), base.source) == ("nlp-python3.11 v1", "catalogue:nlp")


def test_an_unknown_use_case_is_refused(db: None) -> None:
    with pytest.raises(CommandError):
        call_command("build_base_image", "sound", "3.11", no_wait=True)


@pytest.mark.slow
@pytest.mark.network
@pytest.mark.django_db(transaction=True)
def test_without_a_root_the_sentence_says_what_to_build_first(
    cast: Cast, registry: LocalAWS
) -> None:
    base = build_base(registry, "tabular")
    assert (base.state, base.error_code) == (WorkState.FAILED, "base_image_unusable")
    assert "manage.py build_base_image all 3.11" in base.error_hint


def build_base(registry: LocalAWS, use_case: str, version: str = "v1") -> BaseImage:
    call_command("build_base_image", use_case, "3.11", platform_version=version, no_wait=True)
    base = BaseImage.objects.get(image_type=use_case, platform_version=version)
    with registry.identity("registry-server"):
        repositories.prepare_base_repository(base.pk)
    with registry.identity("build-jobs"):
        base_image.run(base.pk)
    base.refresh_from_db()
    return base


@pytest.mark.slow
@pytest.mark.network
@pytest.mark.django_db(transaction=True)
@needs("root")
def test_an_image_on_a_use_case_has_its_libraries_and_may_bring_other_versions(
    cast: Cast, debian: BaseImage, registry: LocalAWS, tmp_path: Path
) -> None:
    base = build_base(registry, "nlp")
    assert base.state == WorkState.SUCCEEDED, f"{base.error_message} {base.error_hint}"
    assert base.built_on == debian
    curated = dict(base.libraries)
    assert {"numpy", "nltk", "regex"} <= set(curated)
    image = create_image(
        Actor(cast.member),
        "on-nlp",
        ImageSpec("nlp", "3.11", tuple(parse_pip_requirements("regex==2024.11.6\npyjokes"))),
    )
    image = build_now(registry, image)
    build = image.current_build
    assert image.status == Status.READY, image.builds.get().error_message
    assert build is not None
    root = pulled(registry, image, tmp_path)
    code = (
        "import importlib.metadata as m, numpy, nltk, regex, pyjokes;"
        "print(m.version('regex'), numpy.__version__, numpy.__file__.startswith('/opt/base'),"
        " regex.__file__.startswith('/opt/managed'))"
    )
    told = runs_in(root, "python3", "-c", code)
    assert told == f"2024.11.6 {curated['numpy']} True True"
    recorded = {lib.normalized_name: lib.version for lib in build.libraries.all()}
    assert (recorded["regex"], recorded["numpy"]) == ("2024.11.6", curated["numpy"])
    titles = set(build.layers.values_list("layer__title", flat=True))
    assert not any(title.startswith("numpy") for title in titles)


@pytest.mark.slow
@pytest.mark.network
@pytest.mark.django_db(transaction=True)
def test_use_cases_follow_their_root(cast: Cast, debian: BaseImage, registry: LocalAWS) -> None:
    standing = factories.make_base_image(image_type="nlp", source="catalogue:nlp", built_on=debian)
    base_image.follow_root(debian)
    assert BaseImage.objects.filter(image_type="nlp").count() == 1
    newer = BaseImage.objects.get(pk=debian.pk)
    newer.pk, newer.platform_version, newer.is_current = None, "test-2", False
    newer.save()
    base_image.follow_root(newer)
    follower = BaseImage.objects.get(image_type="nlp", platform_version="test-2")
    assert (follower.state, follower.source) == (WorkState.QUEUED, standing.source)
