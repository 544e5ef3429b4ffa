"""Source distributions that attack: what their build code leaves, takes or says stays its own."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from images.building import cache as caches
from images.models import BaseImage, BuildHost, BuiltWheel, ManagedImage, Status
from images.operations.images import create_image
from images.requirement_files.configured import parse_pip_requirements
from images.spec import ImageSpec
from tests.builds import build_now
from tests.cast import Cast
from tests.images.building.private_index import SECRET, private_index
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

# A build backend as a library of its own, as setuptools is: whoever could edit it wrote all wheels.
HELPER = """
import base64, hashlib, os, zipfile

ADDED = {}

def hash_of(text):
    digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest())
    return "sha256=" + digest.decode().rstrip("=")

def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    name = os.path.basename(os.getcwd()).rpartition("-")[0]
    info = f"{name}-1.0.dist-info"
    files = {
        f"{name}.py": "VALUE = 1\\n", **ADDED,
        f"{info}/METADATA": f"Metadata-Version: 2.1\\nName: {name}\\nVersion: 1.0\\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\\nGenerator: x\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
    }
    lines = [f"{path},{hash_of(text)},{len(text)}" for path, text in files.items()]
    files[f"{info}/RECORD"] = "\\n".join([*lines, f"{info}/RECORD,,"])
    wheel = f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(os.path.join(wheel_directory, wheel), "w") as archive:
        for path, text in files.items():
            archive.writestr(zipfile.ZipInfo(path, (1980, 1, 1, 0, 0, 0)), text)
    return wheel
