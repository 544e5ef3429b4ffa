"""What other servers answer is read up to a limit."""

from __future__ import annotations

import gzip
from collections.abc import Iterator

import httpx
import pytest
import requests

from images.building.commands import MAX_LINE, Lines, OutputExcerpt
from images.errors import RegistryDenied, RegistryError, TooMuchOutput
from images.registry.distribution.transport import MAX_ANSWER, Transport
from ri_platform.bounded import AnswerTooLarge, whole
from tests.http_server import QuietHandler, serving
from workspaces.sign_in.provider_session import bound_session


class Endless(httpx.SyncByteStream):
    """A body without an end; it counts what was taken of it."""

    def __init__(self, piece: bytes = b"x" * 65_536) -> None:
        self.piece, self.taken = piece, 0

    def __iter__(self) -> Iterator[bytes]:
        while True:
            self.taken += len(self.piece)
            yield self.piece


def test_an_answer_without_end_is_given_up() -> None:
    body = Endless()
    client = httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(200, stream=body)))
    with (
        client.stream("GET", "https://index.test/simple/a/") as response,
        pytest.raises(AnswerTooLarge, match=r"index\.test answered with more than 1,000,000"),
    ):
        whole(response, 1_000_000)
    assert body.taken < 1_200_000


@pytest.mark.slow
def test_an_answer_counts_as_unpacked() -> None:
    packed = gzip.compress(bytes(30_000_000))
    headers = {"Content-Encoding": "gzip"}

    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers=headers, stream=httpx.ByteStream(packed))

    client = httpx.Client(transport=httpx.MockTransport(answer))
    with (
        client.stream("GET", "https://index.test/") as response,
        pytest.raises(AnswerTooLarge),
    ):
        whole(response, 1_000_000)
    with client.stream("GET", "https://index.test/") as response:
        read = whole(response, 40_000_000)
    assert (len(read.content), "content-encoding" in read.headers) == (30_000_000, False)


@pytest.mark.parametrize(("status", "error"), [(200, RegistryError), (403, RegistryDenied)])
def test_a_registry_that_answers_without_end_is_given_up(
    status: int, error: type[Exception]
) -> None:
    body = Endless()
    transport = Transport(
        "https://registry.test",
        transport=httpx.MockTransport(lambda _: httpx.Response(status, stream=body)),
        attempts=1,
    )
    with pytest.raises(error):
        transport.request("GET", "/v2/x/manifests/y")
    assert body.taken <= MAX_ANSWER + 200_000


def test_what_an_answer_to_head_tells_of_its_body_is_kept() -> None:
    headers = {"Content-Length": "1234", "Docker-Content-Digest": "sha256:x"}
    transport = Transport(
        "https://registry.test",
        transport=httpx.MockTransport(lambda _: httpx.Response(200, headers=headers)),
    )
    assert transport.request("HEAD", "/v2/x/manifests/y").headers["Content-Length"] == "1234"


def test_an_identity_provider_that_answers_without_end_is_given_up() -> None:
    class Provider(QuietHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            try:
                for _ in range(1000):
                    self.wfile.write(b"x" * 65_536)
            except OSError:
                pass

    with (
        serving(Provider) as server,
        bound_session(requests.Session()) as session,
        pytest.raises(requests.RequestException, match="more than 2,097,152 bytes"),
    ):
        session.get(f"http://127.0.0.1:{server.server_port}/", timeout=10)


def test_lines_are_cut_and_counted() -> None:
    lines = Lines(limit=100_000)
    found = [line for piece in (b"a" * 50_000, b"b\nshort\nrest") for line in lines.split(piece)]
    assert found == ["a" * MAX_LINE + " … (cut)", "short"]
    assert list(lines.end()) == ["rest"]
    with pytest.raises(TooMuchOutput, match="said more than"):
        list(lines.split(b"\n" * 60_000))


def test_of_what_was_said_the_first_and_the_last_lines_are_kept() -> None:
    said = OutputExcerpt()
    for number in range(10_000):
        said.append(str(number))
    kept = said.lines()
    assert (kept[0], kept[-1], len(kept)) == ("0", "9999", 251)
    assert "… 9,750 lines are left out here …" in kept
