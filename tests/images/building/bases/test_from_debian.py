"""Base images of a Debian suite: with mmdebstrap, and without it, without root, in a private home."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import stat
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from images.building.bases import from_debian, mmdebstrap, unpacked_debian
from images.building.bases.content import inspect
from images.building.bases.inspection import dpkg_packages
from images.errors import BaseImageUnusable
from tests.needs import needs

NOBODY = 65534


def nothing() -> None:
    """Nothing has to be checked here."""


def unheard(line: str) -> None:
    """For lines of no interest."""


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH with nothing on it but what a test links there."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def put(programs: Path, *names: str) -> None:
    for name in names:
        (programs / name).write_text("#!/bin/sh\n")
        (programs / name).chmod(0o755)


@pytest.fixture
def ordinary(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1234)
    monkeypatch.setattr("getpass.getuser", lambda: "newcomer")


# --- whether mmdebstrap can work ---------------------------------------------------------------------------


def test_without_mmdebstrap_it_says_what_to_install(programs: Path, ordinary: None) -> None:
    problem = mmdebstrap.problem()
    assert problem is not None
    assert "mmdebstrap is not installed" in problem.reason
    assert problem.to_do == "Install it: apt-get install mmdebstrap uidmap."


def test_an_ordinary_user_is_told_of_newuidmap(programs: Path, ordinary: None) -> None:
    put(programs, "mmdebstrap")
    problem = mmdebstrap.problem()
    assert problem is not None
    assert "newuidmap" in problem.reason
    assert "apt-get install uidmap" in problem.to_do


def test_an_ordinary_user_without_sub_ids_is_told_the_command(
    programs: Path, ordinary: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(programs, "mmdebstrap", "newuidmap", "newgidmap")
    monkeypatch.setattr(mmdebstrap, "sub_ids", lambda file: 0)
    problem = mmdebstrap.problem()
    assert problem is not None
    assert problem.reason.startswith("/etc/subuid gives the user newcomer fewer than 65,536 ids")
    assert problem.to_do == "As root: usermod --add-subuids 100000-165535 newcomer."


def test_namespaces_that_are_off_are_told_with_the_kernels_words(
    programs: Path, ordinary: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(programs, "mmdebstrap", "newuidmap", "newgidmap", "unshare")
    (programs / "unshare").write_text("#!/bin/sh\necho 'unshare failed: EPERM' >&2; exit 1\n")
    monkeypatch.setattr(mmdebstrap, "sub_ids", lambda file: 65536)
    problem = mmdebstrap.problem()
    assert problem is not None
    assert "(unshare failed: EPERM)" in problem.reason


@pytest.mark.parametrize(
    ("lines", "count"),
    [
        ("newcomer:100000:65536\n", 65536),
        ("1234:100000:70000\n", 70000),
        ("other:100000:65536\nnewcomer:1:10\nnewcomer:200000:65536\n", 65536),
        ("# newcomer:100000:65536\nnewcomer:100000\nnewcomer:1:many\n", 0),
    ],
)
def test_sub_ids_are_the_longest_range_of_this_user(
    lines: str, count: int, tmp_path: Path, ordinary: None
) -> None:
    (tmp_path / "subuid").write_text(lines)
    assert mmdebstrap.sub_ids(tmp_path / "subuid") == count
    assert mmdebstrap.sub_ids(tmp_path / "missing") == 0


def test_where_neither_way_is_open_it_says_why_and_what_to_do(
    programs: Path, tmp_path: Path
) -> None:
    with pytest.raises(BaseImageUnusable) as raised:
        from_debian.from_suite("bookworm", tmp_path, work=tmp_path, log=unheard, check=nothing)
    assert "mmdebstrap is not installed" in raised.value.message
    assert "no apt-get and no dpkg-deb" in raised.value.message
    assert "apt-get install mmdebstrap" in raised.value.hint
    assert "import_base_image" in raised.value.hint


def test_where_mmdebstrap_fails_the_packages_are_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise BaseImageUnusable("mmdebstrap could not make Debian bookworm: EPERM", hint="Look.")

    def unpack(suite: str, rootfs: Path, *_: object) -> None:
        tarfile.open(rootfs, "w").close()

    monkeypatch.setattr(mmdebstrap, "problem", lambda: None)
    monkeypatch.setattr(mmdebstrap, "make", fail)
    monkeypatch.setattr(unpacked_debian, "problem", lambda: "")
    monkeypatch.setattr(unpacked_debian, "make", unpack)
    said: list[str] = []
    from_debian.from_suite(
        "bookworm", tmp_path / "cache", work=tmp_path, log=said.append, check=nothing
    )
    assert said[-1].startswith("mmdebstrap could not make Debian bookworm: EPERM. Unpacking")
    monkeypatch.setattr(unpacked_debian, "problem", lambda: "There is no apt-get.")
    with pytest.raises(BaseImageUnusable) as raised:
        from_debian.from_suite(
            "trixie", tmp_path / "cache", work=tmp_path, log=said.append, check=nothing
        )
    assert "EPERM. There is no apt-get." in raised.value.message
    assert raised.value.hint.startswith("Look. Or import one")


# --- the folder that sub-ids can enter ---------------------------------------------------------------------


def test_a_work_folder_in_a_private_home_is_not_mmdebstraps(tmp_path: Path, ordinary: None) -> None:
    home = tmp_path / "home"
    (home / "work").mkdir(parents=True)
    home.chmod(0o700)
    assert not mmdebstrap.is_open(home / "work")
    with mmdebstrap.temporary_folder(home / "work") as folder:
        assert not folder.is_relative_to(home)
        assert all(above.stat().st_mode & 0o001 for above in (folder, *folder.parents))
    assert not folder.exists()


# --- unpacked, without mmdebstrap --------------------------------------------------------------------------


@pytest.fixture
def private_home() -> Iterator[Path]:
    """A home that is closed to everybody but its owner, who is not root."""
    home = Path(tempfile.mkdtemp(prefix="ri-test-home-", dir="/var/tmp"))
    if os.geteuid() == 0:
        os.chown(home, NOBODY, NOBODY)
    yield home
    shutil.rmtree(home)


def as_ordinary_user(work: Callable[[], None]) -> None:
    """Do the work in a process that is not root's."""

    def become_and_work() -> None:
        if os.geteuid() == 0:
            os.setgroups([])
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)
        work()

    child = multiprocessing.get_context("fork").Process(target=become_and_work)
    child.start()
    child.join()
    assert child.exitcode == 0


