"""Source distributions from indexes by name: in the sandbox, a library is only where the rules place it."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest

from images.building.locks.files import Lock
from images.errors import ResolutionFailed
from images.indexes import indexes_of
from images.jobs.spec_lock import lock_spec, source_builds
from images.models import BaseImage, BuildHost, BuiltWheel, Status
from images.operations.images import create_image
from images.requirements import PipRequirement
from images.spec import ImageSpec
from tests.builds import build_now
from tests.cast import Cast
from tests.images.building.private_index import SECRET, index_of, private_index
from tests.images.building.wheelmaker import make_wheel
from tests.local_aws import LocalAWS
from tests.needs import needs
from workspaces.access import Actor

pytestmark = [
    needs("confinement"),
    pytest.mark.slow,
    pytest.mark.network,
    pytest.mark.django_db(transaction=True),
]

BACKEND = """
import base64, hashlib, os, zipfile

def line(path, text):
    digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"{{path}},sha256={{digest.rstrip('=')}},{{len(text)}}"

def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    import build_helper
    name, version = "{name}", "{version}"
    info = f"{{name}}-{{version}}.dist-info"
    files = {{
        f"{{name}}.py": "",
        f"{{info}}/METADATA": f"Metadata-Version: 2.1\\nName: {{name}}\\nVersion: {{version}}\\n",
        f"{{info}}/WHEEL": "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
    }}
    path = f"{{name}}-{{version}}-py3-none-any.whl"
    with zipfile.ZipFile(os.path.join(wheel_directory, path), "w") as wheel:
        for member, text in files.items():
            wheel.writestr(member, text)
        lines = [line(member, text) for member, text in files.items()]
        wheel.writestr(f"{{info}}/RECORD", "\\n".join([*lines, f"{{info}}/RECORD,,"]))
    return path
"""
PYPROJECT = """
[build-system]
requires = ["build-helper"]
build-backend = "backend"
backend-path = ["."]
[project]
name = "{name}"
version = "{version}"
dependencies = {needs}
"""


def sdist(folder: Path, name: str, version: str, *needs: str) -> Path:
    path = folder / f"{name}-{version}.tar.gz"
    files = {
        "PKG-INFO": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        "pyproject.toml": PYPROJECT.format(name=name, version=version, needs=list(needs)),
        "backend.py": BACKEND.format(name=name, version=version),
    }
    with tarfile.open(path, "w:gz") as tar:
        for member_name, text in files.items():
            member = tarfile.TarInfo(f"{name}-{version}/{member_name}")
            member.size = len(text.encode())
            tar.addfile(member, io.BytesIO(text.encode()))
    return path


@dataclass
class World:
    """A public index with a stranger's newer acme_core, and an explicit one, which asks for a password."""

    cast: Cast
    base: BaseImage
    registry: LocalAWS
    own: str
    work: Path

    def spec(self, *wanted: PipRequirement, **values: Any) -> ImageSpec:
        return ImageSpec("all", "3.11", wanted, allow_source=True, **values)

    def lock(self, *wanted: PipRequirement, **values: Any) -> Lock:
        spec, said = self.spec(*wanted, **values), list[str]()
        work = Path(mkdtemp(dir=self.work))
        with self.registry.identity("build-jobs"), ExitStack() as held:
            sources = source_builds(
                spec, self.base, work, held, log=said.append, check=lambda: None
            )
            lock = lock_spec(spec, self.base, log=said.append, check=lambda: None, sources=sources)
        assert "Resolving in the base image, source distributions included" in said
        assert "s3cr" not in lock.text + "".join(said)
        return lock


