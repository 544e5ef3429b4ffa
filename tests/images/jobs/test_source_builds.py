"""Source builds: in the base image, as nobody, with the package index and nothing else; then remembered."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.urls import reverse

from images.building import cache as caches
from images.building.containers import container
from images.building.containers.sandbox import take_file
from images.errors import SourceBuildFailed
from images.jobs import build as run
from images.models import BaseImage, BuildHost, BuiltWheel, CachedLayer, ManagedImage, Status
from images.models.lease import WorkState
from images.operations import builds
from images.operations.images import create_image
from images.requirement_files.configured import parse_pip_requirements
from images.spec import ImageSpec
from ri_platform.errors import Invalid
from tests import factories
from tests.builds import build_now, pulled, runs_in
from tests.cast import Cast
from tests.images.building.private_index import SECRET, private_index
from tests.images.building.wheelmaker import make_wheel
from tests.local_aws import LocalAWS
from tests.needs import needs
from workspaces.access import Actor
from workspaces.models import AuditEvent

needs_container = needs("confinement")
real = [
    needs_container,
    pytest.mark.slow,
    pytest.mark.network,
    pytest.mark.django_db(transaction=True),
]

# A build backend (PEP 517) of its own, which looks around and writes what it finds into the wheel.
BACKEND = """
import base64, hashlib, os, socket, zipfile

def reachable(host, port):
    try:
        socket.create_connection((host, port), 2).close()
        return True
    except OSError:
        return False

def hash_of(text):
    digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest())
    return "sha256=" + digest.decode().rstrip("=")

def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    import build_helper
    found = {
        "user": os.getuid(),
        "secrets": sorted(k for k in os.environ if k.startswith(("AWS_", "RI_", "DATABASE"))),
        "credentials": any("s3cr" in v for v in os.environ.values()),
        "worker": reachable("127.0.0.1", WORKER_PORT),
        "outside": reachable("192.0.2.1", 80),
        "devices": sorted(name for _, name in socket.if_nameindex()),
        "helper": build_helper.__name__,
        "given": os.access("/build/given", os.W_OK),
    }
    name = "curious_lib-1.0-py3-none-any.whl"
    info = "curious_lib-1.0.dist-info"
    files = {
        "curious_lib.py": f"FOUND = {found!r}\\n",
        f"{info}/METADATA": "Metadata-Version: 2.1\\nName: curious-lib\\nVersion: 1.0\\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\\nGenerator: x\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
    }
    with zipfile.ZipFile(os.path.join(wheel_directory, name), "w") as wheel:
        for path, text in files.items():
            wheel.writestr(path, text)
        lines = [f"{path},{hash_of(text)},{len(text)}" for path, text in files.items()]
        wheel.writestr(f"{info}/RECORD", "\\n".join([*lines, f"{info}/RECORD,,"]))
    return name
"""
PYPROJECT = """
[build-system]
requires = ["build-helper"]
build-backend = "backend"
backend-path = ["."]
[project]
name = "curious-lib"
version = "1.0"
"""


# What an outside review got root with. It runs while uv resolves, waits for the lock, stops uv, and gives
# the lock another file of its project under a name that leads out of the worker's folder.
ATTACK = """
import hashlib, os, re, signal, time, urllib.request

LOCK = "/build/out/pylock.toml"

def other_file():
    page = urllib.request.urlopen("http://127.0.0.1:3141/0/curious-lib/").read().decode()
    url = re.search(r'http://[^"]+curious_lib-0.9.tar.gz', page).group(0)
    return url, hashlib.sha256(urllib.request.urlopen(url).read()).hexdigest()

def meddle(uv, url, sha256):
    for _ in range(3_000_000):
        try:
            text = open(LOCK).read()
        except OSError:
            continue
        if "curious_lib-1.0.tar.gz" in text:
            os.kill(uv, signal.SIGSTOP)
            of = (url, sha256)
            sdist = 'sdist = { name = "ESCAPE", url = "%s", hashes = { sha256 = "%s" } }' % of
            open(LOCK, "w").write(re.sub(r"(?m)^sdist = .*$", sdist, text))
            os.kill(uv, signal.SIGCONT)
            return

