"""The package index as a source build may see it: project pages, and the files that they name.

A build backend is code of whoever published the library. While uv resolves, it runs without a network but
for this server (see `images.building.containers.sandbox`), which answers the simple API (PEP 503, PEP 691)
from the configured indexes, one folder each, and holds their addresses, certificates and credentials, so
that none of them is in there.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import socket
from typing import Any
from urllib.parse import quote, unquote, urlsplit, urlunsplit

import httpx
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion, Version
from pypi_simple import ACCEPT_ANY, DistributionPackage, ProjectPage

from images.building.downloads import index_client
from images.building.locks.files import (
    is_filename,
    is_sha256,
    is_size,
    is_url,
    versions_of_sdist,
)
from images.indexes import Indexes, is_forbidden
from ri_platform.bounded import whole

PORT = 3141
HOME = f"http://127.0.0.1:{PORT}"
PIECE = 1 << 16
# The largest project pages have some tens of megabytes.
MAX_PAGE_BYTES = 128 << 20
# What build code may have this process do at a time, and keep: connections (uv opens fifty), pages that are
# read, and files that pages named.
MAX_CONNECTIONS, MAX_PAGES_AT_ONCE, MAX_FILES = 128, 4, 300_000
JSON_TYPE = "application/vnd.pypi.simple.v1+json"
PASSED_ON = ("Accept-Ranges", "Content-Length", "Content-Range", "Content-Type", "ETag")
_PAGE = re.compile(r"/(\d+)/([A-Za-z0-9._-]{1,200})/?")
_FILE = re.compile(r"/(\d+)/files/([0-9a-f]{64})/[^/]+?(\.metadata)?")

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class IndexedFile:
    """A file as the page of the project `name` told of it, its version read from its name.

    `sha256` may be empty. `yanked` is the reason, which may be empty too, None if it is not yanked (PEP 592).
    """

    name: str
    version: str
    filename: str
    url: str
    sha256: str
    size: int | None
    yanked: str | None = None


class IndexDoor(ThreadingHTTPServer):
    """Answers on a socket that somebody else made, each request in a thread of its own."""

    daemon_threads = True

    def __init__(self, indexes: Indexes, asked_of: Mapping[str, str] | None = None) -> None:
        """`asked_of` are the libraries that are to come from one index, by normalized name."""
        super().__init__(("127.0.0.1", PORT), Handler, bind_and_activate=False)
        self.socket.close()
        self._serving: threading.Thread | None = None
        self.indexes, self.asked_of = indexes, dict(asked_of or {})
        self.upstreams = [f"{index.url.rstrip('/')}/" for index in indexes.every]
        self.client = index_client(indexes)
        self._connections = threading.BoundedSemaphore(MAX_CONNECTIONS)
        self.reading = threading.BoundedSemaphore(MAX_PAGES_AT_ONCE)
        # Token → file: only what a page has named can be fetched.
        self.files: dict[str, IndexedFile] = {}
        # Project → the number of the first index that has it, and what is known not to be in one.
        self.homes: dict[str, int] = {}
        self.absent: set[tuple[int, str]] = set()
        # Projects that this installation's lists keep out, and that were asked for.
        self.refused: set[str] = set()

    @contextmanager
    def serve_requests(self, listener: socket) -> Iterator[None]:
        """Serve on the socket that a sandbox's network was given (`images.building.containers.enter`)."""
        self.serve_on(listener)
        try:
            yield
        finally:
            self.close()

    def process_request(self, request: Any, client_address: Any) -> None:
        """A thread for each connection, as many as there may be; others are closed."""
        if self._connections.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._connections.release()

    def serve_on(self, listener: socket) -> None:
        self.socket = listener
        self._serving = threading.Thread(target=self.serve_forever, daemon=True)
        self._serving.start()

    def close(self) -> None:
        if self._serving is not None:
            self.shutdown()
            self.socket.close()
        self.client.close()

    def file_address(self, index: int, file: IndexedFile) -> str:
        token = hashlib.sha256(f"{file.name} {file.url}".encode()).hexdigest()
        self.files[token] = file
        return f"{HOME}/{index}/files/{token}/{quote(file.filename)}"

    def index_of(self, project: str) -> str:
        """The name of the index that gave the project's page, `""` if none did."""
        number = self.homes.get(project)
        return "" if number is None else self.indexes.every[number].name

    def files_named_in(self, text: str) -> list[IndexedFile]:
        """Those of the files on the pages that this server gave whose addresses stand in `text`, in their
        order.

        It is all that may be taken from what was made by way of this server: everything else is its page's.
        """
        tokens = dict.fromkeys(re.findall(rf"{re.escape(HOME)}/\d+/files/([0-9a-f]{{64}})/", text))
        return [self.files[token] for token in tokens if token in self.files]


def environment(indexes: Indexes) -> dict[str, str]:
    """The environment that directs uv in the container to this server."""
    addresses = [f"{HOME}/{number}/" for number, _ in enumerate(indexes.every)]
    return {"UV_INDEX": " ".join(addresses[:-1]), "UV_DEFAULT_INDEX": addresses[-1]}


