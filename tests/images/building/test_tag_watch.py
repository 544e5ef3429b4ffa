"""A tag that moves on brings a new version of its base image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from images.building import assemble, tag_watch
from images.models import BaseImage
from images.models.lease import WorkState
from images.registry import connection
from images.registry.oci import OCI_MANIFEST, digest_of
from tests import factories
from tests.conftest import LocalAWS

REPOSITORY = "rime-managed-images/upstream"


def push_as(registry: LocalAWS, tag: str, config: bytes, folder: Path) -> str:
    """Stand in for the upstream publisher: an image under a tag; its digest."""
    file = folder / "config"
    file.write_bytes(config)
    manifest = assemble.image_manifest(config, [], [])
    with registry.identity("build-jobs"), connection.registry_client() as client:
        client.upload_blob(REPOSITORY, digest_of(config), len(config), file)
        client.put_manifest(REPOSITORY, tag, manifest, OCI_MANIFEST)
    return digest_of(manifest)


@pytest.mark.slow
def test_a_tag_that_names_another_image_is_followed_once(
    registry: LocalAWS, db: None, tmp_path: Path
) -> None:
    host = registry.url.partition("://")[2]
    with registry.repositories(REPOSITORY):
        first = push_as(registry, "3.11", b'{"version": 1}', tmp_path)
        base = factories.make_base_image(
            source=f"registry:{host}/{REPOSITORY}:3.11", manifest_digest=first
        )
        factories.make_base_image(
            python_version="3.13", source=f"registry:{host}/{REPOSITORY}@{first}"
        )
        assert tag_watch.look() == []
        # The local registry keeps tags where they are; seen from here, the tag has moved.
        BaseImage.objects.filter(pk=base.pk).update(manifest_digest=factories.digest("older"))
        (name,) = tag_watch.look()
        newer = BaseImage.objects.get(state=WorkState.QUEUED)
        assert str(newer) == name
        assert newer.platform_version.endswith(first.partition(":")[2][:8])
        assert newer.source == base.source
        assert tag_watch.look() == []


def test_a_registry_that_is_away_changes_nothing(db: None, settings: Any) -> None:
    factories.make_base_image(source="registry:127.0.0.1:9/nothing:1")
    assert tag_watch.look() == []
    assert BaseImage.objects.count() == 1
