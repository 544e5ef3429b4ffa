"""Bytecode for layers: unchecked-hash `.pyc` files (PEP 552), the same bytes on every machine.

The compiler runs as this very file in a process of its own, for any Python that is installed here,
because two things would otherwise leak into the bytes: the order of set constants (fixed by
PYTHONHASHSEED=0), and marshal's reference flags, which depend on what else the process holds.
This module therefore imports little, and works on every Python 3.9 and later. Its own names are in that
process, too: one more or one less changes the bytes of libraries that have the same name just once, and so
`LAYER_FORMAT` (`images.building.layers.keys`). A test holds the names.
"""

from __future__ import annotations

import sys

if __name__ == "__main__":
    # The folder of this file: its modules must not stand in for the standard library's. (-I would do this,
    # but also ignore PYTHONHASHSEED, and -P is not known to every Python that this runs on.)
    del sys.path[0]

import importlib.util
import marshal
import os
import shutil
import struct
import subprocess
from functools import lru_cache

# What a request and an answer begin with: two or one big-endian lengths, then the bytes.
_HEADER = struct.Struct(">II")
_LENGTH = struct.Struct(">I")
# PEP 552: bit 0 says "by hash", bit 1 (unset) "check the source"; unchecked is 0b01.
_UNCHECKED_HASH = struct.pack("<I", 0b01)
# Names that this file had when layers got the format that they have.
names = ("Compiler", "_process", "close", "compile", "interpreter", "self", "PYTHONHASHSEED")


@lru_cache(maxsize=8)
def interpreter_for(python_version: str) -> str | None:
    """An interpreter of this minor version on this machine, or None.

    One that is found is asked for its version: a version manager's stand-in may be there without it.
    """
    if python_version == f"{sys.version_info[0]}.{sys.version_info[1]}":
        return sys.executable
    found = shutil.which(f"python{python_version}")
    if found is None:
        return None
    asked = "import sys; print('%d.%d' % sys.version_info[:2])"
    try:
        told = subprocess.run(
            [found, "-s", "-S", "-B", "-c", asked], capture_output=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return found if told.stdout.strip() == python_version.encode() else None


def cache_name(path: str, python_version: str) -> str:
    """The path of the bytecode of the source at `path` (PEP 3147)."""
    folder, _, name = path.rpartition("/")
    stem = name[: -len(".py")]
    tag = f"cpython-{python_version.replace('.', '')}"
    return f"{folder}/__pycache__/{stem}.{tag}.pyc" if folder else f"__pycache__/{stem}.{tag}.pyc"


def compile_source(source: bytes, path: str) -> bytes:
    """The `.pyc`, or nothing for what Python cannot compile; installers leave such files alone too."""
    try:
        code = compile(source, path, "exec", dont_inherit=True, optimize=0)
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError):
        return b""
    return (
        importlib.util.MAGIC_NUMBER
        + _UNCHECKED_HASH
        + importlib.util.source_hash(source)
        + marshal.dumps(code)
    )


def serve() -> int:
    """Answer the requests of one session. A request without a path ends it; 1 if nobody asks any more."""
    incoming, outgoing = sys.stdin.buffer, sys.stdout.buffer
    while True:
        header = incoming.read(_HEADER.size)
        if len(header) < _HEADER.size:
            return 1
        name_length, source_length = _HEADER.unpack(header)
        path = incoming.read(name_length).decode("utf-8")
        answer = compile_source(incoming.read(source_length), path) if path else b""
        outgoing.write(_LENGTH.pack(len(answer)) + answer)
        outgoing.flush()
        if not path:
            return 0


def run(argv: list[str]) -> None:
    """For each `stdin,stdout` in `argv`, have a child serve one session after the other, each in a new child.

    So what a source does to the process that compiles it stays with the layer that the source is of.
    """
    process: dict[int, str] = {}
    start = list(argv)
    while True:
        while start:
            item = start.pop()
            stdin, stdout = map(int, item.split(","))
            pid = os.fork()
            if not pid:
                os.dup2(stdin, 0)
                os.dup2(stdout, 1)
                os.closerange(3, 65536)
                os._exit(serve())
            process[pid] = item
        pid, status = os.wait()
        if status:
            # Nobody asks any more, or a child died: then whoever waits for its answer has to see the end.
            return
        start.append(process.pop(pid))


if __name__ == "__main__":
    import warnings

    # Invalid escapes in somebody's library are not news for the build's log.
    warnings.simplefilter("ignore")
    run(sys.argv[1:])