class Handler(BaseHTTPRequestHandler):
    server: IndexDoor
    protocol_version = "HTTP/1.1"
    timeout = 120

    def do_GET(self) -> None:
        page, file = _PAGE.fullmatch(self.path), _FILE.fullmatch(self.path)
        try:
            if file and file.group(2) in self.server.files:
                self.send_file(self.server.files[file.group(2)].url + (file.group(3) or ""))
            elif page and int(page.group(1)) < len(self.server.upstreams):
                self.send_page(int(page.group(1)), canonicalize_name(page.group(2)))
            else:
                self.send_error(404)
        except httpx.HTTPStatusError as error:
            self.send_error(error.response.status_code)
        except (ConnectionError, TimeoutError):
            # Whoever asked has gone.
            self.close_connection = True
        except Exception as error:
            # Whatever an index answers, it is told as that; the error's text may hold an address with
            # credentials.
            logger.warning("A source build's request failed: %s", type(error).__name__)
            self.close_connection = True
            self.send_error(502)

    do_HEAD = do_GET

    def send_page(self, index: int, project: str) -> None:
        if is_forbidden(project):
            self.server.refused.add(project)
            self.send_error(404)
            return
        if len(self.server.files) > MAX_FILES:
            logger.warning("A source build asked for more of the index than any needs.")
            self.send_error(429)
            return
        with self.server.reading:
            page = None if self.is_elsewhere(index, project) else self.page(index, project)
        if page is None:
            self.send_error(404)
            return
        body = {
            "meta": {"api-version": "1.0"},
            "name": project,
            "files": [
                self.describe_file(index, package, file)
                for package in page
                if (file := indexed_file(package, project)) is not None
            ],
        }
        content = json.dumps(body).encode("utf-8")
        self.send_response(200)
        self.send_header("Content-Type", JSON_TYPE)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def is_elsewhere(self, index: int, project: str) -> bool:
        """Whether the project comes from another index: by its name, by the rules, or as that has it before.

        uv would not ask then. Build code might, to get at what a stranger gave the name of a private library.
        """
        every = self.server.indexes.every
        home = self.server.asked_of.get(project) or self.server.indexes.home_of(project)
        if home or every[index].explicit:
            return home != every[index].name
        for before in range(index):
            if every[before].explicit:
                continue
            if (before, project) not in self.server.absent and project not in self.server.homes:
                self.page(before, project)
        return self.server.homes.get(project, index) != index

    def page(self, index: int, project: str) -> Sequence[DistributionPackage] | None:
        """The project's files on one index, None if it has no such project. Raises what is wrong with its
        answer."""
        url = f"{self.server.upstreams[index]}{project}/"
        with self.server.client.stream("GET", url, headers={"Accept": ACCEPT_ANY}) as answer:
            if answer.status_code in (404, 410):
                self.server.absent.add((index, project))
                return None
            answer.raise_for_status()
            content = whole(answer, MAX_PAGE_BYTES).content
        packages = parse_page(answer, content, project)
        self.server.homes.setdefault(project, index)
        return packages

    def describe_file(
        self, index: int, package: DistributionPackage, file: IndexedFile
    ) -> dict[str, Any]:
        """A file as PEP 691 describes one, at our address."""
        found: dict[str, Any] = {
            "filename": file.filename,
            "url": self.server.file_address(index, file),
            "hashes": {"sha256": file.sha256} if file.sha256 else {},
            "requires-python": package.requires_python,
            "yanked": (package.yanked_reason or True) if package.is_yanked else False,
            "core-metadata": package.metadata_digests or bool(package.has_metadata),
        }
        return found if file.size is None else {**found, "size": file.size}

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


def parse_page(
    answer: httpx.Response, content: bytes, project: str
) -> Sequence[DistributionPackage]:
    base = str(answer.url.copy_with(username=None, password=None))
    if "json" in answer.headers.get("Content-Type", ""):
        return ProjectPage.from_json_data(json.loads(content), base).packages
    text = content.decode(answer.charset_encoding or "utf-8", "replace")
    return ProjectPage.from_html(project, text, base).packages


def indexed_file(package: DistributionPackage, project: str) -> IndexedFile | None:
    """A file as its page lists it; None for one that cannot be the project's, or whose entry is invalid.

    Such are left out as if the page did not name them, as installers do with names that they cannot read.
    """
    url = urlsplit(package.url)._replace(fragment="")
    address = urlunsplit(url._replace(netloc=url.netloc.rpartition("@")[2]))
    sha256 = (package.digests or {}).get("sha256", "")
    # Some indexes write the links' texts as they write the links, with `%2B` for a plus.
    filename = unquote(package.filename)
    version = version_of(filename, project)
    if (
        version is None
        or not is_url(address)
        or not is_size(package.size)
        or not (sha256 == "" or is_sha256(sha256))
    ):
        return None
    yanked = (package.yanked_reason or "") if package.is_yanked else None
    return IndexedFile(project, str(version), filename, address, sha256, package.size, yanked)


def version_of(filename: str, project: str) -> Version | None:
    """The version of a wheel or source distribution of the project, None if the name is that of neither."""
    if not is_filename(filename):
        return None
    if not filename.endswith(".whl"):
        return next(versions_of_sdist(filename, project), None)
    try:
        name, version, *_ = parse_wheel_filename(filename)
    except (InvalidWheelFilename, InvalidVersion):
        return None
    return version if name == project else None
