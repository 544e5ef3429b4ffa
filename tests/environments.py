"""The environment of the public clients, which cannot share ours: their own pins are years old.

All their versions share one environment with what they import, made from a hashed lock. The wheel of each
version is unpacked into a folder beside it. Both are in `.venv`, and kept until their pins or our Python
change. `python -m tests.environments` makes them ahead of the tests, which then need no package index.
"""

from __future__ import annotations

import fcntl
import hashlib
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from uv import find_uv_bin

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / ".venv" / "environments"
LOCK = ROOT / "requirements" / "clients" / "dependencies.lock"
WHEELS = ROOT / "requirements" / "clients" / "wheels.txt"
FROM_WHEELS = ["--quiet", "--no-config", "--require-hashes", "--only-binary", ":all:"]


def client_pins() -> dict[str, str]:
    """The tested clients, such as `rime-sdk 2.13.2`, each with its line of requirements."""
    lines = re.findall(r"^(.+)==(\S+) .+$", WHEELS.read_text(), re.MULTILINE)
    pins = [line for line in WHEELS.read_text().splitlines() if not line.startswith("#")]
    return {f"{name} {version}": pin for (name, version), pin in zip(lines, pins, strict=True)}


def interpreter() -> Path:
    """The Python of the environment that has what all clients import, which is made if it is not there."""

    def make(folder: Path) -> None:
        uv(["venv", "--quiet", "--no-config", "--python", sys.executable, str(folder)])
        python = str(folder / "bin" / "python")
        uv(["pip", "sync", *FROM_WHEELS, "--compile-bytecode", "--python", python, str(LOCK)])

    return kept("clients", f"{sys.version} {LOCK.read_text()}", make) / "bin" / "python"


def unpacked(client: str) -> Path:
    """The folder with a client, such as `rime-sdk 2.13.2`, which is made if it is not there."""
    pin, python = client_pins()[client], str(interpreter())

    def make(folder: Path) -> None:
        folder.mkdir()
        wanted = folder / "requirements.txt"
        wanted.write_text(f"{pin}\n")
        uv(
            ["pip", "install", *FROM_WHEELS, "--compile-bytecode", "--no-deps", "--python", python,
             "--target", str(folder), "-r", str(wanted)]
        )  # fmt: skip

    return kept(client.replace(" ", "-"), f"{sys.version} {pin}", make)


def kept(name: str, wanted: str, make: Callable[[Path], None]) -> Path:
    """The folder of this name, made again if it was made for something else than `wanted`.

    Processes that ask at the same time wait for the one that makes it. Raises `CalledProcessError` if
    something cannot be had; uv has said why by then.
    """
    FOLDER.mkdir(parents=True, exist_ok=True)
    folder = FOLDER / name
    digest = hashlib.sha256(wanted.encode()).hexdigest()
    complete = folder / "complete"
    with (FOLDER / f"{name}.flock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        if not complete.exists() or complete.read_text() != digest:
            shutil.rmtree(folder, ignore_errors=True)
            make(folder)
            complete.write_text(digest)
    return folder


def uv(arguments: list[str]) -> None:
    """Run uv with the package index that `tools/install.sh` installs from."""
    as_installed = '. tools/package_index.sh && exec "$@"'
    subprocess.run(
        ["bash", "-c", as_installed, "_", find_uv_bin(), *arguments], cwd=ROOT, check=True
    )


if __name__ == "__main__":
    print("Making the environment of the public clients …", flush=True)
    for each in client_pins():
        unpacked(each)
