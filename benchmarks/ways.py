"""The ways to make an image of a set of libraries: ours, by hand, and a container builder's.

Each is opened anew for a round, with nothing that it could remember; what it makes later in the round finds
what it kept. `make` returns when the registry has all of the image.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from benchmarks.instance import ROOT, credentials
from benchmarks.sets import LibrarySet

if TYPE_CHECKING:
    from images.models import BaseImage

PYTHON = "3.11"


@dataclass(frozen=True)
class Place:
    """Where a round works: a folder on the disk of the instance's state, and that state."""

    folder: Path
    state: Path

    @property
    def base(self) -> BaseImage:
        from images.models import BaseImage

        return BaseImage.objects.current().get()

    @property
    def repository(self) -> str:
        """A repository of the instance's registry, with its host; all ways but ours push there."""
        from django.conf import settings

        return f"{settings.REGISTRY_HOST}/{self.base.repository}"


class Ours:
    """The platform: a request, as the console makes it, until the image is READY."""

    def __init__(self, place: Place) -> None:
        self._number = 0
        self.reference = ""

    def make(self, wanted: LibrarySet) -> None:
        from images.operations.images import create_image
        from images.references import pull_reference
        from images.requirement_files.configured import parse_pip_requirements
        from images.spec import ImageSpec
        from workspaces.access import Actor
        from workspaces.models import User

        asked = parse_pip_requirements("\n".join(wanted.libraries))
        self._number += 1
        actor = Actor(User.objects.get(username="admin"))
        spec = ImageSpec("all", PYTHON, tuple(asked))
        image = create_image(actor, f"bench-{self._number}", spec)
        build = image.builds.get()
        while build.is_active:
            time.sleep(0.02)
            build.refresh_from_db()
        assert build.state == "succeeded", f"{build.error_message} {build.error_hint}"
        image.refresh_from_db()
        self.reference = pull_reference(image, build)

    def close(self) -> None: ...


class Hand:
    """`benchmarks.by_hand`; warm and one more have uv's cache."""

    bytecode: ClassVar = False

    def __init__(self, place: Place) -> None:
        self._place = place
        # It is a layer, and no image that could be pulled.
        self.reference = ""
        self._number = 0
        self._folder = Path(tempfile.mkdtemp(prefix="hand-", dir=place.folder))

    def make(self, wanted: LibrarySet) -> None:
        from benchmarks import by_hand
        from images.registry import connection
        from ri_platform.local.identity import take_identity

        self._number += 1
        target = self._folder / f"target-{self._number}"
        by_hand.install(
            wanted.libraries, target, self._folder / "cache",
            python_version=PYTHON, bytecode=self.bytecode,
        )  # fmt: skip
        made = by_hand.pack(target, target.with_suffix(".layer"))
        take_identity()
        with connection.registry_client() as client:
            by_hand.push(made, client, self._place.base.repository)

    def close(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)


class HandCompiled(Hand):
    bytecode: ClassVar = True


class Buildah:
    """`buildah bud` in chroot isolation, the base pulled beforehand; warm and one more have the installer's
    cache."""

    layers: ClassVar = False
    install: ClassVar = "/opt/managed/bin/pip install"

    def __init__(self, place: Place) -> None:
        self._place = place
        self._number = 0
        self.reference = ""
        self._folder = Path(tempfile.mkdtemp(prefix="buildah-", dir=place.folder))
        (self._folder / "cache").mkdir()
        (self._folder / "context").mkdir()
        storage = ["--root", str(self._folder / "root"), "--runroot", str(self._folder / "run")]
        self._command = ["buildah", *storage, "--storage-driver", "overlay"]
        self._registry = ["--tls-verify=false", "--creds", credentials(place.state)]
        self._base = f"{place.repository}@{place.base.manifest_digest}"
        self._run("pull", "-q", *self._registry, self._base)

    def make(self, wanted: LibrarySet) -> None:
        self._number += 1
        self.reference = f"{self._place.repository}:bench-{self._folder.name}-{self._number}"
        certificates = os.environ.get("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt")
        # The base's own user may not write there.
        lines = ["USER 0", *self._lines(wanted, certificates)]
        (self._folder / "context/Containerfile").write_text(
            "\n".join([f"FROM {self._base}", *lines, ""])
        )
        mounts = {
            certificates: f"{certificates}:ro",
            str(self._folder / "cache"): "/cache",
            str(ROOT / ".venv/bin/uv"): "/usr/local/bin/uv:ro",
        }
        self._run(
            "bud", "-q", "--isolation", "chroot", f"--layers={str(self.layers).lower()}",
            "--pull=never", *self._registry,
            *(word for a, b in mounts.items() for word in ("-v", f"{a}:{b}")),
            "-t", "bench", str(self._folder / "context"),
        )  # fmt: skip
        self._run("push", "-q", *self._registry, "bench", f"docker://{self.reference}")

    def _lines(self, wanted: LibrarySet, certificates: str) -> Iterator[str]:
        """The steps. With layers, one more library is a step of its own, which finds the others' made."""
        settings = f"XDG_CACHE_HOME=/cache PIP_CERT={certificates} SSL_CERT_FILE={certificates}"
        venv = "python3 -m venv --system-site-packages /opt/managed"
        steps: Sequence[Sequence[str]] = [wanted.libraries]
        if self.layers and wanted.added:
            steps = [wanted.libraries[: -len(wanted.added)], wanted.added]
        for number, libraries in enumerate(steps):
            first = "" if number else f"{venv} && "
            yield f"RUN export {settings} && {first}{self.install} {' '.join(libraries)}"

    def _run(self, *words: str) -> None:
        subprocess.run([*self._command, *words], check=True, stdout=subprocess.DEVNULL)

    def close(self) -> None:
        for words in (["rm", "-a"], ["rmi", "-af"]):
            subprocess.run([*self._command, *words], check=False, capture_output=True)
        shutil.rmtree(self._folder, ignore_errors=True)


class BuildahUv(Buildah):
    install: ClassVar = "uv pip install --python /opt/managed/bin/python"


class BuildahLayers(BuildahUv):
    """With buildah's own cache of steps, too."""

    layers: ClassVar = True


Way = Ours | Hand | Buildah
WAYS: dict[str, type[Way]] = {
    "ours": Ours,
    "hand": Hand,
    "hand + bytecode": HandCompiled,
    "buildah + pip": Buildah,
    "buildah + uv": BuildahUv,
    "buildah + uv, --layers": BuildahLayers,
}


@contextmanager
def open_way(name: str, place: Place) -> Iterator[Way]:
    """A way with nothing to remember, until the block ends."""
    way = WAYS[name](place)
    try:
        yield way
    finally:
        way.close()
