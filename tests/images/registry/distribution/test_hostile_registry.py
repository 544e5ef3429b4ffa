"""A registry, layout or image that lies: nothing it says is a path, an address or an argument unchecked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from images.building.bases import content, from_layout, from_registry, inspection
from images.building.workshop import name_of
from images.errors import (
    BaseImageUnusable,
    DigestMismatch,
    RegistryDenied,
    RegistryError,
    RegistryUnavailable,
)
from images.registry.distribution.client import RegistryClient
from images.registry.distribution.descriptors import (
    MAX_BLOB,
    OCI_INDEX,
    OCI_MANIFEST,
    Descriptor,
    Manifest,
    digest_of,
)
from images.registry.distribution.transport import Credentials

DIGEST = "sha256:" + "a" * 64
BAD_DIGESTS = [
    "sha256:../../../etc/passwd",
    "sha256:" + "A" * 64,
    "sha256:" + "a" * 64 + "\n",
    "sha512:" + "a" * 128,
    "../" + DIGEST,
    "",
    None,
    5,
    ["a"],
]


@pytest.mark.parametrize("digest", BAD_DIGESTS)
def test_no_descriptor_and_no_path_is_made_of_what_is_no_digest(digest: Any) -> None:
    with pytest.raises(DigestMismatch):
        Descriptor.from_json({"digest": digest, "size": 1})
    with pytest.raises(DigestMismatch):
        Descriptor("", digest, 1)
    with pytest.raises(DigestMismatch):
        name_of(digest)


@pytest.mark.parametrize("size", [-1, MAX_BLOB + 1, "5", 1.5, None, True])
def test_no_descriptor_has_an_impossible_size(size: Any) -> None:
    with pytest.raises(DigestMismatch):
        Descriptor.from_json({"digest": DIGEST, "size": size})


@pytest.mark.parametrize("media_type", ['x/y", "z": "', "x\ny", "x" * 300])
def test_no_descriptor_has_a_media_type_of_anything(media_type: str) -> None:
    with pytest.raises(DigestMismatch):
        Descriptor.from_json({"digest": DIGEST, "size": 1, "mediaType": media_type})


def client_of(handler: Any, *, credentials: bool = False) -> RegistryClient:
    return RegistryClient(
        "https://registry.test",
        read_only=True,
        transport=httpx.MockTransport(handler),
        sleep=lambda seconds: None,
        credentials=(lambda refused=None: Credentials("AWS", "secret")) if credentials else None,
    )


@pytest.mark.parametrize(
    "manifest",
    [
        {"config": {"digest": DIGEST, "size": 1}, "layers": {"digest": DIGEST}},
        {"config": {"digest": DIGEST, "size": 1}, "layers": [{"digest": "sha256:../x", "size": 1}]},
        {"config": "x", "layers": []},
        {"config": {"digest": DIGEST, "size": 1}, "layers": [{"digest": DIGEST, "size": 1}] * 200},
        [],
        "x",
    ],
)
def test_a_manifest_that_lies_is_an_error_with_a_sentence(manifest: Any) -> None:
    raw = json.dumps(manifest).encode()
    with pytest.raises((BaseImageUnusable, DigestMismatch, RegistryError)):
        content.blobs_of(Manifest(raw, OCI_MANIFEST, digest_of(raw)))


def test_an_index_names_no_other_address_of_the_registry() -> None:
    platform = {"os": "linux", "architecture": "amd64"}
    index = {
        "manifests": [
            5,
            {"digest": "../../other/manifests/latest", "size": 1, "platform": platform},
        ]
    }
    with pytest.raises(DigestMismatch):
        from_registry.platform_manifest(index, "x")
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        return httpx.Response(200, json=index, headers={"Content-Type": OCI_INDEX})

    with client_of(answer) as client:
        for reference in ("../../x", "a/b", "", "sha256:x", "a?b", "a\n"):
            with pytest.raises(RegistryError):
                client.get_manifest("some/repository", reference)
    assert asked == []


def test_an_endless_manifest_is_not_read_to_its_end() -> None:
    sent = 0

    def endless() -> Any:
        nonlocal sent
        while True:
            sent += 1 << 20
            yield bytes(1 << 20)

    class Endless(httpx.SyncByteStream):
        def __iter__(self) -> Any:
            return endless()

    with (
        client_of(lambda request: httpx.Response(200, stream=Endless())) as client,
        pytest.raises(RegistryError, match="larger than 4 MiB"),
    ):
        client.get_manifest("some/repository", "latest")
    assert sent < 10 << 20


@pytest.mark.parametrize("location", ["file:///etc/passwd", "http://registry.test/x", "ftp://x/y"])
def test_a_redirect_out_of_tls_or_the_web_is_not_followed(location: str) -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        return httpx.Response(307, headers={"Location": location})

    with client_of(answer) as client, pytest.raises(RegistryError, match="not https"):
        client.get_manifest("some/repository", "latest")
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("realm", "told"),
    [
        ("https://registry.test/token", True),
        ("https://elsewhere.test/token", False),
        ("http://registry.test/token", None),
        ("file:///etc/passwd", None),
        ("https://[", None),
    ],
)
def test_a_token_server_elsewhere_gets_no_credentials(realm: str, told: bool | None) -> None:
    tokens: list[bool] = []

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/token":
            tokens.append("Authorization" in request.headers)
            return httpx.Response(200, json={"token": "t\r\nX: y"})
        return httpx.Response(401, headers={"WWW-Authenticate": f'Bearer realm="{realm}"'})

    with (
        client_of(answer, credentials=True) as client,
        pytest.raises((RegistryDenied, RegistryUnavailable)),
    ):
        client.get_manifest("some/repository", "latest")
    assert tokens == ([] if told is None else [told])


def test_without_the_header_a_manifests_digest_is_computed() -> None:
    raw = b'{"schemaVersion":2}'

    def answer(request: httpx.Request) -> httpx.Response:
        body = raw if request.method == "GET" else b""
        return httpx.Response(200, content=body, headers={"Content-Type": OCI_MANIFEST})

    with client_of(answer) as client:
        found = client.head_manifest("some/repository", "latest")
    assert found == Descriptor(OCI_MANIFEST, digest_of(raw), len(raw))


# --- layouts and images ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "index",
    [
        b"x",
        b"[]",
        b'{"manifests": [5]}',
        b'{"manifests": {"a": 1}}',
        b'{"manifests": [{"digest": "sha256:../../../../etc/passwd", "size": 1}]}',
    ],
)
def test_a_layout_that_lies_is_refused(index: bytes, tmp_path: Path) -> None:
    (tmp_path / "oci-layout").write_text("{}")
    (tmp_path / "index.json").write_bytes(index)
    with pytest.raises((BaseImageUnusable, DigestMismatch, RegistryError)):
        from_layout.from_oci_layout(tmp_path, work=tmp_path / "work")


@pytest.mark.parametrize(
    "config",
    [
        b"[]",
        b"{}",
        b'{"rootfs": {"diff_ids": ["x"]}}',
        b'{"rootfs": {"diff_ids": []}, "config": {"Env": "PATH=/x"}}',
        b'{"rootfs": {"diff_ids": []}, "config": {"Env": [5]}}',
        b'{"rootfs": 5, "config": 5}',
    ],
)
def test_a_config_that_is_none_is_refused(config: bytes) -> None:
    with pytest.raises((BaseImageUnusable, DigestMismatch)):
        content.config_of(config)


def test_an_interpreter_is_a_plain_path() -> None:
    """It becomes a line of pyvenv.cfg, a link's target, and an argument of uv."""
    evil = "/x\nhome = \n/python3.11"
    tree = inspection.FileTree(files={evil, "/usr/bin/python3.11"}, links={"/y/python3": evil})
    path = "/y:/x\nhome = \n:/usr/bin"
    tree.links["/usr/bin/python3"] = "python3.11"
    assert inspection.find_interpreter(tree, path) == "/usr/bin/python3.11"


def test_what_an_image_says_of_its_packages_is_a_name_and_a_version() -> None:
    status = "\n\n".join(
        f"Package: {name}\nStatus: install ok installed\nVersion: {version}"
        for name, version in (
            ("libc6", "2.36-9+deb12u1"),
            ("x y", "1"),
            ("z", "<script>"),
            ("g++", "4:12.2"),
        )
    )
    assert inspection.dpkg_packages(status) == (("g++", "4:12.2"), ("libc6", "2.36-9+deb12u1"))
    folder = "/usr/lib/python3/dist-packages"
    tree = inspection.FileTree(
        texts={
            f"{folder}/a.dist-info/METADATA": "Name: a\nVersion: 1.0\n",
            f"{folder}/b.dist-info/METADATA": 'Name: b"\nVersion: 1.0\n',
            f"{folder}/c.dist-info/METADATA": f"Name: c\nVersion: {'1' * 200}\n",
        }
    )
    assert inspection.installed_libraries(tree, [folder]) == (("a", "1.0"),)
