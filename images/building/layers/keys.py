"""Layers of an image: which wheels share one, what identifies it, and how it is made.

A wheel layer depends on the wheels, the Python minor version, the platform and the format alone, not
on the base image: everything lands in a virtual environment at one fixed prefix. The environment
itself is a small layer of its own.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

from images.building.layers.wheel import MANAGED_PREFIX
from images.building.locks.files import LockedWheel
from images.building.user import User

# Counts up whenever the bytes of a layer change for the same wheels.
LAYER_FORMAT = 3


def wheel_layer_key(
    wheel_sha256s: Sequence[str],
    python_version: str,
    platform: str,
    bytecode: bool,
    prefix: str = MANAGED_PREFIX,
) -> str:
    """The inputs that decide a wheel layer's bytes, as one sha256 in hex; the wheels in their order."""
    return key_of(
        wheels=list(wheel_sha256s),
        python=python_version,
        platform=platform,
        bytecode=bytecode,
        prefix=prefix,
    )


def environment_layer_key(
    interpreter: str,
    python_version: str,
    prefix: str = MANAGED_PREFIX,
    below: Sequence[str] = (),
    user: User | None = None,
    pip: bool = False,
) -> str:
    """The inputs that decide the environment layer's bytes, as one sha256 in hex."""
    return key_of(
        interpreter=interpreter,
        python=python_version,
        prefix=prefix,
        below=list(below),
        home=[user.home, user.number] if user else None,
        pip=pip,
    )


def os_layer_key(base_digest: str, packages: Sequence[str]) -> str:
    """The inputs of the layer of OS packages, as one sha256 in hex: base and packages, not the time.

    An image that asks for the same packages on the same base gets the same layer, until the base moves on.
    """
    return key_of(base=base_digest, os_packages=sorted(packages))


def key_of(*, of_format: int = LAYER_FORMAT, **values: object) -> str:
    """A sha256 in hex of these values, and of the format of what is made of them."""
    text = json.dumps({"format": of_format, **values}, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def plan_layers(
    wheels: Sequence[LockedWheel], limit: int, order: Sequence[str]
) -> list[tuple[LockedWheel, ...]]:
    """One layer a wheel, the biggest first; past `limit`, the smallest share the last one.

    Images then share their first layers where they are unpacked. Within a layer, wheels are in `order`, that
    of installation by name (`Lock.order`). All of it depends on the lock alone, so the same lock gives the
    same image.
    """
    places = {name: place for place, name in enumerate(order)}
    ordered = sorted(wheels, key=lambda wheel: (-(wheel.size or 0), wheel.name))
    alone, shared = ordered[: limit - 1], ordered[limit - 1 :]
    groups: list[tuple[LockedWheel, ...]] = [(wheel,) for wheel in alone]
    if shared:
        groups.append(tuple(sorted(shared, key=lambda wheel: places[wheel.name])))
    return groups