@pytest.fixture
def world(
    cast: Cast, debian: BaseImage, registry: LocalAWS, settings: Any, tmp_path: Path
) -> Iterator[World]:
    public, own, work = (tmp_path / name for name in ("public", "own", "work"))
    for folder in (public, own, work):
        folder.mkdir()
    with ExitStack() as stack:
        addresses = (
            stack.enter_context(
                index_of(
                    make_wheel(public, "build_helper"),
                    sdist(public, "acme_core", "9.9"),
                    sdist(public, "asker", "1.0", "acme-core"),
                    sdist(public, "eager", "1.0"),
                    sdist(public, "eager", "2.0rc1"),
                )
            ),
            stack.enter_context(
                private_index(sdist(own, "acme_core", "1.0"), sdist(own, "only_here", "1.0"))
            ),
        )
        settings.PACKAGE_INDEX_URL = f"http://{addresses[0]}/simple"
        settings.PACKAGE_EXTRA_INDEX_URLS = [f"own=http://team:{SECRET}@{addresses[1]}/simple"]
        settings.PACKAGE_EXPLICIT_INDEXES = ["own"]
        settings.CACHE_DIR = tmp_path / "cache"
        yield World(cast, debian, registry, addresses[1], work)


def versions(lock: Lock) -> dict[str, str]:
    return {item.name: item.version for item in lock.sources}


CORE, NAMED = PipRequirement("acme-core"), PipRequirement("acme-core", index="own")
RULE = ["own=acme-*"]


@pytest.mark.parametrize(
    ("wanted", "chosen", "rules"),
    [((NAMED,), (), []), ((CORE,), ("own",), []), ((CORE,), (), RULE)],
    ids=["named", "chosen", "by-a-rule"],
)
def test_a_source_comes_from_the_index_that_is_said(
    wanted: Sequence[PipRequirement],
    chosen: tuple[str, ...],
    rules: list[str],
    world: World,
    settings: Any,
) -> None:
    settings.PACKAGE_INDEX_PACKAGES = rules
    lock = world.lock(*wanted, indexes=chosen)
    assert versions(lock) == {"acme-core": "1.0"}
    assert indexes_of(lock.text) == {"acme-core": "own"}
    assert lock.sources[0].url == f"http://{world.own}/files/acme_core-1.0.tar.gz"


def test_what_a_source_brings_along_comes_from_where_the_rules_place_it(
    world: World, settings: Any
) -> None:
    assert versions(world.lock(PipRequirement("asker"))) == {"asker": "1.0", "acme-core": "9.9"}
    settings.PACKAGE_INDEX_PACKAGES = RULE
    lock = world.lock(PipRequirement("asker"))
    assert versions(lock) == {"asker": "1.0", "acme-core": "1.0"}
    assert indexes_of(lock.text) == {"asker": "default", "acme-core": "own"}
    # As it is asked of that index by name, it is brought along from nowhere else.
    settings.PACKAGE_INDEX_PACKAGES = []
    assert versions(world.lock(PipRequirement("asker"), NAMED))["acme-core"] == "1.0"


def test_an_explicit_index_gives_no_source_that_is_not_asked_of_it(world: World) -> None:
    with pytest.raises(ResolutionFailed, match="only-here was not found"):
        world.lock(PipRequirement("only-here"), PipRequirement("eager"))


def test_sources_of_prereleases_are_taken_where_they_are_allowed(world: World) -> None:
    eager = PipRequirement("eager")
    assert versions(world.lock(eager)) == {"eager": "1.0"}
    assert versions(world.lock(eager, allow_prereleases=True)) == {"eager": "2.0rc1"}


def test_a_source_of_a_named_index_is_built_with_what_the_others_have(world: World) -> None:
    BuildHost.objects.get_or_create(name="here", queue="sources")
    image = create_image(
        Actor(world.cast.member), "acme", world.spec(NAMED), workspace=world.cast.workspace
    )
    image = build_now(world.registry, image)
    build = image.builds.get()
    assert image.status == Status.READY, f"{build.error_message} {build.error_hint}"
    (wheel,) = BuiltWheel.objects.all()
    assert wheel.filename == "acme_core-1.0-py3-none-any.whl"
    assert [name for name, _, _ in wheel.build_requirements] == ["build-helper"]
    assert indexes_of(build.lock)["acme-core"] == "own"
    log = "".join(chunk.text for chunk in build.log_chunks.all())
    assert "acme-core 1.0 from own" in log
    assert "s3cr" not in build.lock + log
