"""Commands that make parts of images do not see how private the worker keeps its own files."""

from __future__ import annotations

import os
from pathlib import Path

from images.building.commands import run_streaming


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
