"""Base images of Debian and Ubuntu: with mmdebstrap, and without it, without root, in a private home."""

from __future__ import annotations

import base64
import fcntl
import hashlib
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
from images.building.bases.content import ImageContent, inspect
from images.building.bases.distributions import UBUNTU
from images.building.bases.inspection import dpkg_packages
from images.building.bases.libc import LibC
from images.building.bases.recipe import INSTALLERS, SUITES, Recipe
from images.errors import BaseImageUnusable
from tests.needs import needs
from tests.services import SHARED

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

    def unpack(recipe: Recipe, rootfs: Path, *_: object) -> None:
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


# --- what is in it -----------------------------------------------------------------------------------------


def test_a_suite_has_pip_and_a_user_unless_its_options_leave_them_out() -> None:
    usual = Recipe.parse("bookworm")
    assert {"python3-pip", "python3-setuptools"} <= set(usual.packages)
    assert usual.user is not None
    assert usual.user.runs_as == "10001:10001"
    plain = Recipe.parse("bookworm,as-root,without-pip")
    assert not set(INSTALLERS["bookworm"]) & set(plain.packages)
    assert plain.user is None
    assert [str(usual), str(plain)] == ["bookworm", "bookworm,without-pip,as-root"]


def test_setuptools_goes_with_the_pythons_whose_official_images_have_it() -> None:
    with_setuptools = {s for s in SUITES if "python3-setuptools" in Recipe.parse(s).packages}
    assert {SUITES[suite] for suite in with_setuptools} == {"3.9", "3.10", "3.11"}


def test_sources_of_ubuntu_name_what_was_mended_after_the_release_and_its_keys(
    tmp_path: Path,
) -> None:
    mirror, *lines = mmdebstrap.sources_of(
        Recipe("noble"), "http://mirror.example/ubuntu", tmp_path
    )
    assert mirror.endswith("http://mirror.example/ubuntu noble main universe")
    assert [line.split()[-3] for line in lines] == ["noble-updates"]
    # mmdebstrap knows Debian's own.
    assert mmdebstrap.sources_of(Recipe("bookworm"), "", tmp_path) == []


def test_every_suite_has_the_package_system_that_images_are_altered_with() -> None:
    # It is no part of Ubuntu's minimum, as it is of Debian's.
    assert "apt" in Recipe("jammy").packages
    assert "apt" not in Recipe("bookworm").packages


def test_the_image_names_its_distributions_own_mirror() -> None:
    assert "http://archive.ubuntu.com/ubuntu jammy-updates main" in mmdebstrap.sources_hook(
        Recipe("jammy")
    )
    assert "'deb http://deb.debian.org/debian bookworm main\n'" in mmdebstrap.sources_hook(
        Recipe("bookworm")
    )


def test_the_key_that_is_brought_along_is_ubuntus() -> None:
    _, _, rest = UBUNTU.own_key.partition("\n\n")
    packets = base64.b64decode(rest.partition("\n=")[0])
    # The key's packet comes first, with a length of two bytes (RFC 4880, 4.2.1); its fingerprint is 12.2's.
    assert packets[0] == 0x99
    size = int.from_bytes(packets[1:3], "big")
    fingerprint = hashlib.sha1(packets[: 3 + size], usedforsecurity=False).hexdigest()
    # As Ubuntu publishes it: Ubuntu Archive Automatic Signing Key (2018).
    assert fingerprint.upper() == "F6ECB3762474EDA9D21B7022871920D1991BC93C"


def test_an_unknown_option_is_refused_with_those_there_are() -> None:
    with pytest.raises(BaseImageUnusable, match="'with-pip' is no option") as raised:
        Recipe.parse("bookworm,with-pip")
    assert ",without-pip or ,as-root" in raised.value.hint


@pytest.mark.slow
@pytest.mark.network
@needs("debian base")
@needs("root")
def test_a_base_by_mmdebstrap_imports_pkg_resources_as_a_user_with_a_home(tmp_path: Path) -> None:
    assert mmdebstrap.problem() is None
    content = from_debian.from_suite(
        "bookworm", SHARED / "bases", work=tmp_path, log=unheard, check=nothing
    )
    facts = inspect(content)
    assert facts.libc == LibC("glibc", "2.36", "x86_64")
    assert {"pip", "setuptools"} <= {name for name, _ in facts.libraries}
    root = root_of(content, tmp_path)
    code = (
        "import getpass, os, pathlib, pkg_resources; (pathlib.Path.home() / 'file').touch();"
        "print(getpass.getuser(), os.getuid(), pathlib.Path.home())"
    )
    assert inside(root, "python3", "-c", code, user=10001) == "app 10001 /home/app\n"


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


@pytest.fixture(scope="module")
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


