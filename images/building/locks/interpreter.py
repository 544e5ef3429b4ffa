"""A Python that tells uv of another glibc than its own.

uv names a few platforms (`--python-platform`), and takes any other from the interpreter that it is given: it
runs a script of its own in it, which asks `os.confstr` for the C library (confstr(3), CS_GNU_LIBC_VERSION).
The program here runs that script in the worker's Python, and answers that one question for the base image.
"""

from __future__ import annotations

import shlex
import sys
import tempfile
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from images.building.locks.target import Target

# The glibc minor versions that `--python-platform` names; tests/images/building/locks/test_glibc.py asks uv.
NAMED_MINORS = (17, 28, *range(31, 41))
MUSL_NAME = "unknown-linux-musl"

SCRIPT = """\
import os
import sys

confstr = os.confstr
os.confstr = lambda name: "{libc}" if name == "CS_GNU_LIBC_VERSION" else confstr(name)
arguments = sys.argv[1:]
code = arguments[arguments.index("-c") + 1]
sys.argv = ["-c"]
exec(compile(code, "<uv>", "exec"), {{"__name__": "__main__"}})
"""


def platform_arguments(target: Target) -> list[str]:
    """uv's name for the target's platform as arguments; none where it has none and the Python has to tell."""
    if target.is_musl:
        # uv takes it for musl 1.2, which is every musl that a Python of today is built on.
        return ["--python-platform", f"{target.machine}-{MUSL_NAME}"]
    if target.libc_version[0] == 2 and target.libc_version[1] in NAMED_MINORS:
        return ["--python-platform", target.platform]
    return []


def python_for(target: Target) -> str:
    """A Python on this worker by which uv learns the target's platform. Nothing is built with it."""
    if platform_arguments(target):
        return sys.executable
    pretender = pretender_of(target.libc)
    if not pretender.program.exists():
        # A machine's clean-up of old temporary files has taken it.
        pretender_of.cache_clear()
        pretender = pretender_of(target.libc)
    return str(pretender.program)


@dataclass
class Pretender:
    """The program in a folder of its own, which goes with this process. uv's cache knows it by its path."""

    libc: str
    folder: tempfile.TemporaryDirectory[str] = field(
        default_factory=lambda: tempfile.TemporaryDirectory(prefix="ri-python-")
    )

    @property
    def program(self) -> Path:
        return Path(self.folder.name) / "python"

    def write(self) -> None:
        script = Path(self.folder.name) / "pretend.py"
        script.write_text(SCRIPT.format(libc=self.libc), encoding="utf-8")
        run = shlex.join([sys.executable, "-I", str(script)])
        self.program.write_text(f'#!/bin/sh\nexec {run} "$@"\n', encoding="utf-8")
        self.program.chmod(0o700)


@cache
def pretender_of(libc: str) -> Pretender:
    pretender = Pretender(libc)
    pretender.write()
    return pretender
