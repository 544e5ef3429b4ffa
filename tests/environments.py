"""Environments of their own for what cannot share ours, as other people's clients with pins of their own.

Each is made from a hashed lock, beside ours in `.venv`, and kept until its lock or our Python changes.
`python -m tests.environments LOCK …` makes them ahead of the tests, which then need no package index.
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from uv import find_uv_bin

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / ".venv" / "environments"


def interpreter(lock: Path) -> Path:
    """The Python of the environment that `lock` describes, which is made if it is not there.

    Processes that ask at the same time wait for the one that makes it. Raises `CalledProcessError` if
    something in the lock cannot be had; uv has said why by then.
    """
    FOLDER.mkdir(parents=True, exist_ok=True)
    folder = FOLDER / lock.stem
    wanted = f"{sys.version} {hashlib.sha256(lock.read_bytes()).hexdigest()}"
    complete = folder / "complete"
    with (FOLDER / f"{lock.stem}.flock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        if not complete.exists() or complete.read_text() != wanted:
            make(folder, lock)
            complete.write_text(wanted)
    return folder / "bin" / "python"


def make(folder: Path, lock: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    uv(["venv", "--quiet", "--no-config", "--python", sys.executable, str(folder)])
    uv(
        ["pip", "sync", "--quiet", "--no-config", "--require-hashes", "--only-binary", ":all:",
         "--compile-bytecode", "--python", str(folder / "bin" / "python"), str(lock)]
    )  # fmt: skip


def uv(arguments: list[str]) -> None:
    """Run uv with the package index that `tools/install.sh` installs from."""
    as_installed = '. tools/package_index.sh && exec "$@"'
    subprocess.run(
        ["bash", "-c", as_installed, "_", find_uv_bin(), *arguments], cwd=ROOT, check=True
    )


if __name__ == "__main__":
    for name in sys.argv[1:]:
        print(f"Making the environment of {name} …", flush=True)
        interpreter(Path(name))