def prepare_metadata_for_build_wheel(metadata_directory, config_settings=None):
    uv, found = os.getppid(), other_file()
    if os.fork() == 0:
        os.setsid()
        for descriptor in (0, 1, 2):
            os.close(descriptor)
        meddle(uv, *found)
        os._exit(0)
    info = os.path.join(metadata_directory, "curious_lib-1.0.dist-info")
    os.mkdir(info)
    with open(os.path.join(info, "METADATA"), "w") as file:
        file.write("Metadata-Version: 2.1\\nName: curious-lib\\nVersion: 1.0\\n")
    return "curious_lib-1.0.dist-info"
"""
DYNAMIC = PYPROJECT + 'dynamic = ["dependencies"]\n'


def make_sdist(folder: Path, **files: str) -> Path:
    path = folder / "curious_lib-1.0.tar.gz"
    info = "Metadata-Version: 2.1\nName: curious-lib\nVersion: 1.0\n"
    with tarfile.open(path, "w:gz") as tar:
        for name, text in {"PKG-INFO": info, "pyproject.toml": PYPROJECT, **files}.items():
            member = tarfile.TarInfo(f"curious_lib-1.0/{name}")
            member.size = len(text.encode())
            tar.addfile(member, io.BytesIO(text.encode()))
    return path


@pytest.fixture
def index(tmp_path: Path, registry: LocalAWS, settings: Any) -> Iterator[str]:
    """A private index with the curious library's source, which needs a helper to build."""
    port = registry.url.rpartition(":")[2]
    source = make_sdist(tmp_path, **{"backend.py": BACKEND.replace("WORKER_PORT", port)})
    with private_index(source, make_wheel(tmp_path, "build_helper")) as address:
        settings.PACKAGE_INDEX_URL = f"http://team:{SECRET}@{address}/simple"
        settings.CACHE_DIR = tmp_path / "cache"
        yield address


def ask(cast: Cast, name: str, requirements: str, *, allow_source: bool = False) -> ManagedImage:
    BuildHost.objects.get_or_create(name="here", queue="sources")
    wanted = tuple(parse_pip_requirements(requirements))
    spec = ImageSpec("all", "3.11", wanted, allow_source=allow_source)
    return create_image(Actor(cast.member), name, spec, workspace=cast.workspace)


def log_of(image: ManagedImage) -> str:
    build = image.builds.first()
    assert build is not None
    return "".join(chunk.text for chunk in build.log_chunks.all())


def with_marks(test: Any) -> Any:
    for mark in real:
        test = mark(test)
    return test


@with_marks
def test_what_has_no_wheel_is_built_when_somebody_says_so(
    cast: Cast, debian: BaseImage, registry: LocalAWS, tmp_path: Path
) -> None:
    image = build_now(registry, ask(cast, "old-docopt", "docopt==0.6.2"))
    assert (image.status, image.builds.get().error_code) == (Status.FAILED, "no_wheel")
    address = {"workspace_id": cast.workspace.pk, "name": image.name}
    page = cast.client(cast.member).get(reverse("image", kwargs=address)).content.decode()
    assert "Build from source" in page
    answer = cast.client(cast.member).post(reverse("build_from_source", kwargs=address))
    assert answer.status_code == 302
    image = build_now(registry, image)
    build = image.builds.first()
    assert build is not None
    assert image.status == Status.READY, f"{build.error_message} {build.error_hint}"
    assert runs_in(
        pulled(registry, image, tmp_path),
        "python3",
        "-c",
        "import docopt; print(docopt.__version__)",
    )
    assert 'name = "docopt"' in build.lock
    assert "127.0.0.1" not in build.lock
    assert BuiltWheel.objects.get().filename == "docopt-0.6.2-py2.py3-none-any.whl"
    assert "sources" in build.timings
    event = AuditEvent.objects.get(event="image.source_builds_allowed")
    assert (event.user, event.details["build"]) == (cast.member, 2)
    again = build_now(registry, ask(cast, "docopt-too", "docopt==0.6.2", allow_source=True))
    assert again.status == Status.READY
    assert "was built of docopt-0.6.2.tar.gz before" in log_of(again)
    assert "mounted docopt 0.6.2" in log_of(again)


