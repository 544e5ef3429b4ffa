"""A package index with any number of libraries, `lib0`, `lib1` and so on, made when they are asked for."""

from __future__ import annotations

import random
import re
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


@contextmanager
def shelf(folder: Path, before: Callable[[str], object] = lambda path: None) -> Iterator[int]:
    """Serve the index (PEP 503, with metadata by PEP 658); gives its port. `before` is called with the path
    of each request, in its thread.

    Links have hashes, as those of any index: without them the resolver itself would fetch each wheel.
    """
    lock = threading.Lock()

    @cache
    def wheel(name: str) -> Path:
        data = random.Random(name).randbytes(DATA_BYTES)
        files = {f"{name}/__init__.py": b"VALUE = 1\n", f"{name}/data.bin": data}
        return make_wheel(folder, name, files=files)

    def answer(path: str) -> bytes | None:
        found = re.fullmatch(
            r"/simple/(lib\d+)/|/files/(lib\d+)-1\.0-[\w.-]+?\.whl(\.metadata)?", path
        )
        if found is None:
            return None
        with lock:
            file = wheel(found[1] or found[2])
        if found[1]:
            digest = sha256(file.read_bytes()).hexdigest()
            link = f"/files/{file.name}#sha256={digest}"
            return f'<a href="{link}" data-core-metadata="true">{file.name}</a>'.encode()
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
