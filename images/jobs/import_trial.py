"""The trial of a build's image: the files that it consists of, and the result as columns and as words."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from images.building.cache import caches
from images.building.containers import container
from images.building.containers.sandbox import SandboxBroken
from images.building.trial.imports import Asked, Trial, try_imports
from images.building.trial.roots import ImageFiles
from images.building.workshop import name_of
from images.errors import ImportCheckUnavailable
from images.models import Build, CheckResult
from images.queries.missing_libraries import likeliest_packages
from images.registry import connection, naming
from images.registry.distribution.client import RegistryClient
from images.registry.distribution.descriptors import Descriptor
from ri_platform.metrics import IMPORT_CHECK_SECONDS

# How many failures one sentence names.
MAX_NAMED = 3


def try_build(
    build: Build, layers: Sequence[Descriptor], libraries: Sequence[str], check: Callable[[], None]
) -> Trial:
    """Import what a build asked for, upon its base and its layers, the lowest first.

    `libraries` are the names of those that it brought. Raises `ImportCheckUnavailable` where no sandbox can
    be made, and the registry's errors.
    """
    if problem := container.confinement_problem():
        raise ImportCheckUnavailable(problem)
    base = build.base_image
    began = time.monotonic()
    with blobs_of(build, check) as blobs:
        files = ImageFiles(base.manifest_digest, layers, blobs.base_layout, blobs.obtain)
        asked = Asked(
            requirements=[item.name for item in build.spec.pip_requirements],
            libraries=libraries,
            python=base.python_full_version or f"{base.python_version}.0",
            variables=[
                *((base.config.get("config") or {}).get("Env") or []),
                *(f"{name}={value}" for name, value in build.spec.run_time.env),
            ],
            packages_with=partial(likeliest_packages, base),
        )
        try:
            trial = try_imports(files, asked, check)
        except SandboxBroken as error:
            raise ImportCheckUnavailable(f"The image cannot be tried: {error}") from error
    IMPORT_CHECK_SECONDS.observe(time.monotonic() - began)
    return trial


class Blobs:
    """The blobs of a build's image, from this machine's cache or the registry, which is asked at need."""

    def __init__(self, build: Build, check: Callable[[], None], held: ExitStack) -> None:
        self._build, self._check, self._held = build, check, held
        self._repository = naming.image_repository(naming.effective_prefix(), build.image.name)

    @cached_property
    def _client(self) -> RegistryClient:
        return self._held.enter_context(connection.registry_client())

    def base_layout(self, work: Path) -> Path:
        base = self._build.base_image
        return container.base_layout(
            self._client, base.repository, base.manifest_digest, work / "layout", self._check
        )

    def obtain(self, layer: Descriptor, path: Path) -> None:
        kept = caches().layers
        if not kept.take(name_of(layer.digest), path):
            self._client.download_blob(self._repository, layer, path, check=self._check)
            kept.keep(name_of(layer.digest), path)


@contextmanager
def blobs_of(build: Build, check: Callable[[], None]) -> Iterator[Blobs]:
    with ExitStack() as held:
        yield Blobs(build, check, held)


def columns_of(trial: Trial) -> dict[str, Any]:
    """The columns of an `ImportCheck` that hold a result."""
    return {
        "result": CheckResult.PASSED if trial.passed else CheckResult.FAILED,
        "tried": trial.tried,
        "failed": [asdict(item) for item in trial.failed],
        "conflicts": [asdict(item) for item in trial.conflicts],
        "seconds": trial.seconds,
        "reason": "",
    }


def log_lines(trial: Trial) -> list[str]:
    """A result as lines of a log."""
    imported = trial.tried - sum(1 for item in trial.failed if item.module)
    lines = [f"{imported} of {trial.tried} modules imported in {trial.seconds:.1f} s."]
    for item in trial.failed:
        lines += item.message.splitlines()
        lines += [item.hint] if item.hint else []
    return [*lines, *(conflict.message for conflict in trial.conflicts)]


def summary(trial: Trial) -> str:
    """What failed, in a sentence or two."""
    named = [
        f"{item.module or item.requirement or 'The trial'}: {item.message.splitlines()[-1]}"
        for item in trial.failed
    ]
    named += [conflict.message for conflict in trial.conflicts]
    more = f" And {len(named) - MAX_NAMED} more." if len(named) > MAX_NAMED else ""
    return " ".join(named[:MAX_NAMED]) + more