@pytest.mark.slow
@pytest.mark.network
@needs("apt")
@pytest.mark.parametrize("suite", ["bookworm", "trixie"])
def test_an_ordinary_user_without_mmdebstrap_gets_a_base_in_a_private_home(
    suite: str, private_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = mmdebstrap.Problem("It is not here.", "Install it.")
    monkeypatch.setattr(mmdebstrap, "problem", lambda: refused)
    cache = private_home / "cache"

    def from_suite() -> None:
        said: list[str] = []
        from_debian.from_suite(suite, cache, work=private_home, log=said.append, check=nothing)
        assert said == [f"It is not here. Unpacking the packages of Debian {suite} without it"]

    as_ordinary_user(from_suite)
    # The second time it is at hand.
    content = from_debian.from_suite(suite, cache, work=private_home, log=unheard, check=nothing)
    facts = inspect(content)
    assert facts.python_version == from_debian.SUITES[suite]
    assert facts.os_id == "debian"
    assert {"libc6", "python3", "libgomp1", "dpkg"} <= {name for name, _ in facts.os_packages}
    (layer,) = content.layers
    with tarfile.open(content.blobs[layer.digest]) as tar:
        assert tar.getmember("bin").linkname == "usr/bin"
        # Owners are those of the package: nobody was root, and still this is root's, for the group shadow.
        helper = tar.getmember("usr/sbin/unix_chkpwd")
        assert (helper.uid, helper.gid, bool(helper.mode & stat.S_ISGID)) == (0, 42, True)
        assert text_of(tar, "etc/passwd").startswith("root:")
        assert text_of(tar, "etc/ssl/certs/ca-certificates.crt").count("BEGIN CERTIFICATE") > 100
        assert not [name for name in tar.getnames() if name.startswith("usr/share/doc/")]
        assert max(member.mtime for member in tar) <= mmdebstrap.EPOCH


@pytest.mark.slow
@pytest.mark.network
@needs("apt")
@needs("root")
def test_an_unpacked_base_runs_python_and_its_apt_configures_the_packages(tmp_path: Path) -> None:
    tar = tmp_path / "rootfs.tar"
    mirror = from_debian.mirror_of_this_machine() or unpacked_debian.DEBIAN
    unpacked_debian.make("bookworm", tar, tmp_path, mirror, nothing)
    root = tmp_path / "root"
    root.mkdir()
    subprocess.run(["tar", "-C", root, "--numeric-owner", "-xf", tar], check=True)
    code = "import bz2, ctypes, lzma, sqlite3, ssl; print(len(ssl.create_default_context().get_ca_certs()))"
    assert int(inside(root, "python3", "-c", code)) > 100
    inside(root, "dpkg", "--configure", "--pending")
    assert inside(root, "dpkg", "--audit") == ""
    assert (
        inside(root, "dpkg-query", "-W", "-f", "${db:Status-Abbrev}", "libc6", "python3")
        == "ii ii "
    )


def inside(root: Path, *command: str) -> str:
    return subprocess.run(
        ["unshare", "--mount", "--pid", "--fork", "--kill-child", f"--root={root}", "--", *command],
        env={"PATH": "/usr/sbin:/usr/bin", "DEBIAN_FRONTEND": "noninteractive"},
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, check=True,
    ).stdout  # fmt: skip


def text_of(tar: tarfile.TarFile, name: str) -> str:
    content = tar.extractfile(name)
    assert content is not None
    return content.read().decode()


def test_packages_that_are_not_configured_are_in_the_image_and_removed_ones_are_not() -> None:
    status = "\n\n".join(
        f"Package: {name}\nStatus: {state}\nVersion: 1"
        for name, state in (
            ("ready", "install ok installed"),
            ("unpacked", "install ok unpacked"),
            ("waiting", "install ok triggers-awaited"),
            ("removed", "deinstall ok config-files"),
            ("absent", "purge ok not-installed"),
        )
    )
    assert [name for name, _ in dpkg_packages(status)] == ["ready", "unpacked", "waiting"]
