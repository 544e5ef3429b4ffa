"""What tests of ECR's own ways share: names, a control plane, a layer."""

from __future__ import annotations

from pathlib import Path

import boto3

from images.registry.distribution.descriptors import digest_of
from images.registry.ecr.repositories import RepositoryControl

PREFIX = "rime-managed-images"
NAME = f"{PREFIX}/image"
MIB = 1 << 20


def control_of(endpoint_url: str | None, region: str) -> RepositoryControl:
    session = boto3.Session(aws_access_key_id="x", aws_secret_access_key="y")
    return RepositoryControl(
        prefix=PREFIX, region=region, endpoint_url=endpoint_url, session=session
    )


def layer(folder: Path, size: int) -> tuple[str, int, Path]:
    """Digest, size and file of a layer in which no part is like another."""
    data = b"".join(number.to_bytes(4, "big") * (MIB // 4) for number in range(size // MIB + 1))
    source = folder / "layer"
    source.write_bytes(data[:size])
    return digest_of(data[:size]), size, source