"""
# Edits every copy of the helper that it can reach, now and for as long as it can stay.
POISON = """
import os, subprocess, sys
EDIT = '''
import os, sys, time
until = time.time() + float(sys.argv[1])
while True:
    for root in ("/tmp", "/dev/shm", "/var/tmp", "/build", "/root", "/home", "/usr/lib", "/proc/1/root/tmp"):
        for folder, _, names in os.walk(root):
            for name in names:
                path = os.path.join(folder, name)
                try:
                    if name == "build_helper.py":
                        text = open(path).read()
                        if "poisoned" not in text:
                            os.unlink(path) if os.stat(path).st_nlink > 9 else None
                            open(path, "a").write("ADDED['poisoned.py'] = 'POISONED = 1'\\\\n")
                    if name.endswith((".whl", ".tar.gz")) and "victim" in name:
                        os.unlink(path)
                except OSError:
                    pass
    for place in ("/tmp", "/dev/shm", "/var/tmp"):
        try:
            open(os.path.join(place, "left"), "w").write("x")
        except OSError:
            pass
    if time.time() > until:
        break
    time.sleep(0.2)
'''
import build_helper
def build_wheel(*arguments):
    wheel = build_helper.build_wheel(*arguments)
    subprocess.call([sys.executable, "-c", EDIT, "0"])
    subprocess.Popen([sys.executable, "-c", EDIT, "120"], start_new_session=True,
                     stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return wheel
"""
# Tells of itself in its wheel whatever somebody before has left where all could write once.
VICTIM = """
import build_helper, os
def build_wheel(*arguments):
    for place in ("/tmp/left", "/dev/shm/left", "/var/tmp/left"):
        if os.path.exists(place):
            build_helper.ADDED["left.py"] = place
    return build_helper.build_wheel(*arguments)
"""
SHOUT = """
def build_wheel(*arguments):
    for _ in range(2500):
        print("x" * 99_999)
    raise SystemExit("said all of it")
"""


def make_source(folder: Path, name: str, backend: str) -> Path:
    """A source distribution whose backend, in its own tree, is this text."""
    path = folder / f"{name}-1.0.tar.gz"
    pyproject = (
        '[build-system]\nrequires = ["build-helper"]\nbuild-backend = "backend"\n'
        f'backend-path = ["."]\n[project]\nname = "{name}"\nversion = "1.0"\n'
    )
    files = {
        "PKG-INFO": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        "pyproject.toml": pyproject,
        "backend.py": backend,
    }
    with tarfile.open(path, "w:gz") as tar:
        for member_name, text in files.items():
            member = tarfile.TarInfo(f"{name}-1.0/{member_name}")
            member.size = len(text.encode())
            tar.addfile(member, io.BytesIO(text.encode()))
    return path


@pytest.fixture
def index(tmp_path: Path, settings: Any) -> Iterator[None]:
    helper = make_wheel(tmp_path, "build_helper", files={"build_helper.py": HELPER.encode()})
    sources = [
        make_source(tmp_path, "abuser", POISON),
        make_source(tmp_path, "bandit", POISON),
        make_source(tmp_path, "shouter", SHOUT),
        make_source(tmp_path, "victim", VICTIM),
    ]
    with private_index(helper, *sources) as address:
        settings.PACKAGE_INDEX_URL = f"http://team:{SECRET}@{address}/simple"
        settings.CACHE_DIR = tmp_path / "cache"
        yield


def ask(cast: Cast, name: str, requirements: str) -> ManagedImage:
    BuildHost.objects.get_or_create(name="here", queue="sources")
    return create_image(
        Actor(cast.member),
        name,
        ImageSpec("all", "3.11", tuple(parse_pip_requirements(requirements)), allow_source=True),
        workspace=cast.workspace,
    )


def wheel_of_victim() -> BuiltWheel:
    return BuiltWheel.objects.get(filename__startswith="victim-")


def test_two_hostile_sources_leave_no_trace_in_a_victim(
    index: None, cast: Cast, debian: BaseImage, registry: LocalAWS, settings: Any, tmp_path: Path
) -> None:
    image = build_now(registry, ask(cast, "victim-together", "abuser\nbandit\nvictim"))
    build = image.builds.get()
    assert image.status == Status.READY, f"{build.error_message} {build.error_hint}"
    together = wheel_of_victim()
    # Whatever lives on where theirs was built is still at it.
    BuiltWheel.objects.all().delete()
    settings.CACHE_DIR = tmp_path / "another"
    alone = build_now(registry, ask(cast, "victim-alone", "victim"))
    assert alone.status == Status.READY
    assert (wheel_of_victim().sha256, wheel_of_victim().key) == (together.sha256, together.key)
    names = set(alone.builds.get().libraries.values_list("name", flat=True))
    assert "victim" in names
    kept = caches.caches().wheels._folder.rglob("*")
    assert b"POISONED" not in b"".join(path.read_bytes() for path in kept if path.is_file())


def test_what_a_wheel_was_built_with_is_part_of_what_it_is_remembered_by(
    index: None, cast: Cast, debian: BaseImage, registry: LocalAWS, settings: Any, tmp_path: Path
) -> None:
    first = build_now(registry, ask(cast, "victim-first", "victim"))
    assert first.status == Status.READY
    before = wheel_of_victim()
    assert [name for name, _, _ in before.build_requirements] == ["build-helper"]
    later = tmp_path / "later"
    later.mkdir()
    other = make_wheel(
        later, "build_helper", files={"build_helper.py": (HELPER + "# another\n").encode()}
    )
    with private_index(other, make_source(later, "victim", VICTIM)) as address:
        settings.PACKAGE_INDEX_URL = f"http://team:{SECRET}@{address}/simple"
        second = build_now(registry, ask(cast, "victim-second", "victim"))
    log = "".join(chunk.text for chunk in second.builds.get().log_chunks.all())
    assert second.status == Status.READY, log
    assert "Building victim-1.0.tar.gz in the base image, with build-helper 1.0" in log
    keys = set(BuiltWheel.objects.values_list("key", flat=True))
    assert len(keys) == 2
    assert before.key in keys


def test_a_source_that_shouts_is_stopped_with_an_error_of_its_own(
    index: None, cast: Cast, debian: BaseImage, registry: LocalAWS, settings: Any
) -> None:
    settings.BUILD_OUTPUT_BYTES = 2_000_000
    image = build_now(registry, ask(cast, "victim-loud", "shouter"))
    build = image.builds.get()
    assert (image.status, build.error_code) == (Status.FAILED, "too_much_output")
    assert "RI_BUILD_OUTPUT_MB" in build.error_hint
    assert sum(len(chunk.text) for chunk in build.log_chunks.all()) < 2_100_000
