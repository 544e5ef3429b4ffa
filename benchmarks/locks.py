"""Locks as rows have them: as long as that of a common image, and as hard to compress."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

# The lock of fifty libraries with the hashes of each of their files, which are most of it.
LENGTH = 54_000


def lock_text(libraries: Mapping[str, str], length: int = LENGTH) -> str:
    """A lock (PEP 751) of these versions by name, of about so many bytes; what is appended is a comment."""
    files = max(1, length // (len(libraries) * len(file_entry("library", "1.0", 0))))
    lines = ['lock-version = "1.0"\n', 'created-by = "benchmark"\n']
    for name, version in libraries.items():
        lines.append(f'\n[[packages]]\nname = "{name}"\nversion = "{version}"\nwheels = [\n')
        lines += [file_entry(name, version, number) for number in range(files)]
        lines.append("]\n")
    return "".join([*lines, "# "])


def file_entry(name: str, version: str, number: int) -> str:
    content = f"{name} {version} {number}".encode()
    digest, place = hashlib.sha256(content).hexdigest(), hashlib.blake2b(content).hexdigest()[:64]
    file = f"{name.replace('-', '_')}-{version}-cp3{number}-abi3-manylinux_2_28_x86_64.whl"
    address = f"https://files.example.org/packages/{place[:2]}/{place[2:4]}/{place[4:]}/{file}"
    return f'    {{ name = "{file}", url = "{address}", hashes = {{ sha256 = "{digest}" }} }},\n'
