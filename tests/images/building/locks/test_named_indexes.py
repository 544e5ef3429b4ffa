"""Several indexes with names: the first that has a library gives it, and explicit ones give what is asked of
them alone."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from images.building.cache import BoundedCache
from images.building.downloads import fetch, index_client
from images.building.locks.files import Lock
from images.building.locks.resolve import resolve
from images.building.locks.target import Target
from images.checks import package_indexes_are_named
from images.errors import HashesDiffer, IndexUnknown, ResolutionFailed
from images.indexes import Index, Indexes, indexes_of
from images.requirements import PipRequirement
from tests.images.building.private_index import SECRET, index_of, private_index
from tests.images.building.wheelmaker import make_wheel

pytestmark = pytest.mark.slow


def wheel(folder: Path, name: str, version: str, *needs: str) -> Path:
    lines = [f"Requires-Dist: {need}" for need in needs]
    text = "\n".join(["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", *lines, ""])
    return make_wheel(folder, name, version, metadata=text.encode())


@dataclass
class World:
    """A public index, an internal one, and one for torch that asks for a password."""

    public: str
    internal: str
    cpu: str
    hashes: dict[str, str] = field(default_factory=dict)

    def indexes(self, **packages: tuple[str, ...]) -> Indexes:
        return Indexes(
            default=f"http://{self.public}/simple",
            extra=(
                Index(
                    "internal",
                    f"http://{self.internal}/simple",
                    False,
                    packages.get("internal", ()),
                ),
                Index(
                    "pytorch-cpu",
                    f"http://team:{SECRET}@{self.cpu}/simple",
                    explicit=True,
                    packages=packages.get("cpu", ()),
                ),
            ),
        )


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    public, internal, cpu = (tmp_path / name for name in ("public", "internal", "cpu"))
    for folder in (public, internal, cpu):
        folder.mkdir()
    files = {
        "public": [
            wheel(public, "torch", "2.1.0"),
            wheel(public, "app", "1.0", "torch", "acme_core"),
            wheel(public, "six", "1.0"),
            wheel(public, "acme_core", "9.9"),
            wheel(public, "acme_typo", "9.9"),
        ],
        "internal": [wheel(internal, "acme_core", "1.0")],
        "cpu": [
            wheel(cpu, "torch", "2.1.0+cpu", "six"),
            wheel(cpu, "six", "9.9"),
            wheel(cpu, "only_here", "1.0"),
        ],
    }
    hashes = {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest()
        for found in files.values()
        for file in found
    }
    with ExitStack() as stack:
        yield World(
            stack.enter_context(index_of(*files["public"])),
            stack.enter_context(index_of(*files["internal"])),
            stack.enter_context(private_index(*files["cpu"])),
            hashes,
        )


def locked(
    indexes: Indexes, *wanted: PipRequirement, said: list[str] | None = None, **options: Any
) -> Lock:
    return resolve(
        wanted,
        Target("3.11"),
        preinstalled={},
        log=(said if said is not None else []).append,
        check=lambda: None,
        indexes=indexes,
        environment={"UV_NO_CACHE": "1"},
        **options,
    )


def versions(lock: Lock) -> dict[str, str]:
    return {item.name: item.version for item in lock.wheels}


def pinned(world: World, name: str, version: str, *files: str, **given: Any) -> PipRequirement:
    hashes = tuple(f"sha256:{world.hashes[file]}" for file in files)
    return PipRequirement(name, f"=={version}", hashes=hashes, **given)


def test_one_library_comes_from_the_index_that_it_names_and_what_it_brings_from_the_others(
    world: World, tmp_path: Path
) -> None:
    said: list[str] = []
    indexes = world.indexes()
    lock = locked(indexes, PipRequirement("torch", index="pytorch-cpu"), said=said)
    assert versions(lock) == {"torch": "2.1.0+cpu", "six": "1.0"}
    assert indexes_of(lock.text) == {"torch": "pytorch-cpu", "six": "default"}
    (torch,) = [item for item in lock.wheels if item.name == "torch"]
    assert "%2Bcpu" in torch.url
    for text in (lock.text, *said, repr(lock)):
        assert "s3cr" not in text
    with index_client(indexes) as client:
        cache = BoundedCache(tmp_path / "cache", 10**6)
        path = fetch(client, torch, cache, tmp_path / "work", lambda: None)
    assert path.name == "torch-2.1.0+cpu-py3-none-any.whl"


def test_an_explicit_index_gives_nothing_that_is_not_asked_of_it(world: World) -> None:
    assert versions(locked(world.indexes(), PipRequirement("torch"))) == {"torch": "2.1.0"}
    with pytest.raises(ResolutionFailed, match="only-here was not found"):
        locked(world.indexes(), PipRequirement("only-here"))


def test_the_first_index_that_has_a_library_gives_it_whatever_the_others_have(world: World) -> None:
    lock = locked(world.indexes(), PipRequirement("app"))
    assert versions(lock) == {"app": "1.0", "torch": "2.1.0", "acme-core": "1.0"}
    assert indexes_of(lock.text)["acme-core"] == "internal"


def test_what_a_rule_places_comes_from_there_alone_whoever_asks_for_it(world: World) -> None:
    indexes = world.indexes(internal=("acme-*",), cpu=("torch", "only-here"))
    lock = locked(indexes, PipRequirement("app"))
    assert versions(lock) == {
        "app": "1.0", "torch": "2.1.0+cpu", "six": "1.0", "acme-core": "1.0",
    }  # fmt: skip
    assert versions(locked(indexes, PipRequirement("only_here"))) == {"only-here": "1.0"}
    # A stranger's file of a name that looks like ours.
    with pytest.raises(ResolutionFailed, match="acme-typo was not found"):
        locked(indexes, PipRequirement("acme-typo"))


@pytest.mark.parametrize(
    ("name", "index", "sentence"),
    [
        ("six", "conda-forge", "which is not configured"),
        ("acme-core", "pytorch-cpu", "comes from the index internal alone"),
    ],
)
def test_an_index_that_cannot_be_is_refused(
    name: str, index: str, sentence: str, world: World
) -> None:
    with pytest.raises(IndexUnknown, match=sentence):
        locked(world.indexes(internal=("acme-*",)), PipRequirement(name, index=index))


def test_the_file_has_one_of_the_hashes_that_are_given_or_it_is_told(world: World) -> None:
    right = pinned(world, "torch", "2.1.0", "torch-2.1.0-py3-none-any.whl")
    assert versions(locked(world.indexes(), right)) == {"torch": "2.1.0"}
    other = pinned(world, "torch", "2.1.0", "six-1.0-py3-none-any.whl")
    with pytest.raises(HashesDiffer) as caught:
        locked(world.indexes(), other)
    told = str(caught.value)
    assert told.startswith("torch 2.1.0 is to be a file of sha256:")
    for file in ("torch-2.1.0-py3-none-any.whl", "six-1.0-py3-none-any.whl"):
        assert world.hashes[file] in told


def test_a_complete_set_takes_nothing_that_it_does_not_name(world: World) -> None:
    app = pinned(world, "app", "1.0", "app-1.0-py3-none-any.whl")
    assert versions(locked(world.indexes(), app, complete=True)) == {"app": "1.0"}


SETTINGS = ("PACKAGE_EXTRA_INDEX_URLS", "PACKAGE_EXPLICIT_INDEXES", "PACKAGE_INDEX_PACKAGES")


def configure(settings: Any, *values: Sequence[str]) -> None:
    for name, value in zip(SETTINGS, values, strict=True):
        setattr(settings, name, list(value))


def test_indexes_are_configured_by_name(settings: Any) -> None:
    settings.PACKAGE_INDEX_URL = "https://team:s3cret@main.example/simple"
    configure(
        settings,
        [
            "internal=https://u:p@in.example/simple/",
            "https://more.example/x",
            "pytorch-cpu=http://t/whl",
        ],
        ["pytorch-cpu"],
        ["internal=acme-*", "default=requests"],
    )
    indexes = Indexes.from_settings()
    assert indexes.addresses == {
        "default": "https://main.example/simple",
        "internal": "https://in.example/simple",
        "extra-2": "https://more.example/x",
        "pytorch-cpu": "http://t/whl",
    }
    assert [index.name for index in indexes.every if index.explicit] == ["pytorch-cpu"]
    assert (indexes.home_of("Acme_Core"), indexes.home_of("requests")) == ("internal", "default")
    assert "s3cret" not in indexes.configuration(60)
    assert package_indexes_are_named() == []


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ((["PyTorch=https://a/b"], [], []), "Entry 1 of RI_PACKAGE_EXTRA_INDEX_URLS"),
        ((["default=https://a/b"], [], []), "gives the name default to a second index"),
        ((["a=https://a/b", "a=https://c/d"], [], []), "gives the name a to a second index"),
        (([], ["pytorch-cpu"], []), "RI_PACKAGE_EXPLICIT_INDEXES names pytorch-cpu"),
        (([], [], ["internal=acme-*"]), "RI_PACKAGE_INDEX_PACKAGES names internal"),
        (([], [], ["acme-*"]), "which is not index=library"),
    ],
)
def test_what_cannot_be_configured_is_told_when_the_platform_starts(
    values: tuple[Sequence[str], ...], sentence: str, settings: Any
) -> None:
    configure(settings, *values)
    (error,) = package_indexes_are_named()
    assert sentence in error.msg


def test_prereleases_count_as_releases_where_that_is_asked_for(tmp_path: Path) -> None:
    """Also those of what a library needs, which its own specifier says nothing of."""
    files = [
        wheel(tmp_path, "app", "1.0", "base_lib"),
        wheel(tmp_path, "app", "2.0rc1", "base_lib"),
        wheel(tmp_path, "base_lib", "1.0"),
        wheel(tmp_path, "base_lib", "1.1a1"),
    ]
    with index_of(*files) as public, index_of() as internal:
        one = Indexes(f"http://{public}/simple")
        several = replace(one, extra=(Index("internal", f"http://{internal}/simple"),))
        for indexes in (one, several):
            wanted = PipRequirement("app")
            assert versions(locked(indexes, wanted)) == {"app": "1.0", "base-lib": "1.0"}
            lock = locked(indexes, wanted, prereleases=True)
            assert versions(lock) == {"app": "2.0rc1", "base-lib": "1.1a1"}
        assert 'dependencies = [{ name = "base-lib" }]' in lock.text
