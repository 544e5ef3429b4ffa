"""An index, or build code beside the resolver, that lies: the worker believes its own reading of the pages
alone."""

from __future__ import annotations

import hashlib
import ipaddress
import json
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import stamina

from images.building import downloads
from images.building.cache import BoundedCache
from images.building.containers.index_proxy import HOME, IndexDoor, IndexedFile
from images.building.downloads import fetch, index_client
from images.building.locks.files import LockedWheel
from images.building.locks.sandboxed import lock_of_files
from images.building.locks.target import Target
from images.errors import FetchFailed, SourceBuildFailed, WheelInvalid
from images.indexes import Index, Indexes
from images.requirement_files.configured import parse_pip_requirements
from tests.http_server import QuietHandler, address_of, serving

pytestmark = pytest.mark.slow

TARGET = Target("3.11")
GOOD, OTHER = "a" * 64, "b" * 64


def a_file(name: str, **values: Any) -> dict[str, Any]:
    return {"filename": name, "url": f"/files/{name}", "hashes": {"sha256": GOOD}, **values}


@contextmanager
def index_of(pages: dict[str, Any]) -> Iterator[str]:
    """An index with these pages (PEP 691): project → its files, or the whole page as text."""

    class Index(QuietHandler):
        def do_GET(self) -> None:
            project = self.path.strip("/").rpartition("/")[2]
            if project not in pages:
                self.send_error(404)
                return
            page = pages[project]
            body = (
                page
                if isinstance(page, bytes)
                else json.dumps(
                    {"meta": {"api-version": "1.0"}, "name": project, "files": page}
                ).encode()
            )
            self.send_response(200)
            self.send_header("Content-Type", "application/vnd.pypi.simple.v1+json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with serving(Index) as server:
        yield f"{address_of(server)}/simple"


@contextmanager
def door_to(*indexes: str) -> Iterator[tuple[IndexDoor, httpx.Client]]:
    """The proxy that build code sees, on a port of this machine, and a client of it."""
    *extra, default = indexes
    door = IndexDoor(
        Indexes(
            default=default,
            extra=tuple(Index(f"extra-{number}", url) for number, url in enumerate(extra)),
        )
    )
    listener = socket.create_server(("127.0.0.1", 0))
    door.serve_on(listener)
    with httpx.Client(base_url=f"http://127.0.0.1:{listener.getsockname()[1]}") as client:
        yield door, client
    door.close()


def filenames(client: httpx.Client, project: str, index: int = 0) -> list[str]:
    answer = client.get(f"/{index}/{project}/")
    assert answer.status_code == 200
    return [file["filename"] for file in answer.json()["files"]]


def test_files_that_no_library_can_have_are_left_out() -> None:
    bad = [
        a_file("../../../../usr/lib/python3/x.pth"),
        a_file("x-1.tar.gz\0"),
        a_file("x-2%2F..%2Fx.tar.gz"),
        a_file("..\\x-1.tar.gz"),
        a_file("other-1.tar.gz"),
        a_file("x.pth"),
        a_file("x-3.tar.gz", hashes={"sha256": "../../cache"}),
        a_file("x-4.tar.gz", hashes={"sha256": "A" * 64}),
        a_file("x-5.tar.gz", size=1 << 62),
        a_file("x-6.tar.gz", size=-5),
        a_file("x-7.tar.gz", url="file:///etc/passwd"),
        a_file("x-8.tar.gz", url="gopher://files.test/x"),
        a_file("x-9.tar.gz", url=f"https://files.test/{'x' * 5000}"),
        a_file("x-10.tar.gz", url='https://files.test/"\n[[packages]]'),
    ]
    for page in bad:
        with index_of({"x": [page, a_file("x-1.tar.gz")]}) as index, door_to(index) as (_, client):
            assert filenames(client, "x") == ["x-1.tar.gz"], page


@pytest.mark.parametrize(
    "page", [b"", b"[]", b'{"files": 5}', b"\xff\xfe", b'{"meta": {"api-version": "9.0"}}']
)
def test_a_page_that_is_none_is_an_error_of_the_index(page: bytes) -> None:
    with index_of({"x": page}) as index, door_to(index) as (_, client):
        assert client.get("/0/x/").status_code == 502


def test_an_address_holds_no_credentials_and_old_names_are_taken() -> None:
    page = [a_file("zope.interface-5.0.tar.gz", url="https://u:secret@files.test/z.tar.gz")]
    with index_of({"zope-interface": page}) as index, door_to(index) as (door, client):
        assert filenames(client, "zope-interface") == ["zope.interface-5.0.tar.gz"]
        (file,) = door.files.values()
    assert file == IndexedFile(
        "zope-interface",
        "5.0",
        "zope.interface-5.0.tar.gz",
        "https://files.test/z.tar.gz",
        GOOD,
        None,
    )


def test_build_code_cannot_have_another_index_answer_for_a_private_library() -> None:
    with (
        index_of({"ours": [a_file("ours-1.tar.gz")]}) as private,
        index_of({"ours": [a_file("ours-9.tar.gz")], "six": [a_file("six-1.tar.gz")]}) as public,
        door_to(private, public) as (door, client),
    ):
        assert client.get("/1/ours/").status_code == 404
        assert filenames(client, "ours") == ["ours-1.tar.gz"]
        assert client.get("/0/six/").status_code == 404
        assert filenames(client, "six", 1) == ["six-1.tar.gz"]
        assert [file.filename for file in door.files.values()] == [
            "ours-1.tar.gz",
            "six-1.tar.gz",
        ]


# --- the lock that build code rewrote ----------------------------------------------------------------------


def served(door: IndexDoor, client: httpx.Client, *projects: str) -> dict[str, str]:
    """File name → its address as build code sees it."""
    found = {}
    for project in projects:
        for file in client.get(f"/0/{project}/").json()["files"]:
            found[file["filename"]] = file["url"]
    return found


def locked(door: IndexDoor, text: str, wanted: str) -> Any:
    with index_client() as client:
        files = door.files_named_in(text)
        return lock_of_files(files, parse_pip_requirements(wanted), TARGET, client, lambda: None)


def test_of_a_rewritten_lock_the_address_alone_is_taken() -> None:
    """The attack of the review: another name, another file's hash, a path that leads to the worker's
    Python."""
    page = [a_file("x-1.tar.gz", size=7), a_file("x-2.tar.gz", hashes={"sha256": OTHER})]
    with index_of({"x": page}) as index, door_to(index) as (door, client):
        url = served(door, client, "x")["x-1.tar.gz"]
        lock = locked(
            door,
            '[[packages]]\nname = "x"\nversion = "1"\nsdist = { '
            f'name = "../../../../usr/lib/python3/dist-packages/x.pth", url = "{url}", '
            f'size = 1, hashes = {{ sha256 = "{OTHER}" }} }}\n',
            "x",
        )
        upstream = f"{index.removesuffix('/simple')}/files/x-1.tar.gz"
    (source,) = lock.sources
    assert (source.filename, source.sha256, source.size) == ("x-1.tar.gz", GOOD, 7)
    assert source.url == upstream
    assert "x.pth" not in lock.text
    assert OTHER not in lock.text
    assert HOME not in lock.text


def test_a_lock_of_what_was_not_asked_for_is_refused() -> None:
    pages = {name: [a_file(f"{name}-{n}.tar.gz") for n in (1, 2)] for name in ("x", "y")}
    with index_of(pages) as index, door_to(index) as (door, client):
        urls = served(door, client, "x", "y")
        with pytest.raises(SourceBuildFailed, match="several versions of x"):
            locked(door, f"{urls['x-1.tar.gz']} {urls['x-2.tar.gz']}", "x")
        with pytest.raises(SourceBuildFailed, match="leaves out y"):
            locked(door, urls["x-1.tar.gz"], "x\ny")
        with pytest.raises(SourceBuildFailed, match=r"names x 1, which was not asked for"):
            locked(door, urls["x-1.tar.gz"], "x>1")
        # An address that no page named is as if it were not there.
        with pytest.raises(SourceBuildFailed, match="leaves out x"):
            locked(door, f"{HOME}/0/files/{'0' * 64}/x-1.tar.gz http://169.254.169.254/x", "x")


class Files(QuietHandler):
    """Gives `content`, or sends elsewhere."""

    content = b"content"
    location = ""

    def do_GET(self) -> None:
        self.send_response(302 if self.location else 200)
        if self.location:
            self.send_header("Location", self.location)
        self.send_header("Content-Length", str(len(self.content)))
        self.end_headers()
        self.wfile.write(self.content)


def test_where_the_index_tells_no_hash_the_worker_takes_it_itself() -> None:
    with serving(Files) as files:
        page = [a_file("x-1.tar.gz", url=f"{address_of(files)}/x-1.tar.gz", hashes={})]
        with index_of({"x": page}) as index, door_to(index) as (door, client):
            url = served(door, client, "x")["x-1.tar.gz"]
            (source,) = locked(door, f'url = "{url}" sha256 = "{OTHER}"', "x").sources
    assert (source.sha256, source.size) == (hashlib.sha256(b"content").hexdigest(), 7)


# --- files -------------------------------------------------------------------------------------------------


def fetched(wheel: LockedWheel, folder: Path, client: httpx.Client | None = None) -> Path:
    cache = BoundedCache(folder / "cache", 10**6)
    with client or index_client() as used, stamina.set_testing(True, attempts=10, cap=True):
        return fetch(used, wheel, cache, folder / "work", lambda: None)


@pytest.mark.parametrize("location", ["file:///etc/passwd", "ftp://files.test/x", "http://"])
def test_a_redirect_to_what_is_no_web_address_fails_at_once(location: str, tmp_path: Path) -> None:
    class Elsewhere(Files):
        pass

    Elsewhere.location = location
    with serving(Elsewhere) as files, pytest.raises(FetchFailed):
        fetched(
            LockedWheel("x", "1", "x-1-py3-none-any.whl", f"{address_of(files)}/x", GOOD), tmp_path
        )
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_file_that_is_not_what_was_locked_leaves_nothing_behind(tmp_path: Path) -> None:
    with serving(Files) as files, pytest.raises(WheelInvalid):
        fetched(
            LockedWheel("x", "1", "x-1-py3-none-any.whl", f"{address_of(files)}/x", GOOD), tmp_path
        )
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


class ResetsOnce:
    """Answers the first request and resets the connection at once; then it serves the content."""

    def __init__(self) -> None:
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.was_reset = threading.Event()
        self.address = f"http://127.0.0.1:{self.listening.getsockname()[1]}"

    def run(self) -> None:
        for number in range(2):
            link, _ = self.listening.accept()
            link.recv(65536)
            link.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n" + b"content" * number)
            if not number:
                link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            link.close()
            self.was_reset.set()


def test_a_connection_that_is_reset_after_the_answers_head_is_tried_again(tmp_path: Path) -> None:
    """Whose answer it was cannot be told any more, so it is not used."""
    server = ResetsOnce()
    thread = threading.Thread(target=server.run)
    thread.start()

    def wait(response: httpx.Response) -> None:
        server.was_reset.wait(10)

    with server.listening:
        client = index_client()
        client.event_hooks = {"response": [wait, *client.event_hooks["response"]]}
        digest = hashlib.sha256(b"content").hexdigest()
        wheel = LockedWheel("x", "1", "x-1-py3-none-any.whl", f"{server.address}/x", digest)
        assert fetched(wheel, tmp_path, client).read_bytes() == b"content"
        thread.join()


def test_an_address_of_the_machines_own_metadata_is_not_passed_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Whatever name leads there: the connection is looked at. Here this machine stands for the service."""
    with serving(Files) as files, index_client() as client:
        assert client.get(address_of(files)).content == b"content"
        monkeypatch.setattr(downloads, "METADATA", [ipaddress.ip_network("127.0.0.0/8")])
        with pytest.raises(httpx.UnsupportedProtocol):
            client.get(address_of(files).replace("127.0.0.1", "localhost"))
        wheel = LockedWheel("x", "1", "x-1-py3-none-any.whl", f"{address_of(files)}/x", GOOD)
        with pytest.raises(FetchFailed, match="own metadata"):
            fetched(wheel, tmp_path)
    monkeypatch.undo()
    for address in ("169.254.169.254", "169.254.170.2", "fd00:ec2::254", "fe80::1"):
        assert any(ipaddress.ip_address(address) in network for network in downloads.METADATA)
