"""A tag that moves on brings a new version of its base image."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from images.building.push import manifests
from images.jobs import tag_watch
from images.models import BaseImage
from images.models.lease import WorkState
from images.registry.distribution.client import RegistryClient
from images.registry.distribution.descriptors import OCI_MANIFEST, digest_of
from images.registry.ecr import local_iam
from ri_platform.local import services
from tests import factories

REPOSITORY = "publisher/python"


@pytest.fixture
def upstream(tmp_path: Path) -> Iterator[str]:
    """The address of a publisher's registry, which anybody may read and this publisher write."""
    port = services.free_port()
    values = {**services.aws_environment(tmp_path, port), "AUTH": "false"}
    process = subprocess.Popen([sys.executable, "-m", "ministack"], env=values)
    try:
        assert services.wait_until_answers(services.aws_health(port))
        url = f"http://127.0.0.1:{port}"
        local_iam.root_client("ecr", url, services.REGION).create_repository(
            repositoryName=REPOSITORY
        )
        yield url
    finally:
        process.terminate()
        process.wait()


def push_as(upstream: str, tag: str, config: bytes, folder: Path) -> str:
    """Stand in for the upstream publisher: an image under a tag; its digest."""
    file = folder / "config"
    file.write_bytes(config)
    manifest = manifests.image_manifest(config, [], [])
    with RegistryClient(upstream, guard=str) as client:
        client.upload_blob(REPOSITORY, digest_of(config), len(config), file, check=lambda: None)
        client.put_manifest(REPOSITORY, tag, manifest, OCI_MANIFEST)
    return digest_of(manifest)


@pytest.mark.slow
def test_a_tag_that_names_another_image_is_followed_once(
    upstream: str, db: None, tmp_path: Path
) -> None:
    host = upstream.partition("://")[2]
    first = push_as(upstream, "3.11", b'{"version": 1}', tmp_path)
    base = factories.make_base_image(
        source=f"registry:{host}/{REPOSITORY}:3.11", manifest_digest=first
    )
    factories.make_base_image(python_version="3.13", source=f"registry:{host}/{REPOSITORY}@{first}")
    assert tag_watch.look() == []
    second = push_as(upstream, "3.11", b'{"version": 2}', tmp_path)
    (name,) = tag_watch.look()
    newer = BaseImage.objects.get(state=WorkState.QUEUED)
    assert str(newer) == name
    assert newer.platform_version.endswith(second.partition(":")[2][:8])
    assert newer.source == base.source
    assert tag_watch.look() == []


def test_a_registry_that_is_away_changes_nothing(db: None, settings: Any) -> None:
    factories.make_base_image(source="registry:127.0.0.1:9/nothing:1")
    assert tag_watch.look() == []
    assert BaseImage.objects.count() == 1


def test_a_worker_that_stops_leaves_the_tags_to_the_next_look(
    db: None, told_to_stop: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    factories.make_base_image(source="registry:127.0.0.1:9/nothing:1")
    asked: list[str] = []
    monkeypatch.setattr(tag_watch, "digest_now", asked.append)
    assert tag_watch.look() == []
    assert asked == []
