"""Images of a lock that somebody brought, and of indexes with names: built, pushed, and told where from."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from packaging.utils import canonicalize_name

from images.attestations import recorded_facts, sbom
from images.indexes import indexes_of
from images.models import BaseImage, ManagedImage, Status
from images.operations.images import create_image
from images.queries.file_requirements import locked_by, read_for_image
from images.requirement_files import Supplied, SuppliedFile
from images.requirements import PipRequirement
from images.spec import ImageSpec
from tests.builds import build_now, pulled, runs_in
from tests.cast import Cast
from tests.images.building.private_index import SECRET, index_of, private_index
from tests.images.building.wheelmaker import make_wheel
from tests.local_aws import LocalAWS
from workspaces.access import Actor

pytestmark = [pytest.mark.slow, pytest.mark.network, pytest.mark.django_db(transaction=True)]


def log_of(image: ManagedImage) -> str:
    build = image.builds.latest("number")
    return "".join(chunk.text for chunk in build.log_chunks.all())


def indexes_in_sbom(image: ManagedImage) -> dict[str, str]:
    assert image.current_build is not None
    found = json.loads(sbom(recorded_facts(image.current_build, image.name)))["components"]
    return {
        item["name"]: entry["value"]
        for item in found
        for entry in item.get("properties", [])
        if entry["name"] == "ri-platform:index"
    }


def pylock(*wheels: Path) -> str:
    packages = []
    for wheel in wheels:
        name, version, *_ = wheel.name.split("-")
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        packages.append(
            f'[[packages]]\nname = "{canonicalize_name(name)}"\nversion = "{version}"\n'
            f'wheels = [{{ name = "{wheel.name}", url = "https://away.example/{wheel.name}", '
            f'hashes = {{ sha256 = "{digest}" }} }}]\n'
        )
    return 'lock-version = "1.0"\ncreated-by = "uv"\n' + "".join(packages)


def of_file(cast: Cast, name: str, file: str, text: str) -> ManagedImage:
    supplied = Supplied((SuppliedFile(file, text),))
    read = read_for_image(supplied, "all", "3.11")
    spec = ImageSpec("all", "3.11", read.requirements(), indexes=read.indexes)
    return create_image(Actor(cast.member), name, spec, workspace=cast.workspace, supplied=supplied)


def test_a_lock_is_built_as_it_is_or_says_what_does_not_hold(
    cast: Cast, debian: BaseImage, registry: LocalAWS, settings: Any, tmp_path: Path
) -> None:
    locked = make_wheel(tmp_path, "locked_lib", "1.0", {"locked_lib.py": b"VALUE = 1\n"})
    newer = make_wheel(tmp_path, "locked_lib", "2.0", {"locked_lib.py": b"VALUE = 2\n"})
    with index_of(locked, newer) as address:
        settings.PACKAGE_INDEX_URL = f"http://{address}/simple"
        image = build_now(registry, of_file(cast, "locked", "pylock.toml", pylock(locked)))
        assert image.status == Status.READY, log_of(image)
        assert locked_by(image) == "pylock.toml"
        assert "pylock.toml locks all libraries." in log_of(image)
        assert "locked-lib 1.0 from default" in log_of(image)
        # The same name and version with other content is another file.
        text = pylock(locked).replace(hashlib.sha256(locked.read_bytes()).hexdigest(), "0" * 64)
        other = build_now(registry, of_file(cast, "altered", "pylock.toml", text))
    build = other.builds.get()
    assert (other.status, build.error_code) == (Status.FAILED, "lock_does_not_hold")
    assert "0" * 64 in build.error_message
    root = pulled(registry, image, tmp_path)
    assert runs_in(root, "python", "-c", "import locked_lib; print(locked_lib.VALUE)") == "1"


def test_lock_sbom_and_log_name_the_index_and_never_the_password(
    cast: Cast, debian: BaseImage, registry: LocalAWS, settings: Any, tmp_path: Path
) -> None:
    for folder in ("public", "cpu"):
        (tmp_path / folder).mkdir()
    public = make_wheel(tmp_path / "public", "torchlike", "2.1.0")
    plain = make_wheel(tmp_path / "public", "plainlib", "1.0")
    cpu = make_wheel(tmp_path / "cpu", "torchlike", "2.1.0+cpu")
    with index_of(public, plain) as main, private_index(cpu) as other:
        settings.PACKAGE_INDEX_URL = f"http://{main}/simple"
        settings.PACKAGE_EXTRA_INDEX_URLS = [f"torch-cpu=http://team:{SECRET}@{other}/simple"]
        settings.PACKAGE_EXPLICIT_INDEXES = ["torch-cpu"]
        wanted = (PipRequirement("torchlike", index="torch-cpu"), PipRequirement("plainlib"))
        spec = ImageSpec("all", "3.11", wanted)
        image = create_image(Actor(cast.member), "cpu", spec, workspace=cast.workspace)
        image = build_now(registry, image)
        assert image.status == Status.READY, log_of(image)
        options = f"--extra-index-url http://{other}/simple\ntorchlike\n"
        whole = build_now(registry, of_file(cast, "whole", "requirements.txt", options))
    build = image.current_build
    assert build is not None
    expected = {"torchlike": "torch-cpu", "plainlib": "default"}
    assert indexes_of(build.lock) == indexes_in_sbom(image) == expected
    assert "torchlike 2.1.0+cpu from torch-cpu" in log_of(image)
    assert "%2Bcpu" in build.lock
    for text in (build.lock, log_of(image), json.dumps(build.spec.as_json())):
        assert "s3cr" not in text
    # An explicit index that the file names gives any library of its image.
    assert "torchlike 2.1.0+cpu from torch-cpu" in log_of(whole)
