"""The memory that a layer process takes for a wheel of 900 MB: `python -m benchmarks.big_wheel`.

The wheel is synthetic: three files of 300 MB that cannot be compressed, and a module.
"""

from __future__ import annotations

import base64
import hashlib
import os
import resource
import tempfile
import time
import zipfile
from pathlib import Path

from images.building.layers.worker import LayerJob, LayerMakers

PIECE = 1 << 20


def write_big_wheel(path: Path, files: int = 3, megabytes: int = 300) -> None:
    """A wheel whose RECORD is right, written in pieces."""
    info = "big-1.0.dist-info"
    rows = []
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for number in range(files):
            name, sha256 = f"big/data-{number}.bin", hashlib.sha256()
            with archive.open(name, "w") as member:
                for _ in range(megabytes):
                    piece = os.urandom(PIECE)
                    sha256.update(piece)
                    member.write(piece)
            digest = base64.urlsafe_b64encode(sha256.digest()).rstrip(b"=").decode()
            rows.append(f"{name},sha256={digest},{megabytes * PIECE}")
        for name, text in (
            ("big/__init__.py", "VALUE = 1\n"),
            (f"{info}/METADATA", "Metadata-Version: 2.1\nName: big\nVersion: 1.0\n"),
            (f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"),
        ):
            hashed = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest())
            rows.append(f"{name},sha256={hashed.rstrip(b'=').decode()},{len(text)}")
            archive.writestr(name, text)
        archive.writestr(f"{info}/RECORD", "\n".join([*rows, f"{info}/RECORD,,", ""]))


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        wheel = Path(folder) / "big-1.0-py3-none-any.whl"
        write_big_wheel(wheel)
        print(f"a wheel of {wheel.stat().st_size:,} bytes")
        makers = LayerMakers(1)
        begun = time.monotonic()
        layer = makers.make(LayerJob((wheel,), "3.11", Path(folder) / "layer.tar.gz"))
        seconds = time.monotonic() - begun
        makers.close()
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1000
    print(f"a layer of {layer.size:,} bytes in {seconds:.1f} s, peak resident memory {peak:.0f} MB")


if __name__ == "__main__":
    main()
