"""Commands beside a build: the modes of what they make, and that they end."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from images.building.commands import TimedOut, output_of, run_streaming


def test_what_a_command_makes_has_the_usual_modes_whatever_the_workers_umask(
    tmp_path: Path,
) -> None:
    before = os.umask(0o077)
    try:
        status = run_streaming(
            ["sh", "-c", "mkdir folder; echo text > folder/file"],
            log=print,
            check=lambda: None,
            timeout=10,
            environment={"PATH": os.environ["PATH"]},
            folder=tmp_path,
        )
        (tmp_path / "own").touch()
    finally:
        os.umask(before)
    assert status == 0
    made = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.rglob("*")}
    assert made == {"folder": 0o755, "file": 0o644, "own": 0o600}


def read(script: str, wanted: bytes, timeout: float) -> int:
    """The status of a shell script that is to say this; `ValueError` if it says something else."""
    with output_of(["sh", "-c", script], timeout=timeout) as process:
        assert process.stdout is not None
        if process.stdout.read() != wanted:
            raise ValueError("it is damaged")
    return int(process.returncode)


def test_a_command_whose_output_is_read_ends_in_its_time() -> None:
    """With the processes that it started, which could keep its output open."""
    with pytest.raises(TimedOut):
        read("echo begun; sleep 60 & wait", b"begun\n", timeout=1)


def test_what_is_cut_off_is_told_as_late_and_not_as_damaged() -> None:
    with pytest.raises(TimedOut):
        read("printf 'half a'; sleep 60", b"half a line", timeout=1)


def test_the_output_of_a_command_is_read_to_its_end_and_its_status_told() -> None:
    assert read("echo all; exit 3", b"all\n", timeout=60) == 3