def unpacked_base(suite: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> ImageContent:
    """A base that a user who is not root made there without mmdebstrap, once for all tests of this file."""
    refused = mmdebstrap.Problem("It is not here.", "Install it.")
    monkeypatch.setattr(mmdebstrap, "problem", lambda: refused)
    cache, title = home / "cache", Recipe(suite).title
    begun = cache / f"debian-{suite}.lock"

    def from_suite() -> None:
        said: list[str] = []
        from_debian.from_suite(suite, cache, work=home, log=said.append, check=nothing)
        assert said == [f"It is not here. Unpacking the packages of {title} without it"]

    if not begun.exists():
        as_ordinary_user(from_suite)
    # The second time it is at hand.
    return from_debian.from_suite(suite, cache, work=home, log=unheard, check=nothing)


@pytest.mark.slow
@pytest.mark.network
@needs("apt")
@pytest.mark.parametrize(
    "suite",
    [
        "bookworm",
        pytest.param("trixie", marks=pytest.mark.long),
        pytest.param("noble", marks=[pytest.mark.long, needs("ubuntu archive")]),
    ],
)
def test_an_ordinary_user_without_mmdebstrap_gets_a_base_in_a_private_home(
    suite: str, private_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = unpacked_base(suite, private_home, monkeypatch)
    facts = inspect(content)
    assert facts.python_version == SUITES[suite]
    assert content.config["config"]["User"] == "10001:10001"
    assert facts.libc is not None
    assert dict(facts.os_packages)["libc6"].startswith(facts.libc.version)
    assert facts.os_id == Recipe(suite).distribution.name
    assert {"libc6", "python3", "libgomp1", "dpkg"} <= {name for name, _ in facts.os_packages}
    (layer,) = content.layers
    with tarfile.open(content.blobs[layer.digest]) as tar:
        assert tar.getmember("bin").linkname == "usr/bin"
        # Owners are those of the package: nobody was root, and still this is root's, for the group shadow.
        helper = tar.getmember("usr/sbin/unix_chkpwd")
        assert (helper.uid, helper.gid, bool(helper.mode & stat.S_ISGID)) == (0, 42, True)
        assert text_of(tar, "etc/passwd").startswith("root:")
        assert text_of(tar, "etc/passwd").endswith("app:*:10001:10001::/home/app:/bin/sh\n")
        assert tar.getmember("home/app").uid == 10001
        assert text_of(tar, "etc/ssl/certs/ca-certificates.crt").count("BEGIN CERTIFICATE") > 100
        assert not [name for name in tar.getnames() if name.startswith("usr/share/doc/")]
        assert max(member.mtime for member in tar) <= mmdebstrap.EPOCH


@pytest.mark.slow
@pytest.mark.network
@needs("apt")
@needs("root")
def test_an_unpacked_base_runs_python_and_its_apt_configures_the_packages(
    tmp_path: Path, private_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = root_of(unpacked_base("bookworm", private_home, monkeypatch), tmp_path)
    code = "import bz2, ctypes, lzma, sqlite3, ssl; print(len(ssl.create_default_context().get_ca_certs()))"
    assert int(inside(root, "python3", "-c", code)) > 100
    assert (
        inside(root, "python3", "-c", "import pkg_resources, pip; print(pip.__name__)") == "pip\n"
    )
    inside(root, "dpkg", "--configure", "--pending")
    assert inside(root, "dpkg", "--audit") == ""
    assert (
        inside(root, "dpkg-query", "-W", "-f", "${db:Status-Abbrev}", "libc6", "python3")
        == "ii ii "
    )


def root_of(content: ImageContent, folder: Path) -> Path:
    """The file system of a base of one layer."""
    (layer,) = content.layers
    root = folder / "root"
    root.mkdir()
    subprocess.run(
        ["tar", "-C", root, "--numeric-owner", "-xzf", content.blobs[layer.digest]], check=True
    )
    return root


def inside(root: Path, *command: str, user: int = 0) -> str:
    who = [f"--setuid={user}", f"--setgid={user}"] if user else []
    return subprocess.run(
        ["unshare", "--mount", "--pid", "--fork", "--kill-child", *who, f"--root={root}", "--", *command],
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


@pytest.fixture
def held(tmp_path: Path) -> Iterator[Path]:
    """A cache whose lock of bookworm another process holds that is paused."""
    with (tmp_path / f"debian-{Recipe.parse('bookworm')}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield tmp_path


def test_who_waits_for_another_process_can_be_told_to_stop(held: Path, tmp_path: Path) -> None:
    def stop() -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        from_debian.from_suite("bookworm", held, work=tmp_path, log=unheard, check=stop)


def test_a_process_that_takes_too_long_is_not_waited_for(
    held: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(from_debian, "LONGEST", 0.0)
    with from_debian.one_at_a_time(next(held.glob("*.lock")), nothing):
        pass
