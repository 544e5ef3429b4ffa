"""Root file systems made from a Debian suite by mmdebstrap, once per suite and machine.

They stand in for the official images where those cannot be reached. With SOURCE_DATE_EPOCH set,
mmdebstrap gives the same bytes for the same packages.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from images.building.base_images import ImageContent, compress_rootfs, one_layer_image
from images.building.commands import TimedOut, containment, run_streaming
from images.building.tar_layer import Layer
from images.errors import BaseImageUnusable

# suite → the Python that Debian ships in it
SUITES = {"bullseye": "3.9", "bookworm": "3.11", "trixie": "3.13"}
PACKAGES = "python3,python3-venv,ca-certificates,libgomp1,libstdc++6"
# Counts up whenever the recipe below gives other bytes.
RECIPE = 1
EPOCH = "1700000000"
TIMEOUT_SECONDS = 900.0
# An image needs neither documentation nor the package lists, nor what apt derives from them.
LEFT_OUT = (
    "/usr/share/doc/*",
    "/usr/share/man/*",
    "/usr/share/info/*",
    "/usr/share/locale/*",
)
CLEAN_UP = (
    'rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/*.bin "$1"/var/cache/apt/archives/*.deb '
    '"$1"/var/cache/debconf/*-old "$1"/var/log/*.log "$1"/var/log/apt "$1"/etc/apt/apt.conf.d/*proxy*'
)
# The image names Debian's own mirror, whichever one this machine used.
SOURCES = (
    'printf "deb http://deb.debian.org/debian %s main\\n" SUITE > "$1"/etc/apt/sources.list'
    ' && rm -f "$1"/etc/apt/sources.list.d/*'
)


def from_suite(
    suite: str,
    cache: Path,
    *,
    work: Path,
    log: Callable[[str], None],
    check: Callable[[], None],
) -> ImageContent:
    """A one-layer image of a Debian suite; `cache` keeps its layer for the next time.

    Raises `BaseImageUnusable` if mmdebstrap is missing or fails.
    """
    if suite not in SUITES:
        raise BaseImageUnusable(
            f"{suite!r} is not a Debian suite that is known here.",
            hint=f"Use one of {', '.join(sorted(SUITES))}.",
        )
    cache.mkdir(parents=True, exist_ok=True)
    kept = cache / f"debian-{suite}-{RECIPE}.tar.gz"
    with (cache / f"debian-{suite}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            log(f"Making a root file system of Debian {suite}; this takes about a minute")
            make(suite, kept, work, check)
    return one_layer_image(relabelled(kept, work), work)


def relabelled(kept: Path, work: Path) -> Layer:
    """The kept layer with its digests, which recompressing it tells while it verifies the file."""
    return compress_rootfs(kept, work / "rootfs.tar.gz")


def make(suite: str, kept: Path, work: Path, check: Callable[[], None]) -> None:
    tool = shutil.which("mmdebstrap")
    if tool is None:
        raise BaseImageUnusable(
            "mmdebstrap is not installed on this worker, so no base image can be made of Debian.",
            hint="Install it with: apt-get install mmdebstrap",
        )
    output = work / "rootfs.tar"
    command = [
        *containment(), tool, "--variant=minbase", f"--include={PACKAGES}", "--format=tar",
        *(f"--dpkgopt=path-exclude={pattern}" for pattern in LEFT_OUT),
        f"--customize-hook={CLEAN_UP}", f"--customize-hook={SOURCES.replace('SUITE', suite)}",
        *([] if os.geteuid() == 0 else ["--mode=unshare"]),
        suite, str(output), *mirror_of_this_machine(suite),
    ]  # fmt: skip
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "RI_"))
    }
    said: list[str] = []
    try:
        status = run_streaming(
            command,
            log=said.append,
            check=check,
            timeout=TIMEOUT_SECONDS,
            environment={**environment, "SOURCE_DATE_EPOCH": EPOCH, "TMPDIR": str(work)},
        )
    except TimedOut:
        status = -1
        said.append(f"It took longer than {TIMEOUT_SECONDS:.0f} seconds.")
    if status != 0:
        raise BaseImageUnusable(
            f"mmdebstrap could not make Debian {suite}: {' '.join(said[-5:])[-1000:]}",
            hint="An operator should look at the package mirror and the network.",
        )
    partial = kept.with_suffix(f".{os.getpid()}.part")
    compress_rootfs(output, partial)
    partial.replace(kept)
    output.unlink()


def mirror_of_this_machine(suite: str) -> list[str]:
    """The machine's own mirror where it runs Debian, as its network may reach no other."""
    for path in (Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*"))):
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            continue
        for word in text.split():
            if word.startswith(("http://", "https://")) and word.rstrip("/").endswith("/debian"):
                return [word]
    return []
