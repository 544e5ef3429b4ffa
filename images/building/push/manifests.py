"""Config and manifest of an image: the base's layers, then ours. Pure functions to canonical bytes.

Formats: OCI image-spec 1.1, config.md and manifest.md. The same inputs give the same bytes, so the
same lock on the same base gives the same digest.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from images.building.layers.tar import Layer
from images.building.layers.wheel import MANAGED_PREFIX
from images.building.user import User
from images.manifest_bytes import CREATED, canonical
from images.registry.distribution.descriptors import (
    OCI_CONFIG,
    OCI_LAYERS,
    OCI_MANIFEST,
    digest_of,
)
from images.run_time.settings import NO_SETTINGS, RunTime


def image_config(
    base_config: Mapping[str, Any],
    layers: Sequence[tuple[Layer, str]],
    *,
    labels: Mapping[str, str],
    prefix: str = MANAGED_PREFIX,
    run_time: RunTime = NO_SETTINGS,
    created: str = CREATED,
    user: User | None = None,
) -> bytes:
    """The base's config with our layers, the environment at `prefix`, run-time settings and labels.

    Each layer comes with its title. The image runs as `user`, if one is given, in its home unless the base
    names another folder. The image's own settings win over both; labels of the platform win over the
    image's. `created` is RFC 3339; the layers' history has no moment of its own.
    """
    config = json.loads(json.dumps(base_config))
    run = config.setdefault("config", {})
    run["Env"] = environment(run.get("Env") or [], prefix, user)
    if user:
        run["User"] = user.runs_as
        run["WorkingDir"] = run.get("WorkingDir") or user.home
    run["Labels"] = {**(run.get("Labels") or {}), **dict(run_time.labels), **labels}
    apply_run_time(run, run_time)
    config["created"] = created
    rootfs = config.setdefault("rootfs", {"type": "layers", "diff_ids": []})
    rootfs["diff_ids"] = [*rootfs["diff_ids"], *(layer.diff_id for layer, _ in layers)]
    config["history"] = [
        *(config.get("history") or []),
        *({"created": CREATED, "created_by": f"ri-platform: {title}"} for _, title in layers),
    ]
    return canonical(config)


def apply_run_time(run: dict[str, Any], run_time: RunTime) -> None:
    """Set environment, working folder, user and entry point; empty ones leave the base's.

    The base's command is an argument of the base's entry point, so it goes with that, as with `ENTRYPOINT`
    in a Dockerfile.
    """
    values = dict(variable.partition("=")[::2] for variable in run["Env"]) | dict(run_time.env)
    run["Env"] = [f"{name}={value}" for name, value in values.items()]
    if run_time.working_dir:
        run["WorkingDir"] = run_time.working_dir
    if run_time.user:
        run["User"] = run_time.user
    if run_time.entrypoint:
        run["Entrypoint"] = list(run_time.entrypoint)
        run.pop("Cmd", None)


def environment(variables: Sequence[str], prefix: str, user: User | None = None) -> list[str]:
    """The base's variables with the environment at `prefix` first on PATH, and those of `user`."""
    values = dict(variable.partition("=")[::2] for variable in variables)
    path = values.get("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
    values["PATH"] = f"{prefix}/bin:{path}"
    values["VIRTUAL_ENV"] = prefix
    values |= user.variables if user else {}
    return [f"{name}={value}" for name, value in values.items()]


def image_manifest(
    config: bytes,
    base_layers: Sequence[Mapping[str, Any]],
    layers: Sequence[Layer],
    annotations: Mapping[str, str] | None = None,
) -> bytes:
    """An OCI manifest; Docker's media types of a base's layers become their OCI equivalents."""
    return canonical(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": {
                "mediaType": OCI_CONFIG,
                "digest": digest_of(config),
                "size": len(config),
            },
            "layers": [
                *(
                    {
                        "mediaType": OCI_LAYERS.get(layer["mediaType"], layer["mediaType"]),
                        "digest": layer["digest"],
                        "size": layer["size"],
                    }
                    for layer in base_layers
                ),
                *(
                    {"mediaType": layer.media_type, "digest": layer.digest, "size": layer.size}
                    for layer in layers
                ),
            ],
            **({"annotations": dict(annotations)} if annotations else {}),
        }
    )
