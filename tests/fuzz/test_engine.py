"""What the build engine reads: wheels, manifests, configurations, ELF files, locks."""

from __future__ import annotations

import io
import json
import shutil
import sys
import tempfile
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

from images.building.bases.content import blobs_of, config_of
from images.building.layers.write import write_wheel_layer
from images.building.locks.pylock import parse_lock
from images.building.locks.target import Target
from images.building.native.elf import read_elf
from images.errors import BuildError, RegistryError, WheelInvalid
from images.registry.distribution.descriptors import OCI_MANIFEST, Manifest, digest_of
from tests.fuzz.fuzzing import altered, damaged, damaged_text, fuzz
from tests.images.building.wheelmaker import make_wheel

pytestmark = pytest.mark.slow

PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"
DIGEST = "sha256:" + "a" * 64
MANIFEST = {
    "schemaVersion": 2,
    "mediaType": OCI_MANIFEST,
    "config": {
        "mediaType": "application/vnd.oci.image.config.v1+json",
        "digest": DIGEST,
        "size": 2,
    },
    "layers": [
        {"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": DIGEST, "size": 9}
    ],
    "annotations": {"a": "b"},
}
CONFIG = {
    "os": "linux",
    "architecture": "amd64",
    "config": {"Env": ["PATH=/usr/bin"], "User": "app", "WorkingDir": "/", "Labels": {"a": "b"}},
    "rootfs": {"type": "layers", "diff_ids": [DIGEST]},
}
LOCK = f"""lock-version = "1.0"
created-by = "uv"
requires-python = ">=3.11"

[[packages]]
name = "numpy"
version = "2.4.6"
dependencies = [{{ name = "six" }}]
wheels = [{{ url = "https://files.example/numpy-2.4.6-py3-none-any.whl", size = 9, hashes = {{ sha256 = "{"a" * 64}" }} }}]

[[packages]]
name = "six"
version = "1.17.0"
sdist = {{ url = "https://files.example/six-1.17.0.tar.gz", hashes = {{ sha256 = "{"b" * 64}" }} }}
wheels = [{{ name = "six-1.17.0-py2.py3-none-any.whl", url = "https://files.example/x", hashes = {{ sha256 = "{"c" * 64}" }} }}]
"""  # noqa: E501  (as uv writes it)


def whole_wheel() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        files = {
            "sample/__init__.py": b"VALUE = 1\n",
            "sample/data.bin": bytes(range(256)),
            "sample-1.0.data/scripts/run": b"#!python\nprint(1)\n",
            "sample-1.0.dist-info/entry_points.txt": b"[console_scripts]\nrun = sample:main\n",
        }
        return make_wheel(Path(folder), files=files).read_bytes()


def members(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def install(data: bytes) -> None:
    """A layer is made, or the wheel is refused and nothing is left."""
    folder = Path(tempfile.mkdtemp(prefix="ri-fuzz-"))
    try:
        wheel = folder / "sample-1.0-py3-none-any.whl"
        wheel.write_bytes(data)
        try:
            layer = write_wheel_layer([wheel], PYTHON, folder / "layer", bytecode=False)
        except WheelInvalid:
            assert not (folder / "layer").exists()
        else:
            assert layer.digest == digest_of((folder / "layer").read_bytes())
    finally:
        shutil.rmtree(folder)


def test_a_damaged_archive_is_refused_or_installed() -> None:
    fuzz(install, damaged(whole_wheel()))


def test_damaged_members_are_refused_or_installed() -> None:
    """The archive is whole, and what it says of itself is not."""
    whole = members(whole_wheel())
    names = st.sampled_from(sorted(whole))

    def attempt(name: str, other: str, data: bytes, named: str) -> None:
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as archive, suppress(ValueError):
            for member, content in whole.items():
                archive.writestr(
                    named if member == other and named else member,
                    data if member == name else content,
                )
        install(out.getvalue())

    pieces = damaged(whole["sample-1.0.dist-info/RECORD"]) | damaged(
        whole["sample-1.0.dist-info/entry_points.txt"]
    )
    odd = st.text(max_size=20) | st.sampled_from(("", "../x", "/x", "a//b", "sample/", "a\\b", "."))
    fuzz(attempt, names, names, pieces | st.binary(max_size=40), odd)


def manifest_of(value: Any) -> Manifest:
    raw = json.dumps(value).encode()
    return Manifest(raw, OCI_MANIFEST, digest_of(raw))


def test_altered_manifests_are_read_or_refused() -> None:
    def attempt(value: Any) -> None:
        with suppress(RegistryError, BuildError):
            for blob in blobs_of(manifest_of(value)):
                assert blob.digest == DIGEST or len(blob.digest) == len(DIGEST)

    fuzz(attempt, altered(MANIFEST))


def test_damaged_manifests_are_read_or_refused() -> None:
    def attempt(raw: bytes) -> None:
        with suppress(RegistryError, BuildError):
            blobs_of(Manifest(raw, OCI_MANIFEST, digest_of(raw)))

    fuzz(attempt, damaged(json.dumps(MANIFEST).encode()))


def test_altered_configurations_are_read_or_refused() -> None:
    def attempt(value: Any) -> None:
        with suppress(RegistryError, BuildError):
            config_of(json.dumps(value).encode())

    fuzz(attempt, altered(CONFIG))


def test_damaged_elf_files_are_read_or_left_alone() -> None:
    whole = Path(sys.executable).resolve().read_bytes()[:20_000]

    def attempt(data: bytes) -> None:
        read_elf(io.BytesIO(data), len(data))

    fuzz(attempt, damaged(whole))


def test_damaged_locks_are_read_or_refused() -> None:
    target = Target("3.11")

    def attempt(text: str, allow_source: bool) -> None:
        with suppress(BuildError):
            lock = parse_lock(text, target, allow_source=allow_source)
            for file in (*lock.wheels, *lock.sources):
                # What is taken of a lock is a name and an address, and never a path.
                assert "/" not in file.filename
                assert file.url.startswith(("https://", "http://"))
                assert len(file.sha256) == 64

    fuzz(attempt, damaged_text(LOCK), st.booleans())


@pytest.mark.parametrize("text", ["", "[", "packages = 1", 'lock-version = "1.0"\npackages = [1]'])
def test_locks_that_are_none_are_refused(text: str) -> None:
    with suppress(BuildError):
        parse_lock(text, Target("3.11"))
