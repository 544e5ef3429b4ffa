"""The package index as a source build may see it: project pages, and the files that they name.

A build backend is code of whoever published the library. It runs without a network, but for this server
(see `images.building.netns`): it answers the simple API (PEP 503, PEP 691) from the configured indexes, one
folder each, and holds their addresses, certificates and credentials, so that none of them is in there.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import SHUT_RDWR, recv_fds, socket
from typing import Any

import httpx
from packaging.utils import canonicalize_name
from pypi_simple import ACCEPT_ANY, PYPI_SIMPLE_ENDPOINT, DistributionPackage, ProjectPage

from images.building.indexes import Indexes, is_forbidden
from images.building.wheels import index_client

PORT = 3141
HOME = f"http://127.0.0.1:{PORT}"
PIECE = 1 << 16
JSON_TYPE = "application/vnd.pypi.simple.v1+json"
PASSED_ON = ("Accept-Ranges", "Content-Length", "Content-Range", "Content-Type", "ETag")
_PAGE = re.compile(r"/(\d+)/([A-Za-z0-9._-]{1,200})/?")
_FILE = re.compile(r"/(\d+)/files/([0-9a-f]{64})/[^/]+?(\.metadata)?")

logger = logging.getLogger(__name__)


class IndexDoor(ThreadingHTTPServer):
    """Answers on a socket that somebody else made, each request in a thread of its own."""

    daemon_threads = True

    def __init__(self, indexes: Indexes) -> None:
        super().__init__(("127.0.0.1", PORT), Handler, bind_and_activate=False)
        self.socket.close()
        self._serving: threading.Thread | None = None
        self.upstreams = upstreams(indexes)
        self.client = index_client(indexes.auth, indexes.ca_file)
        # Token → address: only what a page has named can be fetched.
        self.files: dict[str, str] = {}
        # Projects that this installation's lists keep out, and that were asked for.
        self.refused: set[str] = set()

    @contextmanager
    def answering(self, messenger: socket) -> Iterator[None]:
        """Serve as soon as `messenger` brings the socket to listen on (`images.building.netns`)."""

        def wait_for_socket() -> None:
            try:
                _, descriptors, *_ = recv_fds(messenger, 16, 1)
            except OSError:
                return
            if descriptors:
                self.serve_on(socket(fileno=descriptors[0]))

        waiter = threading.Thread(target=wait_for_socket, daemon=True)
        waiter.start()
        try:
            yield
        finally:
            messenger.shutdown(SHUT_RDWR)
            waiter.join()
            self.close()

    def serve_on(self, listener: socket) -> None:
        self.socket = listener
        self._serving = threading.Thread(target=self.serve_forever, daemon=True)
        self._serving.start()

    def close(self) -> None:
        if self._serving is not None:
            self.shutdown()
            self.socket.close()
        self.client.close()

    def file_address(self, index: int, package: DistributionPackage) -> str:
        token = hashlib.sha256(package.url.encode("utf-8")).hexdigest()
        self.files[token] = package.url
        return f"{HOME}/{index}/files/{token}/{package.filename}"

    def real_addresses(self, text: str) -> str:
        """A lock that was made by way of this server, with the addresses that it stands for."""

        def original(match: re.Match[str]) -> str:
            return self.files.get(match.group(1), match.group(0))

        return re.sub(rf"{HOME}/\d+/files/([0-9a-f]{{64}})/[^\"\s]+", original, text)


def upstreams(indexes: Indexes) -> list[str]:
    """The indexes in the order in which a package is looked for, the default one last."""
    found = [*indexes.extra, indexes.default or PYPI_SIMPLE_ENDPOINT]
    return [address.rstrip("/") + "/" for address in found]


def environment(indexes: Indexes) -> dict[str, str]:
    """What tells uv in the container of this server."""
    addresses = [f"{HOME}/{number}/" for number, _ in enumerate(upstreams(indexes))]
    return {"UV_INDEX": " ".join(addresses[:-1]), "UV_DEFAULT_INDEX": addresses[-1]}


class Handler(BaseHTTPRequestHandler):
    server: IndexDoor
    protocol_version = "HTTP/1.1"
    timeout = 120

    def do_GET(self) -> None:
        page, file = _PAGE.fullmatch(self.path), _FILE.fullmatch(self.path)
        try:
            if file and file.group(2) in self.server.files:
                self.send_file(self.server.files[file.group(2)] + (file.group(3) or ""))
            elif page and int(page.group(1)) < len(self.server.upstreams):
                self.send_page(int(page.group(1)), canonicalize_name(page.group(2)))
            else:
                self.send_error(404)
        except httpx.HTTPError as error:
            # Its text may hold an address with credentials.
            logger.warning("A source build's request failed: %s", type(error).__name__)
            self.close_connection = True
            self.send_error(502)

    do_HEAD = do_GET

    def send_page(self, index: int, project: str) -> None:
        if is_forbidden(project):
            self.server.refused.add(project)
            self.send_error(404)
            return
        answer = self.server.client.get(
            f"{self.server.upstreams[index]}{project}/", headers={"Accept": ACCEPT_ANY}
        )
        if answer.status_code != 200:
            self.send_error(answer.status_code)
            return
        packages = parsed(answer, project)
        body = {
            "meta": {"api-version": "1.0"},
            "name": project,
            "files": [self.described(index, package) for package in packages],
        }
        content = json.dumps(body).encode("utf-8")
        self.send_response(200)
        self.send_header("Content-Type", JSON_TYPE)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def described(self, index: int, package: DistributionPackage) -> dict[str, Any]:
        """A file as PEP 691 describes one, at our address."""
        found: dict[str, Any] = {
            "filename": package.filename,
            "url": self.server.file_address(index, package),
            "hashes": package.digests,
            "requires-python": package.requires_python,
            "yanked": (package.yanked_reason or True) if package.is_yanked else False,
            "core-metadata": package.metadata_digests or bool(package.has_metadata),
        }
        return found if package.size is None else {**found, "size": package.size}

    def send_file(self, url: str) -> None:
        """Pass a file on, or the part of it that was asked for (RFC 9110, range requests)."""
        asked = {"Accept-Encoding": "identity"}
        if "Range" in self.headers:
            asked["Range"] = self.headers["Range"]
        with self.server.client.stream(self.command, url, headers=asked) as answer:
            self.send_response(answer.status_code)
            for name in PASSED_ON:
                if name in answer.headers:
                    self.send_header(name, answer.headers[name])
            if "Content-Length" not in answer.headers:
                self.send_header("Connection", "close")
            self.end_headers()
            for piece in answer.iter_raw(PIECE):
                self.wfile.write(piece)

    def log_message(self, format: str, *args: Any) -> None:
        """A line for each request would be noise."""


def parsed(answer: httpx.Response, project: str) -> Sequence[DistributionPackage]:
    base = str(answer.url.copy_with(username=None, password=None))
    if "json" in answer.headers.get("Content-Type", ""):
        return ProjectPage.from_json_data(answer.json(), base).packages
    return ProjectPage.from_html(project, answer.text, base).packages
