"""A package index with any number of libraries, made when they are asked for.

`lib0`, `lib1` and so on are wheels, `source0` and so on have none and must be built, `slow0` and so on take
seconds to be imported.
"""

from __future__ import annotations

import gzip
import io
import random
import re
import tarfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from hashlib import sha256
from pathlib import Path

from tests.http_server import QuietHandler, serving
from tests.images.building.private_index import metadata_of
from tests.images.building.wheelmaker import make_wheel

# As much as makes a phase last, of a kind that does not compress.
DATA_BYTES = 100_000
# What is asked for: the page of a library, a file of it, or the metadata of its wheel.
ASKED = re.compile(
    r"/simple/((?:lib|slow|source)\d+)/"
    r"|/files/((?:lib|slow|source)\d+)-1\.0(?:-[\w.-]+?\.whl|\.tar\.gz)(\.metadata)?"
)
# Code of strangers while it runs: it takes its time, and has left a process behind that nothing but SIGKILL
# ends, out of the session and the group of whoever started it.
LINGERING = """
import os, signal, time

def linger(seconds):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.closerange(0, 256)
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)
            while True:
                time.sleep(1)
        os._exit(0)
    time.sleep(seconds)

linger(6)
"""
# A build backend (PEP 517) of its own.
BACKEND = """
import base64, hashlib, os, zipfile

NAME = "%s"

def line(path, text):
    digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return path + ",sha256=" + digest.rstrip("=") + "," + str(len(text)) + "\\n"

def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    import lingering
    info = NAME + "-1.0.dist-info"
    files = {
        NAME + ".py": "VALUE = 1\\n",
        info + "/METADATA": "Metadata-Version: 2.1\\nName: " + NAME + "\\nVersion: 1.0\\n",
        info + "/WHEEL": "Wheel-Version: 1.0\\nGenerator: x\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
    }
    lines = [line(path, text) for path, text in files.items()]
    files[info + "/RECORD"] = "".join(lines) + info + "/RECORD,,\\n"
    wheel = NAME + "-1.0-py3-none-any.whl"
    with zipfile.ZipFile(os.path.join(wheel_directory, wheel), "w") as archive:
        for path, text in files.items():
            archive.writestr(zipfile.ZipInfo(path, (1980, 1, 1, 0, 0, 0)), text)
    return wheel
"""
PYPROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[project]
name = "%s"
version = "1.0"
"""


@contextmanager
def shelf(folder: Path, before: Callable[[str], object] = lambda path: None) -> Iterator[int]:
    """Serve the index (PEP 503, with metadata by PEP 658); gives its port. `before` is called with the path
    of each request, in its thread.

    Links have hashes, as those of any index: without them the resolver itself would fetch each wheel.
    """
    lock = threading.Lock()
    made = cache(lambda name: make_file(folder, name))

    def answer(path: str) -> bytes | None:
        found = ASKED.fullmatch(path)
        if found is None:
            return None
        with lock:
            file = made(found[1] or found[2])
        if found[1]:
            digest = sha256(file.read_bytes()).hexdigest()
            link = f"/files/{file.name}#sha256={digest}"
            told = ' data-core-metadata="true"' if file.suffix == ".whl" else ""
            return f'<a href="{link}"{told}>{file.name}</a>'.encode()
        return metadata_of(file) if found[3] else file.read_bytes()

    class Index(QuietHandler):
        def do_GET(self) -> None:
            before(self.path)
            body = answer(self.path)
            self.send_response(404 if body is None else 200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body or b"")

        do_HEAD = do_GET

    with serving(Index) as server:
        yield server.server_port


def make_file(folder: Path, name: str) -> Path:
    if name.startswith("source"):
        files = {"backend.py": BACKEND % name, "lingering.py": LINGERING}
        return make_source(folder, name, {"pyproject.toml": PYPROJECT % name, **files})
    code = LINGERING.encode() if name.startswith("slow") else b"VALUE = 1\n"
    data = random.Random(name).randbytes(DATA_BYTES)
    return make_wheel(folder, name, files={f"{name}/__init__.py": code, f"{name}/data.bin": data})


def make_source(folder: Path, name: str, files: dict[str, str]) -> Path:
    """A source distribution, whose bytes are the same each time."""
    plain = io.BytesIO()
    info = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
    with tarfile.open(fileobj=plain, mode="w") as tar:
        for path, text in {"PKG-INFO": info, **files}.items():
            member = tarfile.TarInfo(f"{name}-1.0/{path}")
            member.size = len(text.encode())
            tar.addfile(member, io.BytesIO(text.encode()))
    file = folder / f"{name}-1.0.tar.gz"
    file.write_bytes(gzip.compress(plain.getvalue(), mtime=0))
    return file
