"""Remembered bytecode: what has not changed is not compiled again, and what comes of it is the same."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from images.building.layers import bytecode, remembered_bytecode
from images.building.layers.compilers import Compiled, Compilers, Session
from images.building.layers.remembered_bytecode import MAGIC
from images.building.layers.worker import LayerJob, LayerMakers, answer_to
from tests.images.building.wheelmaker import make_wheel

pytestmark = pytest.mark.slow

PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"
SAME = {f"sample/same_{n}.py": b"VALUE = %d\n" % n * 50 for n in range(20)}


class Library:
    """Versions of a library, each made into a layer with what is remembered of the one before."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.known = folder / "known"

    def digest(self, version: str, changed: bytes, *, remembering: bool = True) -> str:
        folder = self.folder / version
        folder.mkdir(exist_ok=True)
        files = {**SAME, "sample/__init__.py": changed}
        learned = folder / "learned"
        job = LayerJob(
            (make_wheel(folder, version=version, files=files),),
            PYTHON,
            folder / "layer",
            known=self.known if remembering else None,
            learned=learned if remembering else None,
        )
        makers = LayerMakers(1, sys.executable)
        try:
            made = makers.make(job)
        finally:
            makers.close()
        if learned.exists():
            learned.rename(self.known)
        return made.digest


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(tmp_path)


def test_a_layer_of_remembered_bytecode_is_the_same_layer(library: Library) -> None:
    first = library.digest("1.0", b"x = 1")
    assert library.known.read_bytes().startswith(MAGIC)
    assert library.digest("1.0", b"x = 1") == first
    assert library.digest("2.0", b"x = 2") == library.digest("2.0", b"x = 2", remembering=False)


@pytest.mark.parametrize("damage", [b"", b"nothing", "cut", "flipped", "table"])
def test_a_damaged_file_is_as_good_as_none(library: Library, damage: bytes | str) -> None:
    first = library.digest("1.0", b"x = 1")
    data = library.known.read_bytes()
    middle = len(MAGIC) + 40
    damaged = {
        "cut": data[:-100],
        "flipped": data[:middle] + bytes(255 - byte for byte in data[middle : middle + 400])
        + data[middle + 400 :],
        "table": data[:-8] + b"\xff" * 8,
    }  # fmt: skip
    library.known.write_bytes(damage if isinstance(damage, bytes) else damaged[damage])
    assert library.digest("1.0", b"x = 1") == first


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are compiled in this process from now on."""
    names: list[str] = []
    real = Session.submit

    def submit(self: Session, source: bytes, path: str) -> Compiled:
        names.append(path.rpartition("/")[2])
        return real(self, source, path)

    monkeypatch.setattr(Session, "submit", submit)
    return names


def test_only_what_has_changed_is_compiled(library: Library, asked: list[str]) -> None:
    library.digest("1.0", b"x = 1")
    made_here(library, "2.0", b"x = 2")
    assert asked == ["__init__.py"]


def test_another_python_or_compiler_finds_nothing(
    library: Library, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    library.digest("1.0", b"x = 1")
    monkeypatch.setattr(sys, "version", "another build of the same Python")
    remembered_bytecode.identity_of.cache_clear()
    try:
        made_here(library, "1.0", b"x = 1")
    finally:
        remembered_bytecode.identity_of.cache_clear()
    assert len(asked) == len(SAME) + 1


def made_here(library: Library, version: str, changed: bytes) -> None:
    """As a layer process does it, in this one."""
    folder = library.folder / f"{version}-here"
    folder.mkdir()
    wheel = make_wheel(folder, version=version, files={**SAME, "sample/__init__.py": changed})
    compilers = Compilers(sys.executable)
    try:
        request = {
            "wheels": [str(wheel)],
            "python_version": PYTHON,
            "prefix": "/opt/managed",
            "destination": str(folder / "layer"),
            "known": str(library.known),
            "learned": str(folder / "learned"),
        }
        assert "digest" in answer_to(request, compilers, sys.executable, 0)
    finally:
        compilers.close()


def test_the_compilers_names_are_those_of_the_layer_format() -> None:
    """`marshal` marks a name that the compiling process holds besides: another name there, other layers."""
    found = set[str]()

    def look(code: object) -> None:
        found.update(code.co_names, code.co_varnames, code.co_cellvars, [code.co_name])  # type: ignore[attr-defined]
        for value in code.co_consts:  # type: ignore[attr-defined]
            if hasattr(value, "co_code"):
                look(value)
            elif isinstance(value, tuple):
                found.update(item for item in value if isinstance(item, str))
            elif isinstance(value, str) and value.isidentifier():
                found.add(value)

    look(compile(Path(bytecode.__file__).read_text(), "bytecode.py", "exec"))
    of_this_file = {
        "Compiler", "_HEADER", "_LENGTH", "_UNCHECKED_HASH", "_process", "answer", "asked", "cache_name",
        "compile_source", "found", "incoming", "interpreter", "interpreter_for", "name_length", "outgoing",
        "python_version", "serve", "source_length", "stem", "told",
    }  # fmt: skip
    of_others = {
        "item",
        "list",
        "map",
        "int",
        "pid",
        "process",
        "start",
        "run",
        "names",
        "argv",
        "pop",
    }
    assert of_this_file | of_others <= found
    assert not found & {
        "slot",
        "slots",
        "session",
        "worker",
        "number",
        "pipes",
        "pairs",
        "children",
    }
