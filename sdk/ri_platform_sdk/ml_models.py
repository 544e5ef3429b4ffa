"""Models of a workspace, the images that they run on, and what explains a failed run."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ri_platform_sdk.models import Alteration


@dataclass(frozen=True)
class Model:
    """A model in a workspace. `image` is what it runs on, `next_image` what it waits for, each as people call
    it; empty where there is none.
    """

    id: str
    name: str
    description: str
    python_version: str
    requirements: str
    image: str
    next_image: str


@dataclass(frozen=True)
class ModelImage:
    """The image to pull for a model. `digest` is empty for an external image that is referred to by tag;
    `image` and `build` are of a managed image, `pull_secret` of an external one. `source` is `MODEL` or
    `WORKSPACE_DEFAULT`.
    """

    reference: str
    digest: str
    pull_secret: str
    image: str
    build: int | None
    repository: str = ""
    tag: str = ""
    source: str = ""


@dataclass(frozen=True)
class DefaultImage:
    """The image that a workspace's models run on if they have none of their own, as people call it.
    `standing` is `USABLE`, `FAILED`, `REMOVED` or `BLOCKED`.
    """

    image: str
    standing: str
    set_at: datetime


@dataclass(frozen=True)
class MissingModule:
    """A module that a model's run could not import. `requirement` is the library that brings it, empty for a
    module of Python itself; `images` are names of READY images with it and all else that the model needs.
    `alteration` adds it to the model's image; without one, `alteration_refusal` says why.
    """

    module: str
    requirement: str
    hint: str
    installed: str
    images: tuple[str, ...]
    alteration: Alteration | None
    alteration_refusal: str
