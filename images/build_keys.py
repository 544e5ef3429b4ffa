"""Keys of builds: hashes of all that decides a resolution, or an image."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from importlib.metadata import version
from typing import Any

from django.conf import settings
from django.utils.crypto import salted_hmac

from images.indexes import Indexes
from images.models import BaseImage, Build
from images.references import base_reference
from images.spec import ImageSpec


def resolution_key(spec: ImageSpec, base: BaseImage, indexes: Indexes) -> str:
    """A hash of all that decides a resolution, but what the indexes say at the moment.

    Who we are to the indexes is part of it, and hidden by this instance's secret key: who may read the table
    learns nothing of it.
    """
    text = json.dumps(question(spec, base, indexes.identity), sort_keys=True)
    return salted_hmac("images.jobs.spec_lock", text, algorithm="sha256").hexdigest()


def question_key(spec: ImageSpec, base: BaseImage, indexes: Indexes) -> str:
    """The same without who we are to the indexes, so also for processes that have no passwords."""
    return key_of(question(spec, base, indexes.places))


def question(spec: ImageSpec, base: BaseImage, indexes: list[list[object]]) -> dict[str, Any]:
    return {
        "requirements": [item.as_json() for item in spec.pip_requirements],
        "prereleases": spec.allow_prereleases,
        "python": [base.python_version, base.python_full_version, base.platform],
        "preinstalled": sorted(map(list, base.libraries)),
        "indexes": indexes,
        "by": [settings.VERSION, find_uv_version()],
    }


def twin_key(build: Build) -> str:
    """A hash of all that decides the image of a build that has its lock, but what only its annotations tell.

    The settings are among it, so a process that has others than the builds workers knows no twin.
    """
    base, spec = build.base_image, build.spec
    return key_of(
        {
            "lock": hashlib.sha256(build.lock.encode()).hexdigest(),
            "base": [base.manifest_digest, base_reference(base)],
            "os_packages": [item.as_json() for item in spec.os_packages],
            "run_time": spec.run_time.as_json(),
            "settings": [
                settings.VERSION,
                settings.MAX_WHEEL_LAYERS,
                settings.IMAGES_RUN_AS_ROOT,
                settings.IMAGE_VENDOR,
                settings.CONSOLE_URL,
            ],
        }
    )


def key_of(decides: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()


@cache
def find_uv_version() -> str:
    return version("uv")
