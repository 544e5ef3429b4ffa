"""The C library of a base image's row: the platform that wheels are chosen for, and the words for it."""

from __future__ import annotations

from importlib import import_module

import pytest
from django.apps import apps

from images.building.locks.target import DEFAULT_PLATFORM, Target
from images.models import BaseImage
from tests import factories


@pytest.mark.parametrize(
    ("libc", "version", "platform", "words"),
    [
        ("glibc", "2.36", "x86_64-manylinux_2_36", "glibc 2.36"),
        ("musl", "1.2.5", "x86_64-musllinux_1_2", "musl 1.2.5: takes musllinux wheels, no manylinux ones"),
        ("", "", DEFAULT_PLATFORM, "C library not known; taken for glibc 2.28"),
    ],
)  # fmt: skip
def test_the_platform_is_that_of_the_c_library(
    libc: str, version: str, platform: str, words: str
) -> None:
    base = BaseImage(libc=libc, libc_version=version, machine="x86_64" if libc else "")
    assert (base.platform, base.libc_described) == (platform, words)
    assert Target("3.11", base.platform).machine == "x86_64"


def test_earlier_rows_learn_their_c_library_from_their_packages(db: None) -> None:
    unknown = {"libc": "", "libc_version": "", "machine": ""}
    debian = factories.make_base_image(os_packages=[["libc6", "2.31-13+deb11u11"]], **unknown)
    alpine = factories.make_base_image(os_id="alpine", image_type="nlp", **unknown)
    other = factories.make_base_image(os_id="rocky", image_type="images", **unknown)
    import_module("images.migrations.0026_base_image_libc").learn(apps, None)
    for base in (debian, alpine, other):
        base.refresh_from_db()
    assert (debian.libc, debian.libc_version, debian.machine) == ("glibc", "2.31", "x86_64")
    assert alpine.platform == "x86_64-musllinux_1_2"
    assert other.platform == DEFAULT_PLATFORM
