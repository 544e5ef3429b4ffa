"""Time and size of one wheel's layer under isal's gzip levels and the standard library's.

.venv/bin/python -m benchmarks.compression path/to/some.whl
"""

from __future__ import annotations

import argparse
import gzip
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from isal import igzip

from images.building.layers.write import write_wheel_layer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("wheel", type=Path)
    wheel = parser.parse_args().wheel
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        layer = write_wheel_layer([wheel], "3.11", Path(folder) / "layer.tar.gz")
        plain = gzip.decompress(layer.path.read_bytes())
    print(f"{wheel.name}: a tar of {len(plain):,} bytes with its .pyc files")
    ways: list[tuple[str, Callable[[bytes], bytes]]] = [
        *((f"isal {n}", lambda data, n=n: igzip.compress(data, n)) for n in range(4)),
        *((f"zlib {n}", lambda data, n=n: gzip.compress(data, n)) for n in (1, 6)),
    ]
    for name, compress in ways:
        begun = time.perf_counter()
        packed = compress(plain)
        print(f"  {name}  {time.perf_counter() - begun:6.2f} s  {len(packed):>12,} bytes")


if __name__ == "__main__":
    main()
