"""OS packages: really installed by apt in buildah, one remembered layer, refused where it cannot be."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.urls import reverse

from images.api import present
from images.building.commands import TimedOut, run_streaming
from images.building.containers import container, os_packages
from images.building.layers.tree import write_tree_layer
from images.errors import BuildError
from images.jobs import build as run
from images.models import BaseImage, BuildHost, ManagedImage, Status
from images.models.lease import WorkState
from images.operations.images import create_image
from images.os_families import family_of
from images.requirements import OSPackage, RequirementErrors, parse_os_packages
from images.spec import ImageSpec
from tests import factories
from tests.builds import build_now, pulled, runs_in
from tests.cast import Cast
from tests.local_aws import LocalAWS
from tests.needs import needs
from workspaces.access import Actor

needs_buildah = needs("containers")
real = [pytest.mark.slow, pytest.mark.network, pytest.mark.django_db(transaction=True)]


def apply(marks: list[Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    def decorate(test: Callable[..., None]) -> Callable[..., None]:
        for mark in marks:
            test = mark(test)
        return test

    return decorate


def ask_packages(cast: Cast, name: str, packages: str) -> ManagedImage:
    BuildHost.objects.get_or_create(name="here")
    return create_image(
        Actor(cast.member),
        name,
        ImageSpec("all", "3.11", os_packages=tuple(parse_os_packages(packages))),
    )


@needs_buildah
@apply(real)
def test_a_package_is_installed_and_its_layer_is_shared(
    cast: Cast, debian: BaseImage, registry: LocalAWS, tmp_path: Path
) -> None:
    image = build_now(registry, ask_packages(cast, "with-jq", "jq"))
    build = image.builds.get()
    assert image.status == Status.READY, f"{build.error_message} {build.error_hint}"
    log = "".join(chunk.text for chunk in build.log_chunks.all())
    assert "Setting up jq" in log
    root = pulled(registry, image, tmp_path)
    assert runs_in(root, "jq", "--version").startswith("jq-")
    assert not list((root / "var/lib/apt/lists").glob("*Packages*"))
    assert not list((root / "var/cache/apt").glob("*.bin"))
    layer = build.layers.get(layer__title="OS packages: jq").layer
    assert layer.size_bytes < 3_000_000
    second = build_now(registry, ask_packages(cast, "with-jq-too", "jq"))
    again = "".join(c.text for c in second.builds.get().log_chunks.all())
    assert "mounted OS packages: jq" in again
    assert "Setting up jq" not in again


@needs_buildah
@apply(real)
@pytest.mark.parametrize("packages", ["ri-no-such-package", "jq=0.0.1-nothing", "libjq."])
def test_what_the_system_does_not_offer_fails_with_its_words(
    packages: str,
    cast: Cast,
    debian: BaseImage,
    registry: LocalAWS,
    settings: Any,
    tmp_path: Path,
) -> None:
    # A path may hold characters that the name of an image may not.
    settings.CACHE_DIR = tmp_path / "Cache_"
    image = build_now(registry, ask_packages(cast, f"bad-{len(packages)}", packages))
    build = image.builds.get()
    assert (image.status, build.error_code) == (Status.FAILED, "build_failed")
    assert "The OS packages cannot be installed. E: " in build.error_message


@pytest.mark.parametrize("line", ["openssl-", "lib.*", "-o=x", "a b", "$(reboot)", "./x.deb"])
def test_a_name_with_a_meaning_of_its_own_is_refused(line: str) -> None:
    with pytest.raises(RequirementErrors, match="Line 1"):
        parse_os_packages(line)


def test_a_worker_without_buildah_leaves_such_builds_to_others(
    base: BaseImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(container, "problem", lambda: "buildah is not installed.")
    image = factories.make_image("needs", base=base, status=Status.BUILDING_FIRST_TIME)
    build = image.builds.get()
    image.builds.update(spec=replace(build.spec, os_packages=(OSPackage("jq"),)))
    run.run(build.pk)
    build.refresh_from_db()
    assert (build.state, build.attempts) == (WorkState.QUEUED, 0)


@pytest.mark.parametrize(
    ("problems", "words"),
    [
        ([], b"while no builds worker is running"),
        (["buildah is not installed on the builds workers."], b"buildah is not installed"),
    ],
)
def test_the_form_refuses_with_the_reason_where_no_worker_can(
    problems: list[str], words: bytes, cast: Cast, base: BaseImage
) -> None:
    for problem in problems:
        BuildHost.objects.create(name="host", os_packages_problem=problem)
    url = reverse("new_image", kwargs={"workspace_id": cast.workspace.pk})
    assert words in cast.client(cast.member).get(url).content
    answer = cast.client(cast.member).post(
        url,
        {"name": "x1", "image_type": "all", "python_version": "3.11",
         "pip_requirements": "numpy", "os_packages": "jq"},
    )  # fmt: skip
    assert answer.status_code == 422
    BuildHost.objects.create(name="able")
    assert words not in cast.client(cast.member).get(url).content


# --- what the parts do ------------------------------------------------------------------------------------


def test_the_changed_files_become_the_same_layer_each_time(tmp_path: Path) -> None:
    upper = tmp_path / "upper"
    (upper / "usr/bin").mkdir(parents=True)
    tool = upper / "usr/bin/tool"
    tool.write_bytes(b"elf")
    tool.chmod(0o4755)
    (upper / "usr/bin/same").hardlink_to(tool)
    (upper / "usr/bin/link").symlink_to("tool")
    if os.geteuid() == 0:
        os.mknod(upper / "usr/gone", 0o020000, os.makedev(0, 0))
    first = write_tree_layer(upper, tmp_path / "first")
    os.utime(tool, (1, 1))
    second = write_tree_layer(upper, tmp_path / "second")
    assert first.digest == second.digest
    with tarfile.open(first.path) as tar:
        members = {member.name: member for member in tar}
    assert members["usr/bin/tool"].mode == 0o4755 or members["usr/bin/tool"].islnk()
    assert {members["usr/bin/tool"].islnk(), members["usr/bin/same"].islnk()} == {True, False}
    assert members["usr/bin/link"].linkname == "tool"
    if os.geteuid() == 0:
        assert members["usr/.wh.gone"].size == 0
    assert {member.mtime for member in members.values()} == {0}


def test_a_command_streams_its_words_and_is_ended_when_the_build_must() -> None:
    said: list[str] = []
    environment = {"PATH": os.environ["PATH"]}
    status = run_streaming(
        ["sh", "-c", "echo one; echo two >&2; exit 3"],
        log=said.append, check=lambda: None, timeout=10, environment=environment,
    )  # fmt: skip
    assert (status, said) == (3, ["one", "two"])
    with pytest.raises(TimedOut):
        run_streaming(
            ["sleep", "60"],
            log=said.append, check=lambda: None, timeout=0.3, environment=environment,
        )  # fmt: skip


def test_dnf_is_asked_on_systems_that_have_it_and_what_it_installed_is_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[str]] = []

    class Recorder:
        def __init__(self, *arguments: object) -> None:
            (tmp_path / "upper").mkdir()

        def run(self, command: Sequence[str], *, log: Callable[[str], None] | None = None) -> None:
            asked.append(list(command))
            if log is not None:
                for line in ("warning: odd", "jq|1.6-17.el9", "gpg-pubkey|1-2", "bash|5.1.8-9.el9"):
                    log(line)

        def upper(self) -> Path:
            return tmp_path / "upper"

    monkeypatch.setattr(os_packages, "Container", Recorder)
    monkeypatch.setattr(container, "problem", lambda: "")
    _, installed = os_packages.install(
        [OSPackage("libgomp", "11.4"), OSPackage("jq")],
        layout=tmp_path, family=family_of("", ["rocky"]), work=tmp_path,
        destination=tmp_path / "layer", log=lambda line: None, check=lambda: None,
    )  # fmt: skip
    assert asked[0] == [
        "dnf", "-y", "install", "--setopt=install_weak_deps=False", "--nodocs", "libgomp-11.4", "jq",
    ]  # fmt: skip
    assert asked[1][:2] == ["rpm", "-qa"]
    assert installed == (("bash", "5.1.8-9.el9"), ("jq", "1.6-17.el9"))


@pytest.mark.parametrize(
    ("recorded", "system", "family", "package_type"),
    [
        ("debian", "debian", "debian", "PACKAGE_TYPE_APT"),
        ("", "ubuntu", "debian", "PACKAGE_TYPE_APT"),
        ("rhel", "rocky", "rhel", "PACKAGE_TYPE_ROCKYLINUX"),
        ("", "almalinux", "rhel", "PACKAGE_TYPE_ROCKYLINUX"),
    ],
)
def test_the_family_of_a_base_decides_the_type_of_its_packages(
    recorded: str, system: str, family: str, package_type: str
) -> None:
    base = BaseImage(os_family=recorded, os_id=system)
    assert base.packages_by is not None
    assert base.packages_by.name == family
    spec = ImageSpec("all", "3.11", (), (OSPackage("jq"),))
    told = present.spec(spec, base)["package_requirements"]
    assert [package["package_type"] for package in told] == [package_type]


def test_a_system_of_no_family_has_no_package_type() -> None:
    assert BaseImage(os_family="other", os_id="alpine").packages_by is None


def test_buildah_sees_nothing_of_the_workers_secrets() -> None:
    given = container.environment(
        {"PATH": "/bin", "AWS_SECRET_ACCESS_KEY": "s", "RI_SECRET_KEY": "s", "DATABASE_URL": "s"}
    )
    assert given == {"PATH": "/bin"}
    worker = {"https_proxy": "http://proxy:3128", "AWS_SECRET_ACCESS_KEY": "s", "HOME": "/root"}
    assert container.proxies(worker) == {"https_proxy": "http://proxy:3128"}


def test_a_link_in_the_container_does_not_lead_to_files_of_this_machine(tmp_path: Path) -> None:
    """What packages leave is cleaned up and read by the worker, as root and outside of the container."""
    host, upper = tmp_path / "host", tmp_path / "upper"
    (host / "log").mkdir(parents=True)
    (host / "log" / "mine.log").write_text("mine")
    (upper / "etc").mkdir(parents=True)
    (upper / "var").symlink_to(host)
    assert [path.name for path in upper.glob("var/log/*.log")] == ["mine.log"]
    assert not os_packages.is_inside(upper, upper / "var/log/mine.log")
    assert os_packages.is_inside(upper, upper / "etc/x")


def test_a_package_brings_no_file_that_deletes_others(tmp_path: Path) -> None:
    (tmp_path / "upper").mkdir()
    (tmp_path / "upper" / ".wh.etc").write_text("")
    with pytest.raises(BuildError, match="no image can hold"):
        write_tree_layer(tmp_path / "upper", tmp_path / "layer")
