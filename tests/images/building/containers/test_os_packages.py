"""OS packages: commands, layers and the limits of what a container leaves behind."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path

import pytest

from images.building.commands import TimedOut, run_streaming
from images.building.containers import container, os_packages
from images.building.layers.tree import write_tree_layer
from images.errors import BuildError
from images.os_families import family_of
from images.requirements import OSPackage, RequirementErrors, parse_os_packages


@pytest.mark.parametrize("line", ["openssl-", "lib.*", "-o=x", "a b", "$(reboot)", "./x.deb"])
def test_a_name_with_a_meaning_of_its_own_is_refused(line: str) -> None:
    with pytest.raises(RequirementErrors, match="Line 1"):
        parse_os_packages(line)


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
    assert {member.mtime for member in members.values()} == {315_532_800}


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
        files=lambda *_: nullcontext([tmp_path]), family=family_of("", ["rocky"]), work=tmp_path,
        destination=tmp_path / "layer", log=lambda line: None, check=lambda: None,
    )  # fmt: skip
    assert asked[0] == [
        "dnf", "-y", "install", "--setopt=install_weak_deps=False", "--nodocs", "libgomp-11.4", "jq",
    ]  # fmt: skip
    assert asked[1][:2] == ["rpm", "-qa"]
    assert installed == (("bash", "5.1.8-9.el9"), ("jq", "1.6-17.el9"))


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