@with_marks
def test_a_build_backend_reaches_the_index_and_nothing_else(
    index: str, cast: Cast, debian: BaseImage, registry: LocalAWS, tmp_path: Path
) -> None:
    image = build_now(registry, ask(cast, "curious", "curious-lib", allow_source=True))
    build = image.builds.get()
    assert image.status == Status.READY, f"{build.error_message} {log_of(image)}"
    root = pulled(registry, image, tmp_path)
    said = runs_in(root, "python3", "-c", "import curious_lib; print(curious_lib.FOUND)")
    assert said == str(
        {
            "user": 65534,
            "secrets": [],
            "credentials": False,
            "worker": False,
            "outside": False,
            "devices": ["lo"],
            "helper": "build_helper",
            "given": False,
        }
    )
    assert f"http://{index}/files/curious_lib-1.0.tar.gz" in build.lock
    assert "s3cr" not in build.lock + log_of(image)


@with_marks
def test_a_lock_rewritten_by_build_code_writes_nothing_outside(
    cast: Cast, debian: BaseImage, registry: LocalAWS, settings: Any, tmp_path: Path
) -> None:
    settings.CACHE_DIR = tmp_path / "cache"
    escaped = tmp_path / "site-packages" / "x.pth"
    backend = BACKEND.replace("WORKER_PORT", "1") + ATTACK.replace(
        "ESCAPE", f"{'../' * 12}{str(escaped).lstrip('/')}"
    )
    source = make_sdist(tmp_path, **{"backend.py": backend, "pyproject.toml": DYNAMIC})
    payload = tmp_path / "curious_lib-0.9.tar.gz"
    payload.write_bytes(b"import os; os.system('id')\n")
    with private_index(source, payload, make_wheel(tmp_path, "build_helper")) as address:
        settings.PACKAGE_INDEX_URL = f"http://team:{SECRET}@{address}/simple"
        image = build_now(registry, ask(cast, "rooted", "curious-lib", allow_source=True))
    build = image.builds.get()
    assert not list(tmp_path.rglob("x.p*"))
    # Either the rewriting came too late, or the lock is refused: it never names what build code made up.
    assert "x.pth" not in build.lock
    assert (image.status, build.error_code) in (
        (Status.READY, ""),
        (Status.FAILED, "source_build_failed"),
    )


@with_marks
def test_a_built_wheel_that_is_lost_everywhere_is_built_again(
    index: str, cast: Cast, debian: BaseImage, registry: LocalAWS, settings: Any, tmp_path: Path
) -> None:
    first = build_now(registry, ask(cast, "first", "curious-lib", allow_source=True))
    assert first.status == Status.READY
    # An empty worker, and a registry that holds the remembered layer no more.
    settings.CACHE_DIR = tmp_path / "another"
    CachedLayer.objects.filter(title__startswith="curious-lib").update(digest=factories.digest("x"))
    second = build_now(registry, ask(cast, "second", "curious-lib", allow_source=True))
    assert second.status == Status.READY, log_of(second)
    assert "no longer kept. It is built again." in log_of(second)


@with_marks
def test_build_code_may_not_use_what_the_lists_keep_out(
    index: str, cast: Cast, debian: BaseImage, registry: LocalAWS, settings: Any
) -> None:
    settings.PACKAGE_DENY = ["build-helper"]
    image = build_now(registry, ask(cast, "forbidden", "curious-lib", allow_source=True))
    build = image.builds.get()
    assert (build.error_code, build.error_message.split(".")[0]) == (
        "package_not_allowed",
        "build-helper is not allowed on this instance",
    )


@with_marks
def test_build_code_that_fails_while_resolving_is_told_as_that(
    cast: Cast, debian: BaseImage, registry: LocalAWS, settings: Any, tmp_path: Path
) -> None:
    backend = "import subprocess\nsubprocess.run(['mysql_config'], check=True)\n"
    source = make_sdist(tmp_path, **{"backend.py": backend, "pyproject.toml": DYNAMIC})
    with private_index(source, make_wheel(tmp_path, "build_helper")) as address:
        settings.PACKAGE_INDEX_URL = f"http://team:{SECRET}@{address}/simple"
        image = build_now(registry, ask(cast, "no-mysql", "curious-lib", allow_source=True))
    build = image.builds.get()
    assert build.error_code == "source_build_failed"
    assert build.error_message.startswith("curious-lib 1.0 has no wheel, and its build code")
    assert "failed while the libraries were resolved" in build.error_message
    assert build.error_hint.startswith("It lacks mysql_config: name default-libmysqlclient-dev ")


