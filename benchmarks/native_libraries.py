"""The cost of looking at native libraries while layers are written: a row for each wheel.

.venv/bin/python -m benchmarks.native_libraries [some.whl …]

*layer* is the processor time of the process that writes the wheel's layer, *looked* the part of it that
reading ELF files and modules takes, *kept* the bytes that the database keeps; the best of three. The compiler
of `.pyc` files is a process of its own. Without wheels it fetches some.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from images.building.layers.write import write_wheel_layer
from images.building.native.report import NativeFiles, NativeReport

WHEELS = ("numpy", "pandas", "scipy", "scikit-learn", "opencv-python==4.10.0.84")
ROUNDS = 3


class Watch:
    """The seconds that `NativeFiles` takes for itself, in this process."""

    def __init__(self) -> None:
        self.seconds = 0.0
        for name in ("look_at", "report"):
            setattr(NativeFiles, name, self._timed(getattr(NativeFiles, name)))

    def _timed(self, method: Any) -> Any:
        def timed(*arguments: Any) -> Any:
            begun = time.thread_time()
            try:
                return method(*arguments)
            finally:
                self.seconds += time.thread_time() - begun

        return timed


def fetch(folder: Path) -> list[Path]:
    subprocess.run(
        [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary", ":all:",
         "--python-version", "3.11", "--platform", "manylinux_2_28_x86_64",
         "--platform", "manylinux_2_17_x86_64", "-d", str(folder), *WHEELS],
        check=True,
    )  # fmt: skip
    return sorted(folder.glob("*.whl"))


def measure(wheel: Path, watch: Watch, folder: Path) -> str:
    times = []
    for _ in range(ROUNDS):
        watch.seconds = 0.0
        begun = time.process_time()
        layer = write_wheel_layer([wheel], "3.11", folder / "layer.tar.gz")
        times.append((time.process_time() - begun, watch.seconds))
    report = NativeReport.unpack(layer.native)
    assert report is not None
    name = "-".join(wheel.name.split("-")[:2])
    whole, looked = min(times)
    cells = [
        name,
        str(len(report.files)),
        f"{whole:.2f} s",
        f"{looked * 1000:.0f} ms",
        f"{len(layer.native):,}",
    ]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("wheels", type=Path, nargs="*")
    wheels = parser.parse_args().wheels
    watch = Watch()
    print("| wheel | ELF files | layer | looked | kept |\n| --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        for wheel in wheels or fetch(Path(folder)):
            print(measure(wheel, watch, Path(folder)), flush=True)


if __name__ == "__main__":
    main()
