"""A request takes a thread of the web process only when all of it has arrived."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from urllib.parse import urlsplit

import httpx
import pytest

from ri_platform.local import services
from tests.web_process import web_process

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

HELD = 64


@pytest.fixture(scope="module")
def address(django_db_setup: None, django_db_blocker: object) -> Iterator[str]:
    """A web process that waits three seconds for a body and keeps 4 MB of unfinished ones."""
    with web_process(
        services.free_port(), RI_REQUEST_BODY_SECONDS="3", RI_REQUEST_BODIES_MB="4"
    ) as address:
        yield address


def connect(address: str) -> socket.socket:
    parts = urlsplit(address)
    return socket.create_connection((parts.hostname, parts.port), timeout=30)


def head(path: str, *headers: str) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", "Content-Type: application/json", *headers]
    return "\r\n".join([*lines, "", ""]).encode()


@contextmanager
def held(address: str, path: str, headers: tuple[str, ...], begun: bytes = b"") -> Iterator[None]:
    """Connections whose requests never end."""
    with ExitStack() as stack:
        for _ in range(HELD):
            connection = stack.enter_context(connect(address))
            connection.sendall(head(path, *headers) + begun)
        yield


@pytest.mark.parametrize(
    ("path", "headers", "begun"),
    [
        ("/csp-report", ("Content-Length: 100",), b""),
        ("/csp-report", ("Transfer-Encoding: chunked",), b"5\r\nhello\r\n"),
        ("/signin", ("Content-Length: 100",), b"login="),
        ("/v1/images", ("Content-Length: 100",), b"{"),
        ("/nowhere", ("Content-Length: 100",), b""),
    ],
)
def test_requests_whose_body_never_comes_keep_nobody_waiting(
    address: str, path: str, headers: tuple[str, ...], begun: bytes
) -> None:
    with held(address, path, headers, begun):
        for _ in range(10):
            assert httpx.get(f"{address}/healthz", timeout=2).text == "ok\n"
        assert httpx.get(f"{address}/signin", timeout=5).status_code == 200


def test_a_body_that_takes_too_long_is_answered_and_the_connection_closed(address: str) -> None:
    with connect(address) as connection:
        connection.sendall(head("/v1/images", "Content-Length: 100") + b"{")
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        told = json.load(answer)
        assert (answer.status, answer.headers["Connection"]) == (408, "close")
        assert connection.recv(1) == b""
    assert told["details"] == [{"reason": "request_timeout", "field": ""}]
    assert "3 seconds" in told["message"]


def test_a_body_that_comes_in_pieces_is_whole(address: str) -> None:
    body = b'{"csp-report": {"document-uri": "https://images.example/"}}'
    with connect(address) as connection:
        connection.sendall(head("/csp-report", "Connection: close", f"Content-Length: {len(body)}"))
        for number in range(0, len(body), 7):
            connection.sendall(body[number : number + 7])
        assert connection.recv(65536).startswith(b"HTTP/1.1 204 ")


def test_a_body_without_a_length_is_read_as_one_with_it(address: str) -> None:
    """RFC 9112, 7.1: chunked."""

    def pieces() -> Iterator[bytes]:
        yield b"login=member&"
        yield b"password=wrong"

    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    chunked = httpx.post(f"{address}/signin", content=pieces(), headers=kind)
    whole = httpx.post(f"{address}/signin", content=b"".join(pieces()), headers=kind)
    assert chunked.status_code == whole.status_code
    assert chunked.text == whole.text


@pytest.mark.parametrize("headers", [("Content-Length: 2500001",), ("Transfer-Encoding: chunked",)])
def test_a_large_body_is_refused_before_it_has_come(address: str, headers: tuple[str, ...]) -> None:
    with connect(address) as connection:
        connection.sendall(head("/v1/images", *headers))
        if "chunked" in headers[0]:
            piece = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
            for _ in range(2_500_000 // 0x10000 + 1):
                connection.sendall(piece)
        answer = connection.recv(65536)
    assert answer.startswith(b"HTTP/1.1 413 "), answer


def test_unfinished_bodies_share_a_bounded_memory(address: str) -> None:
    """Four times 1.5 MB are more than the 4 MB there are: some are told to come again."""
    with ExitStack() as stack:
        answers = []
        for _ in range(4):
            connection = stack.enter_context(connect(address))
            connection.sendall(head("/v1/images", "Content-Length: 2000000") + b"x" * 1_500_000)
            answers.append(connection)
        assert httpx.get(f"{address}/healthz", timeout=2).status_code == 200
        statuses = {connection.recv(12) for connection in answers}
    # All of them together may be too much at some moment; a single one never is.
    assert b"HTTP/1.1 503" in statuses
    assert statuses <= {b"HTTP/1.1 408", b"HTTP/1.1 503"}
    # What they held is free again.
    assert httpx.post(f"{address}/v1/images", content=b"x" * 2_400_000).status_code == 401


def test_readers_that_do_not_read_hold_no_thread(address: str) -> None:
    """Sixty-four downloads of the largest file, none of which is read."""
    page = httpx.get(f"{address}/signin").text
    file = page.split('href="/static/')[1].split('"')[0]
    with ExitStack() as stack:
        for _ in range(HELD):
            connection = stack.enter_context(connect(address))
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            connection.sendall(f"GET /static/{file} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        for _ in range(10):
            assert httpx.get(f"{address}/healthz", timeout=2).text == "ok\n"


def test_a_header_with_an_underscore_is_not_taken_for_one_with_a_hyphen(address: str) -> None:
    """WSGI writes both alike (PEP 3333), so `X_Forwarded_For` could pass for what a proxy said."""
    answer = httpx.get(f"{address}/v1/rime-info", headers={"rime_api_key": "x"})
    plain = httpx.get(f"{address}/v1/rime-info")
    assert answer.status_code == plain.status_code == 401
    assert answer.json()["message"] == plain.json()["message"]


@pytest.mark.parametrize("path", ["/%ff", "/signin/%2e%2e/%c3%a9", "/signin?next=%ff&x=%c3%a9"])
def test_odd_addresses_get_an_answer(address: str, path: str) -> None:
    assert httpx.get(address + path).status_code in (200, 404)
