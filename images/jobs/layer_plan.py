"""The layers that a lock needs, planned, and the place where they are made."""

from __future__ import annotations

from pathlib import Path

from django.conf import settings

from images.building.cache import caches
from images.building.layers import keys
from images.building.layers.bytecode import interpreter_for
from images.building.layers.wheel import MANAGED_PREFIX
from images.building.locks.files import Lock
from images.building.locks.target import DEFAULT_PLATFORM, Target
from images.building.pipeline import PlannedLayer
from images.building.workshop import Workshop
from images.models import BaseImage

# Container runtimes stack at most 127 layers (overlayfs); some are left for what comes on top.
MAX_IMAGE_LAYERS = 120


def can_compile(target: Target) -> bool:
    """True if there is a Python of the target's minor version here to make `.pyc` files with."""
    return interpreter_for(target.python_version) is not None


def planned_layers(
    lock: Lock, base: BaseImage, target: Target, *, prefix: str = MANAGED_PREFIX
) -> list[PlannedLayer]:
    """The wheel layers that the lock asks for; what the base has at that version needs none."""
    in_base = dict(base.libraries)
    wanted = [wheel for wheel in lock.wheels if in_base.get(wheel.name) != wheel.version]
    room = MAX_IMAGE_LAYERS - len(base.layers)
    return [
        PlannedLayer(
            keys.wheel_layer_key(
                [wheel.sha256 for wheel in group],
                target.python_version,
                # The wheels decide the bytes, so bases of any C library share a layer.
                DEFAULT_PLATFORM,
                can_compile(target),
                prefix,
            ),
            ", ".join(f"{wheel.name} {wheel.version}" for wheel in group),
            group,
        )
        for group in keys.plan_layers(wanted, min(settings.MAX_WHEEL_LAYERS, room), lock.order)
    ]


def workshop(work: Path, target: Target, *, prefix: str = MANAGED_PREFIX) -> Workshop:
    kept = caches()
    return Workshop(
        work=work,
        wheels=kept.wheels,
        layers=kept.layers,
        bytecode=kept.bytecode,
        python_version=target.python_version,
        interpreter=interpreter_for(target.python_version),
        processes=settings.BUILD_WORKERS,
        prefix=prefix,
    )
