"""The local AWS keeps what it was given, however it ends."""

from __future__ import annotations

import json
import os
from pathlib import Path

import httpx
import pytest

from images.building.push import manifests
from images.errors import RegistryError
from images.registry.distribution.client import RegistryClient
from images.registry.distribution.descriptors import (
    OCI_CONFIG,
    OCI_INDEX,
    OCI_LAYER_GZIP,
    OCI_MANIFEST,
    Descriptor,
    digest_of,
)
from images.registry.distribution.transport import Credentials
from images.registry.ecr import local_iam
from images.registry.naming import DEFAULT_PREFIX
from ri_platform.local import services
from tests.local_aws import LocalAWS

pytestmark = pytest.mark.slow

REPOSITORY, GONE = f"{DEFAULT_PREFIX}/kept", f"{DEFAULT_PREFIX}/gone"
OTHER, LAYER = f"{DEFAULT_PREFIX}/other", b"layer"
JOURNAL = "registry-journal.jsonl"


def test_a_manifest_is_refused_whose_blobs_the_repository_lacks(
    aws: LocalAWS, tmp_path: Path
) -> None:
    """As by ECR; what lies in another repository does not count."""
    file = tmp_path / "config"
    file.write_bytes(b'{"of": "incomplete"}')
    config = Descriptor(OCI_CONFIG, digest_of(file.read_bytes()), file.stat().st_size)
    layer = {"mediaType": OCI_LAYER_GZIP, "digest": digest_of(LAYER), "size": len(LAYER)}
    manifest = manifests.image_manifest(file.read_bytes(), [layer], [])
    index = json.dumps({"manifests": [{"digest": digest_of(manifest), "size": len(manifest)}]})
    with aws.repositories(REPOSITORY, OTHER), aws.client() as client:

        def put() -> str:
            return client.put_manifest(REPOSITORY, "build-1", manifest, OCI_MANIFEST)

        for repository in (OTHER, REPOSITORY):
            with pytest.raises(RegistryError, match=config.digest):
                put()
            client.upload_blob(repository, config.digest, config.size, file, check=lambda: None)
        with pytest.raises(RegistryError, match=f"MANIFEST_BLOB_UNKNOWN.*{digest_of(LAYER)}"):
            put()
        with pytest.raises(RegistryError, match="MANIFEST_BLOB_UNKNOWN"):
            client.put_manifest(REPOSITORY, "index", index.encode(), OCI_INDEX)
        refused = aws.root.exceptions
        with pytest.raises(refused.LayersNotFoundException):
            aws.root.put_image(repositoryName=REPOSITORY, imageManifest=manifest.decode())
        with pytest.raises(refused.ReferencedImagesNotFoundException):
            aws.root.put_image(repositoryName=REPOSITORY, imageManifest=index)
        file.write_bytes(LAYER)
        client.upload_blob(REPOSITORY, digest_of(LAYER), len(LAYER), file, check=lambda: None)
        assert put() == digest_of(manifest)
        client.put_manifest(REPOSITORY, "index", index.encode(), OCI_INDEX)


def test_an_image_and_a_token_survive_kill_and_restart(tmp_path: Path) -> None:
    port = services.free_port()
    url = f"http://127.0.0.1:{port}"
    first = services.start_aws(tmp_path / "aws", port)
    try:
        assert services.wait_until_answers(services.aws_health(port))
        keys = local_iam.bootstrap(url, services.REGION, DEFAULT_PREFIX, {})
        aws = LocalAWS(url, keys)
        control = aws.control("registry-server")
        control.create_repository(REPOSITORY, ours=False)
        control.put_lifecycle_policy(REPOSITORY)
        control.create_repository(GONE, ours=False)
        control.create_repository(OTHER, ours=False)
        layer = tmp_path / "layer"
        layer.write_bytes(LAYER)
        blob = tmp_path / "config.json"
        blob.write_bytes(b'{"padding": "' + os.urandom(9000).hex().encode() + b'"}')
        config = Descriptor(OCI_CONFIG, digest_of(blob.read_bytes()), blob.stat().st_size)
        manifest = manifests.image_manifest(blob.read_bytes(), [], [])
        token = aws.password()
        with aws.client() as client:
            client.upload_blob(REPOSITORY, config.digest, config.size, blob, check=lambda: None)
            client.put_manifest(REPOSITORY, "build-1", manifest, OCI_MANIFEST)
        control.delete_repository(GONE)
        # Of a build that is under way: its manifest is not there yet.
        with aws.client() as client:
            client.upload_blob(REPOSITORY, digest_of(LAYER), len(LAYER), layer, check=lambda: None)
            assert client.mount_blob(OTHER, digest_of(LAYER), REPOSITORY)
    finally:
        first.kill()
        first.wait()
    with (tmp_path / "aws" / JOURNAL).open("a") as journal:
        # A line that it was killed in the middle of.
        journal.write('{"key": ["000000000000", "us-east-1", "')
    second = services.start_aws(tmp_path / "aws", port)
    try:
        assert services.wait_until_answers(services.aws_health(port))
        with RegistryClient(
            url, credentials=lambda refused=None: Credentials("AWS", token), read_only=True
        ) as client:
            assert client.get_manifest(REPOSITORY, "build-1").raw == manifest
            client.download_blob(REPOSITORY, config, tmp_path / "back", check=lambda: None)
            for repository in (REPOSITORY, OTHER):
                assert client.has_blob(repository, digest_of(LAYER))
        assert (tmp_path / "back").read_bytes() == blob.read_bytes()
        again = local_iam.bootstrap(url, services.REGION, DEFAULT_PREFIX, keys)
        assert again == keys
        held = LocalAWS(url, keys).root
        names = [found["repositoryName"] for found in held.describe_repositories()["repositories"]]
        assert sorted(names) == [REPOSITORY, OTHER]
        assert (
            "rules" in held.get_lifecycle_policy(repositoryName=REPOSITORY)["lifecyclePolicyText"]
        )
        # The start has put the journal into ministack's document.
        assert (tmp_path / "aws" / JOURNAL).read_text() == ""
    finally:
        second.terminate()
        second.wait()


def test_it_listens_on_this_machine_only(tmp_path: Path) -> None:
    port = services.free_port()
    process = services.start_aws(tmp_path / "aws", port)
    try:
        assert services.wait_until_answers(services.aws_health(port))
        assert httpx.get(services.aws_health(port)).status_code == 200
        # 127.0.0.2 is this machine, too, but not the address that was asked for.
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"http://127.0.0.2:{port}/_ministack/health")
    finally:
        process.terminate()
        process.wait()
