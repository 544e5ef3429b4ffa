"""tools/system_packages.sh: by command and by library, and in one sentence where nothing may be installed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TOOLS = ("bash", "cat", "grep", "id", "tail")


def system_packages(programs: Path, *packages: str) -> subprocess.CompletedProcess[str]:
    """The script with nothing on its PATH but the shell's tools and what `programs` holds."""
    for tool in TOOLS:
        found = shutil.which(tool)
        assert found is not None
        if not (programs / tool).exists():
            (programs / tool).symlink_to(found)
    return subprocess.run(
        ["bash", str(ROOT / "tools/system_packages.sh"), *packages],
        env={"PATH": str(programs)}, capture_output=True, text=True, check=True,
    )  # fmt: skip


def program(programs: Path, name: str, text: str) -> None:
    (programs / name).write_text(f"#!/bin/bash\n{text}\n")
    (programs / name).chmod(0o755)


@pytest.mark.skipif(not Path("/sbin/ldconfig").exists(), reason="This takes ldconfig.")
def test_a_library_is_looked_for_by_its_name_and_no_command(tmp_path: Path) -> None:
    done = system_packages(tmp_path, "libc6", "libnothing3")
    assert done.stderr == (
        "Please install: libnothing3 (on Debian and Ubuntu: sudo apt-get install libnothing3)\n"
    )


def test_where_nothing_may_be_installed_it_says_what_to_install_in_one_line(tmp_path: Path) -> None:
    program(tmp_path, "apt-get", "exit 1")
    program(tmp_path, "id", "echo 1000")
    (tmp_path / "skopeo").touch(0o755)
    done = system_packages(tmp_path, "skopeo", "chromium", "xmlsec1")
    assert done.stdout == ""
    assert done.stderr == (
        "Please install: chromium xmlsec1 (on Debian and Ubuntu: sudo apt-get install chromium xmlsec1)\n"
    )


def test_an_ordinary_user_is_not_sent_for_what_only_root_can_use(tmp_path: Path) -> None:
    program(tmp_path, "id", "echo 1000")
    done = system_packages(tmp_path, "mmdebstrap", "buildah", "bubblewrap")
    assert (done.stdout, done.stderr) == ("", "")


def test_a_package_that_cannot_be_had_is_told_and_does_not_take_the_others_along(
    tmp_path: Path,
) -> None:
    program(tmp_path, "id", "echo 0")
    log = tmp_path / "log"
    refuse = "E: Unable to locate package xmlsec1"
    program(
        tmp_path,
        "apt-get",
        f'echo "${{@: -2}}" >> {log}\ncase " $* " in *" xmlsec1 "*) echo "{refuse}"; exit 100 ;; esac',
    )
    program(tmp_path, "env", 'shift; exec "$@"')
    done = system_packages(tmp_path, "skopeo", "xmlsec1")
    assert done.stdout == "Installing skopeo xmlsec1 …\n"
    assert done.stderr == f"xmlsec1 could not be installed: {refuse}\n"
    assert log.read_text().splitlines()[-2:] == ["install skopeo", "install xmlsec1"]
