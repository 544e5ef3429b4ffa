"""The time of reading requirement files: `python -m benchmarks.requirement_files`."""

from __future__ import annotations

import time

from images.requirement_files import SuppliedFile, read

LINES = 2_000
REPEATS = 5


def main() -> None:
    plain = "".join(f"library-{number}>=1.{number},<3\n" for number in range(LINES))
    marked = "".join(
        f"library-{number}==1.{number} ; python_version >= '3.{number % 14}'  # via x\n"
        for number in range(LINES)
    )
    hashed = "".join(
        f"library-{number}==1.{number} \\\n    --hash=sha256:{number:064x} \\\n"
        f"    --hash=sha256:{number + 1:064x}\n"
        for number in range(LINES)
    )
    for name, text in (("plain", plain), ("with markers", marked), ("with hashes", hashed)):
        print(f"{LINES} requirements {name}: {best(text) * 1000:.0f} ms")


def best(text: str) -> float:
    """The least of some measurements, in seconds."""
    taken = []
    for _ in range(REPEATS):
        begun = time.perf_counter()
        reading = read([SuppliedFile("requirements.txt", text)], python_version="3.11")
        taken.append(time.perf_counter() - begun)
        assert not reading.refused
    return min(taken)


if __name__ == "__main__":
    main()
