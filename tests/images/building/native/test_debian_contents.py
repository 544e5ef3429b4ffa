"""An index of Debian or Ubuntu says which package brings a library; other files are left out."""

from __future__ import annotations

from pathlib import Path

import pytest

from images.building.bases.distributions import UBUNTU
from images.building.native.debian_contents import is_known, library_packages, pairs
from tests.needs import needs


def test_lines_of_shared_libraries_are_paired_with_their_packages() -> None:
    # As Debian has them.
    lines = [
        "usr/lib/x86_64-linux-gnu/libGL.so.1                     libs/libgl1\n",
        "usr/lib/x86_64-linux-gnu/libGL.so                       libdevel/libgl-dev\n",
        "lib/x86_64-linux-gnu/libc.so.6                          libs/libc6\n",
        "usr/lib/libfoo++-2.0.so.0   libs/libfoo,non-free/libs/libfoo-other\n",
        "usr/lib/x86_64-linux-gnu/blas/libblas.so.3              libs/libblas3\n",
        "usr/lib/debug/.build-id/aa/bb.debug                     debug/libgl1-dbg\n",
        "usr/share/doc/libGL.so.1 of another name/README         doc/libgl-doc\n",
        "usr/lib/x86_64-linux-gnu/libbad.so.1                    libs/--option\n",
        "FILE                                                    LOCATION\n",
        # As Ubuntu has them: a component may stand before the section.
        "usr/lib/x86_64-linux-gnu/libodbc.so.2                   universe/libs/libodbc2\n",
        "usr/lib/x86_64-linux-gnu/libodbc.so                     universe/libdevel/unixodbc-dev\n",
    ]
    assert list(pairs(lines)) == [
        ("libGL.so.1", "libgl1"),
        ("libc.so.6", "libc6"),
        ("libfoo++-2.0.so.0", "libfoo"),
        ("libfoo++-2.0.so.0", "libfoo-other"),
        ("libodbc.so.2", "libodbc2"),
    ]


@pytest.mark.parametrize(
    ("distribution", "version", "known"),
    [
        ("debian", "bookworm", True),
        ("ubuntu", "noble", True),
        ("debian", "", False),
        ("debian", "../x", False),
        ("debian", "book worm", False),
        ("rocky", "9.3", False),
    ],
)
def test_index_is_asked_for_where_it_can_be_had(
    distribution: str, version: str, known: bool
) -> None:
    assert is_known(distribution, version) is known


@pytest.mark.slow
@pytest.mark.network
@needs("apt", "ubuntu archive")
def test_ubuntus_index_is_read(tmp_path: Path) -> None:
    # The smallest that there is of a release.
    found = library_packages(
        UBUNTU, "noble-backports", tmp_path, UBUNTU.mirror_of_this_machine(), lambda: None
    )
    assert ("libobs.so.30", "libobs0t64") in found
