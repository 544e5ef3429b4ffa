"""dnf is asked, upon a base image's files, which packages of the image's own repositories bring a library."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from images.building.commands import Deadline
from images.building.containers import os_packages
from images.building.containers.container import Container
from images.building.native.rpm_provides import add_pairs, library_packages
from images.errors import BaseImageUnusable
from images.os_families import FAMILIES
from tests.http_server import QuietHandler, address_of, serving
from tests.needs import needs

RHEL = FAMILIES["rhel"]
# Namespaces as in every repository's metadata (createrepo_c).
REPO, COMMON, RPM = (f"http://linux.duke.edu/metadata/{name}" for name in ("repo", "common", "rpm"))


def test_the_libraries_of_x86_64_that_a_package_provides_are_paired_with_it() -> None:
    # As dnf 4 and dnf 5 print them, with a remark of dnf's own.
    lines = [
        "Importing GPG key 0x1234:",
        "@libglvnd-glx",
        "libGL.so.1()(64bit)",
        "libGL.so.1",
        "libglvnd-glx = 1:1.3.4-1.el9",
        "libglvnd-glx(x86-64) = 1:1.3.4-1.el9",
        "",
        "@glibc",
        "libc.so.6()(64bit)",
        "libc.so.6(GLIBC_2.34)(64bit)",
        "config(glibc) = 2.34-60.el9",
        "@--option",
    ]
    found: set[tuple[str, str]] = set()
    read = add_pairs(found)
    for line in lines:
        read(line)
    assert found == {("libGL.so.1", "libglvnd-glx"), ("libc.so.6", "glibc")}


# --- dnf itself, upon a repository in the published format --------------------------------------------------


def package(name: str, arch: str, provides: list[str]) -> str:
    entries = "".join(f'<rpm:entry name="{item}"/>' for item in provides)
    return (
        f'<package type="rpm"><name>{name}</name><arch>{arch}</arch>'
        '<version epoch="0" ver="1.0" rel="1.el9"/>'
        f'<checksum type="sha256" pkgid="YES">{hashlib.sha256(name.encode()).hexdigest()}</checksum>'
        "<summary>x</summary><description>x</description><packager/><url/>"
        '<time file="1" build="1"/><size package="1" installed="1" archive="1"/>'
        f'<location href="{name}.rpm"/><format><rpm:license>MIT</rpm:license>'
        f"<rpm:provides>{entries}</rpm:provides></format></package>"
    )


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[str]:
    """The address of a repository with three packages."""
    packages = [
        package("libglvnd-glx", "x86_64", ["libGL.so.1()(64bit)", "libglvnd-glx"]),
        package("libglvnd-glx-32", "i686", ["libGL.so.1", "libGL.so.1()(64bit)"]),
        package("documentation", "noarch", ["documentation"]),
    ]
    primary = gzip.compress(
        f'<?xml version="1.0" encoding="UTF-8"?><metadata xmlns="{COMMON}" xmlns:rpm="{RPM}" '
        f'packages="{len(packages)}">{"".join(packages)}</metadata>'.encode()
    )
    folder = tmp_path / "served/repodata"
    folder.mkdir(parents=True)
    (folder / "primary.xml.gz").write_bytes(primary)
    (folder / "repomd.xml").write_text(
        f'<?xml version="1.0" encoding="UTF-8"?><repomd xmlns="{REPO}"><revision>1</revision>'
        '<data type="primary">'
        f'<checksum type="sha256">{hashlib.sha256(primary).hexdigest()}</checksum>'
        '<location href="repodata/primary.xml.gz"/><timestamp>1</timestamp>'
        f"<size>{len(primary)}</size></data></repomd>"
    )

    class Quiet(QuietHandler, SimpleHTTPRequestHandler):
        pass

    with serving(partial(Quiet, directory=str(folder.parent))) as server:
        yield address_of(server)


@pytest.fixture
def box(tmp_path: Path, settings: Any) -> Container:
    """This machine's own files, with dnf, as if they were a base image's; its repositories are the test's."""
    settings.CACHE_DIR = tmp_path / "cache"
    found = Container(
        [Path("/")], tmp_path, os_packages.budget(), Deadline(60), lambda line: None, lambda: None
    )
    (found.upper() / "etc/yum.repos.d").mkdir(parents=True)
    return found


@pytest.mark.slow
@needs("containers", "dnf")
def test_dnf_tells_the_packages_of_the_repositories_that_the_image_names(
    repository: str, box: Container
) -> None:
    (box.upper() / "etc/yum.repos.d/base.repo").write_text(
        f"[base]\nname=base\nbaseurl={repository}\nenabled=1\ngpgcheck=0\n"
    )
    assert library_packages(box, RHEL, "Rocky Linux 9") == {("libGL.so.1", "libglvnd-glx")}


@pytest.mark.slow
@needs("containers", "dnf")
@pytest.mark.parametrize(
    ("skipped", "said"),
    [(0, "dnf could not read the repositories of Rocky .*'base'"), (1, "of no library")],
)
def test_repositories_that_cannot_be_reached_are_no_empty_index(
    box: Container, skipped: int, said: str
) -> None:
    (box.upper() / "etc/yum.repos.d/base.repo").write_text(
        f"[base]\nname=base\nbaseurl=http://127.0.0.1:9/\nretries=1\nskip_if_unavailable={skipped}\n"
    )
    with pytest.raises(BaseImageUnusable, match=said):
        library_packages(box, RHEL, "Rocky Linux 9")
