"""Files that are made to cost much are refused, and nothing is raised."""

from __future__ import annotations

import io
import zipfile

import pytest

from images.requirement_files import SuppliedFile, files_of_zip, read

BOMB = "a: &a [x,x,x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [*{chr(97 + n)},*{chr(97 + n)}]\n" for n in range(20)
)

HOSTILE = {
    "yaml bomb": ("environment.yml", BOMB + "dependencies: []\n"),
    "deep yaml": ("environment.yml", "dependencies: " + "[" * 50_000),
    "yaml tag": ("environment.yml", "dependencies: [!!python/object/apply:os.system [ls]]\n"),
    "deep toml": ("pyproject.toml", "a = " + "[" * 50_000),
    "dotted toml": ("pyproject.toml", "a." * 100_000 + "a = 1\n"),
    "dotted lock": ("uv.lock", ("a." * 60 + "a = 1\n") * 1_000),
    "huge number": ("pyproject.toml", "a = " + "1" * 100_000),
    "deep json": ("Pipfile.lock", '{"default":' + "[" * 100_000),
    "huge json number": ("notebook.ipynb", '{"cells": ' + "1" * 100_000 + "}"),
    "wrong json": ("Pipfile.lock", '{"default": {"numpy": 5}, "_meta": {"sources": []}}'),
    "wrong lock": ("uv.lock", "[[package]]\nname = 1\n"),
    "wrong pylock": ("pylock.toml", 'lock-version = "1.0"\n'),
    "deep marker": ("requirements.txt", "numpy; " + "(" * 3_000),
    "huge version": ("requirements.txt", "numpy==" + "9" * 5_000),
    "long line": ("requirements.txt", "numpy" + "a" * 100_000),
    "script": ("script.py", "# /// script\n" * 50_000),
    "many lines": ("requirements.txt", "\n" * 200_000 + "numpy"),
    "large": ("pyproject.toml", "#" * 2_000_000),
    "binary": ("requirements.txt", "PK\x03\x04\x00\x00"),
    "option": ("requirements.txt", "--hash=sha256:zz --unknown 'open\n"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_file_is_refused_in_a_sentence(
    kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    name, text = HOSTILE[kind]
    reading = read([SuppliedFile(name, text)], python_version="3.11")
    assert reading.requirements == ()
    assert len(reading.refused) == 1
    assert len(str(reading.refused[0])) < 600
    assert reading.refused[0].message.endswith(".")
    # optparse writes to standard error unless it is kept from it.
    assert capsys.readouterr().err == ""


@pytest.mark.slow
def test_reading_stops_where_too_much_is_wrong() -> None:
    text = "".join(f"numpy={number}\n" for number in range(50_000))
    assert len(read([SuppliedFile("r.txt", text)], python_version="3.11").refused) == 501
    same = "".join(f"numpy!=1.{number}\n" for number in range(4_000))
    assert "keep one" in read([SuppliedFile("r.txt", same)], python_version="3.11").sentences[0]


def test_too_many_files_are_refused() -> None:
    files = [SuppliedFile(f"{number}.txt", "numpy") for number in range(60)]
    assert "At most 50 files" in read(files, python_version="3.11").sentences[0]


@pytest.mark.parametrize("name", ["__proto__", "../../etc/passwd", "x" * 500])
def test_strange_names_of_files_are_no_paths(name: str) -> None:
    assert read([SuppliedFile(name, "-r /etc/passwd\n")], python_version="3.11").refused


@pytest.mark.slow
def test_a_zip_that_unpacks_to_much_is_refused() -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("requirements.txt", b" " * 40_000_000)
    with pytest.raises(ValueError, match="unpacks to too much"):
        files_of_zip(packed.getvalue())
    with pytest.raises(ValueError, match="cannot be read"):
        files_of_zip(b"PK\x03\x04 nothing")
