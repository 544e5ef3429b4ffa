"""The distribution client against a registry that misbehaves in every way a real one may."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from images.errors import (
    DigestMismatch,
    RegistryDenied,
    RegistryError,
    RegistryNotFound,
    RegistryUnavailable,
)
from images.registry.distribution.client import RegistryClient
from images.registry.distribution.descriptors import OCI_MANIFEST, Descriptor, digest_of
from images.registry.distribution.sources import GivenUp, GrowingFile
from images.registry.distribution.transport import Credentials
from images.registry.ecr.permissions import BUILD_JOB_ACTIONS, iam_action
from images.registry.reference import parse_reference
from tests.local_aws import LocalAWS

REPOSITORY = "prefix/image"
Handler = Callable[[httpx.Request], httpx.Response]


class Script:
    """A registry by script: each request is answered by `handler` and kept."""

    def __init__(self, handler: Handler) -> None:
        self.handler = handler
        self.requests: list[httpx.Request] = []
        self.bodies: list[bytes] = []
        self.slept: list[float] = []

    def client(self, password: str = "secret") -> RegistryClient:
        return RegistryClient(
            "https://registry.test",
            credentials=lambda refused=None: Credentials("AWS", password),
            guard=str,
            transport=httpx.MockTransport(self.answer),
            sleep=self.slept.append,
        )

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.bodies.append(request.read())
        self.requests.append(request)
        return self.handler(request)


def in_turn(*answers: httpx.Response | Exception) -> Handler:
    waiting = iter(answers)

    def handler(request: httpx.Request) -> httpx.Response:
        answer = next(waiting)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return handler


def blob(data: bytes) -> Descriptor:
    return Descriptor("application/octet-stream", digest_of(data), len(data))


def test_a_busy_registry_is_asked_again_when_it_says() -> None:
    script = Script(
        in_turn(
            httpx.Response(429, headers={"Retry-After": "7"}),
            httpx.Response(503),
            httpx.ConnectError("refused"),
            httpx.Response(200),
        )
    )
    assert script.client().has_blob(REPOSITORY, digest_of(b"x")) is True
    assert script.slept[0] == 7
    assert len(script.requests) == 4


def test_an_endless_retry_after_is_capped() -> None:
    script = Script(
        in_turn(httpx.Response(429, headers={"Retry-After": "86400"}), httpx.Response(200))
    )
    script.client().has_blob(REPOSITORY, digest_of(b"x"))
    assert script.slept == [30]


def test_a_registry_that_stays_broken_is_told_with_its_own_words() -> None:
    body = {"errors": [{"code": "TOOMANYREQUESTS", "message": "slow down"}]}
    script = Script(lambda request: httpx.Response(500, json=body))
    with pytest.raises(RegistryUnavailable, match="TOOMANYREQUESTS slow down"):
        script.client().get_manifest(REPOSITORY, "latest")
    assert len(script.requests) == 5


def test_a_refusal_is_told_without_the_credentials() -> None:
    script = Script(lambda request: httpx.Response(403, json={"errors": [{"code": "DENIED"}]}))
    with pytest.raises(RegistryDenied) as caught:
        script.client("hunter2").get_manifest(REPOSITORY, "latest")
    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in repr(Credentials("AWS", "hunter2"))


def test_an_expired_token_is_renewed_once() -> None:
    script = Script(
        in_turn(
            httpx.Response(401, headers={"WWW-Authenticate": 'Basic realm="r"'}),
            httpx.Response(200),
        )
    )
    assert script.client().has_blob(REPOSITORY, digest_of(b"x"))
    refused = Script(
        lambda request: httpx.Response(401, headers={"WWW-Authenticate": 'Basic realm="r"'})
    )
    with pytest.raises(RegistryDenied):
        refused.client().has_blob(REPOSITORY, digest_of(b"x"))
    assert len(refused.requests) == 2


def test_a_bearer_challenge_is_answered_anonymously_and_remembered() -> None:
    data = b'{"schemaVersion":2}'

    def handler(request: httpx.Request) -> httpx.Response:
        if request.url.host == "auth.test":
            assert "Authorization" not in request.headers
            assert request.url.params["scope"] == "repository:library/python:pull"
            return httpx.Response(200, json={"token": "t1"})
        if request.headers.get("Authorization") != "Bearer t1":
            challenge = (
                'Bearer realm="https://auth.test/token",service="registry.test",'
                'scope="repository:library/python:pull"'
            )
            return httpx.Response(401, headers={"WWW-Authenticate": challenge})
        return httpx.Response(200, content=data, headers={"Content-Type": OCI_MANIFEST})

    script = Script(handler)
    client = RegistryClient(
        "https://registry.test", read_only=True, transport=httpx.MockTransport(script.answer)
    )
    assert client.get_manifest("library/python", "3.11").raw == data
    client.get_manifest("library/python", "3.11")
    assert [request.url.host for request in script.requests].count("auth.test") == 1


def test_a_redirect_elsewhere_does_not_get_the_authorization(tmp_path: Path) -> None:
    data = b"layer"

    def handler(request: httpx.Request) -> httpx.Response:
        if request.url.host == "registry.test":
            assert "Authorization" in request.headers
            return httpx.Response(307, headers={"Location": "https://bucket.test/x?sig=1"})
        assert "Authorization" not in request.headers
        return httpx.Response(200, stream=httpx.ByteStream(data))

    target = tmp_path / "blob"
    Script(handler).client().download_blob(REPOSITORY, blob(data), target, check=lambda: None)
    assert target.read_bytes() == data


def test_an_upload_that_is_sent_elsewhere_does_not_take_the_authorization_along(
    tmp_path: Path,
) -> None:
    source = tmp_path / "blob"
    source.write_bytes(b"layer")

    def handler(request: httpx.Request) -> httpx.Response:
        if request.url.host == "registry.test":
            assert "Authorization" in request.headers
            return httpx.Response(202, headers={"Location": "https://storage.test/upload?signed=1"})
        assert "Authorization" not in request.headers
        return httpx.Response(202 if request.method == "PATCH" else 201)

    script = Script(handler)
    script.client().upload_blob(REPOSITORY, digest_of(b"layer"), 5, source, check=lambda: None)
    assert [r.url.host for r in script.requests] == [
        "registry.test",
        "storage.test",
        "storage.test",
    ]


def test_redirects_in_circles_end() -> None:
    script = Script(lambda request: httpx.Response(307, headers={"Location": "/again"}))
    with pytest.raises(RegistryError, match="circles"):
        script.client().get_manifest(REPOSITORY, "latest")


@pytest.mark.parametrize("sent", [b"other", b"layer and more", b"lay"])
def test_a_blob_with_other_content_never_appears(sent: bytes, tmp_path: Path) -> None:
    script = Script(lambda request: httpx.Response(200, stream=httpx.ByteStream(sent)))
    with pytest.raises(DigestMismatch):
        script.client().download_blob(
            REPOSITORY, blob(b"layer"), tmp_path / "blob", check=lambda: None
        )
    assert list(tmp_path.iterdir()) == []


def test_a_manifest_with_another_digest_is_refused() -> None:
    script = Script(
        lambda request: httpx.Response(
            200, content=b"{}", headers={"Docker-Content-Digest": digest_of(b"[]")}
        )
    )
    with pytest.raises(DigestMismatch):
        script.client().get_manifest(REPOSITORY, "latest")
    by_digest = Script(lambda request: httpx.Response(200, content=b"{}"))
    with pytest.raises(DigestMismatch):
        by_digest.client().get_manifest(REPOSITORY, digest_of(b"[]"))


def test_a_mount_is_done_or_not() -> None:
    assert (
        Script(lambda r: httpx.Response(201))
        .client()
        .mount_blob(REPOSITORY, digest_of(b"x"), "p/q")
    )
    script = Script(lambda r: httpx.Response(202, headers={"Location": "/v2/x/blobs/uploads/1"}))
    assert not script.client().mount_blob(REPOSITORY, digest_of(b"x"), "p/q")
    assert [request.method for request in script.requests] == ["POST"]


def test_an_upload_goes_in_parts_to_where_the_registry_says(tmp_path: Path) -> None:
    data = b"0123456789"
    source = tmp_path / "layer"
    source.write_bytes(data)

    def handler(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            return httpx.Response(202, headers={"Location": "/v2/u/1?state=a"})
        if request.method == "PATCH":
            return httpx.Response(202, headers={"Location": "https://registry.test/v2/u/1?state=b"})
        return httpx.Response(201)

    script = Script(handler)
    script.client().upload_blob(
        REPOSITORY, digest_of(data), len(data), source, chunk_size=4, check=lambda: None
    )
    patches = [r for r in script.requests if r.method == "PATCH"]
    assert [r.headers["Content-Range"] for r in patches] == ["0-3", "4-7", "8-9"]
    assert b"".join(script.bodies[1:4]) == data
    final = script.requests[-1]
    assert (final.method, final.url.params["digest"]) == ("PUT", digest_of(data))
    assert final.url.params["state"] == "b"


def test_a_growing_file_is_sent_while_it_is_written(tmp_path: Path) -> None:
    """The second part is written only after the registry has the first."""
    path = tmp_path / "layer"
    file = GrowingFile(path)

    def handler(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            path.write_bytes(b"01234")
        elif request.method == "PATCH" and request.headers["Content-Range"] == "0-3":
            path.write_bytes(b"0123456789")
            file.end(blob(b"0123456789"))
        return httpx.Response(201, headers={"Location": "/v2/u/1"})

    script = Script(handler)
    path.touch()
    script.client().upload_growing_blob(REPOSITORY, file, chunk_size=4, check=lambda: None)
    assert b"".join(script.bodies) == b"0123456789"
    assert [r.headers.get("Content-Range") for r in script.requests[1:-1]] == ["0-3", "4-7", "8-9"]
    assert script.requests[-1].url.params["digest"] == digest_of(b"0123456789")


@pytest.mark.parametrize("written", [b"", b"01234567"])
def test_a_growing_file_that_is_given_up_is_no_blob(written: bytes, tmp_path: Path) -> None:
    path = tmp_path / "layer"
    if written:
        path.write_bytes(written)
    file = GrowingFile(path)
    script = Script(lambda r: httpx.Response(202, headers={"Location": "/v2/u/1"}))
    threading.Timer(0.1, file.end, [None]).start()
    with pytest.raises(GivenUp):
        script.client().upload_growing_blob(REPOSITORY, file, chunk_size=4, check=lambda: None)
    assert "PUT" not in [r.method for r in script.requests]


def test_who_waits_for_a_growing_file_is_asked_whether_to_go_on(tmp_path: Path) -> None:
    def stop() -> None:
        raise LookupError

    script = Script(lambda r: httpx.Response(202, headers={"Location": "/v2/u/1"}))
    with pytest.raises(LookupError):
        script.client().upload_growing_blob(REPOSITORY, GrowingFile(tmp_path / "no"), check=stop)


def test_a_cut_upload_starts_anew_a_bounded_number_of_times(tmp_path: Path) -> None:
    source = tmp_path / "layer"
    source.write_bytes(b"data")

    def cut(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            return httpx.Response(202, headers={"Location": "/v2/u/1"})
        raise httpx.WriteError("connection reset")

    script = Script(cut)
    with pytest.raises(RegistryUnavailable):
        script.client().upload_blob(REPOSITORY, digest_of(b"data"), 4, source, check=lambda: None)
    assert [r.method for r in script.requests] == ["POST", "PATCH"] * 3


def test_a_missing_manifest_is_none_or_an_error() -> None:
    script = Script(lambda request: httpx.Response(404))
    assert script.client().head_manifest(REPOSITORY, "x") is None
    with pytest.raises(RegistryNotFound):
        script.client().get_manifest(REPOSITORY, "x")


def test_a_reader_writes_nothing(tmp_path: Path) -> None:
    client = RegistryClient("https://registry.test", read_only=True)
    with pytest.raises(RegistryError, match="only reads"):
        client.put_manifest("a/b", "x", b"{}", OCI_MANIFEST)
    with pytest.raises(RegistryError, match="only reads"):
        client.upload_blob("a/b", digest_of(b""), 0, tmp_path, check=lambda: None)


@pytest.mark.parametrize(
    ("text", "registry", "repository", "reference"),
    [
        ("python:3.11-slim", "https://registry-1.docker.io", "library/python", "3.11-slim"),
        ("team/tool", "https://registry-1.docker.io", "team/tool", "latest"),
        ("127.0.0.1:4566/a/b:c", "http://127.0.0.1:4566", "a/b", "c"),
        ("host.test/a@sha256:" + "0" * 64, "https://host.test", "a", "sha256:" + "0" * 64),
    ],
)
def test_references(text: str, registry: str, repository: str, reference: str) -> None:
    parsed = parse_reference(text)
    assert (parsed.registry, parsed.repository, parsed.reference) == (
        registry,
        repository,
        reference,
    )


@pytest.mark.parametrize(
    "text", ["", "UPPER/case", "a b", "host.test/a@md5:00", "../x", "a:" + "b" * 200]
)
def test_what_is_no_reference_is_refused(text: str) -> None:
    with pytest.raises(RegistryError, match="not an image reference"):
        parse_reference(text)


@pytest.mark.slow
def test_a_push_to_the_local_registry_needs_only_documented_actions(
    aws: LocalAWS, tmp_path: Path
) -> None:
    data = hashlib.sha256(b"seed").digest() * 400_000
    source = tmp_path / "layer"
    source.write_bytes(data)
    asked: set[str] = set()
    with (
        aws.repositories("rime-managed-images/push", "rime-managed-images/mount"),
        aws.client(on_request=lambda method, path: asked.add(iam_action(method, path))) as client,
    ):
        client.upload_blob(
            "rime-managed-images/push", digest_of(data), len(data), source, check=lambda: None
        )
        assert client.mount_blob(
            "rime-managed-images/mount", digest_of(data), "rime-managed-images/push"
        )
        assert client.has_blob("rime-managed-images/mount", digest_of(data))
        client.download_blob(
            "rime-managed-images/mount", blob(data), tmp_path / "back", check=lambda: None
        )
    assert (tmp_path / "back").read_bytes() == data
    assert asked <= set(BUILD_JOB_ACTIONS)