@with_marks
def test_the_os_package_that_a_build_lacked_is_named(
    cast: Cast, debian: BaseImage, registry: LocalAWS
) -> None:
    image = build_now(registry, ask(cast, "no-psql", "psycopg2==2.9.9", allow_source=True))
    build = image.builds.get()
    assert build.error_code == "source_build_failed"
    assert "psycopg2 2.9.9 cannot be built from its source distribution" in build.error_message
    hint = "It lacks pg_config: name libpq-dev under OS packages, and build again."
    assert build.error_hint == hint


@with_marks
def test_a_failing_backend_is_told_with_its_words(
    cast: Cast, debian: BaseImage, registry: LocalAWS, settings: Any, tmp_path: Path
) -> None:
    source = make_sdist(tmp_path, **{"backend.py": "raise SystemExit('no compiler found')"})
    with private_index(source, make_wheel(tmp_path, "build_helper")) as address:
        settings.PACKAGE_INDEX_URL = f"http://team:{SECRET}@{address}/simple"
        settings.CACHE_DIR = tmp_path / "cache"
        image = build_now(registry, ask(cast, "broken", "curious-lib", allow_source=True))
    build = image.builds.get()
    assert build.error_code == "source_build_failed"
    assert "curious-lib 1.0 cannot be built from its source distribution" in build.error_message
    assert "no compiler found" in build.error_message
    assert "OS packages" in build.error_hint
    assert not BuiltWheel.objects.exists()
    kept = [path.name for path in caches.caches().wheels._folder.rglob("*")]
    assert not [name for name in kept if name.startswith("curious") and name.endswith(".whl")]


# --- what a build leaves is not trusted -------------------------------------------------------------------


def test_no_link_or_pipe_leads_the_worker_elsewhere(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("of the host")
    (tmp_path / "link").symlink_to(secret)
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name in ("link", "pipe", "folder", "missing"):
        with pytest.raises(SourceBuildFailed):
            take_file(tmp_path / name, tmp_path / "copy", 100)
        assert not (tmp_path / "copy").exists()
    with pytest.raises(SourceBuildFailed, match="larger than it may be"):
        take_file(secret, tmp_path / "copy", 3)
    take_file(secret, tmp_path / "copy", 100)
    assert (tmp_path / "copy").read_text() == "of the host"


# --- where it is not to be had ----------------------------------------------------------------------------


@pytest.mark.slow
def test_a_worker_that_cannot_confine_leaves_such_builds_to_others(
    base: BaseImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(container, "confinement_problem", lambda: "It cannot.")
    image = factories.make_image("needs", base=base, status=Status.BUILDING_FIRST_TIME)
    build = image.builds.get()
    image.builds.update(spec=replace(build.spec, allow_source=True))
    run.run(build.pk)
    build.refresh_from_db()
    assert (build.state, build.attempts) == (WorkState.QUEUED, 0)


def test_a_build_of_wheels_alone_does_not_pay_for_trying_a_sandbox(
    base: BaseImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def tried(kind: str) -> str:
        raise AssertionError(f"a sandbox was tried: {kind}")

    monkeypatch.setattr(container, "_trials", container.Trials())
    monkeypatch.setattr(container, "trial", tried)
    image = factories.make_image("plain", base=base, status=Status.BUILDING_FIRST_TIME)
    assert image.builds.get() in run.startable()
    image.builds.update(spec=replace(image.spec, allow_source=True))
    with pytest.raises(AssertionError, match="a sandbox was tried"):
        run.startable()


@pytest.mark.slow
def test_an_instance_may_forbid_it(cast: Cast, base: BaseImage, settings: Any) -> None:
    BuildHost.objects.create(name="able", queue="sources")
    image = factories.make_image(
        "old", base=base, status=Status.FAILED, error_code="no_wheel", error_message="No wheel."
    )
    address = {"workspace_id": cast.workspace.pk, "name": image.name}
    page = reverse("image", kwargs=address)
    assert b"Build from source" in cast.client(cast.admin).get(page).content
    settings.SOURCE_BUILDS_ALLOWED = False
    assert b"Build from source" not in cast.client(cast.admin).get(page).content
    with pytest.raises(Invalid, match="turned off on this instance"):
        builds.build_from_source(Actor(cast.admin), image)
    with pytest.raises(Invalid, match="turned off on this instance"):
        ask(cast, "another", "docopt", allow_source=True)
