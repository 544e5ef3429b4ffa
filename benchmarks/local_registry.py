"""The time that the local AWS itself takes as it fills: `python -m benchmarks.local_registry --images 300`.

Makes that many repositories with a shared layer and three manifests each, as builds do, and tells the medians
for the first and the last thirty.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

SHOWN = 30


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, default=300)
    wanted: int = parser.parse_args().images
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ri_platform.settings")
    import django

    django.setup()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        created, put = fill(wanted, Path(folder))
    print("| | the first | the last |\n| --- | --- | --- |")
    for what, times in (("repository with its policy", created), ("manifest", put)):
        first, last = (1000 * statistics.median(some) for some in (times[:SHOWN], times[-SHOWN:]))
        print(f"| {what} | {first:.1f} ms | {last:.1f} ms |")


def fill(wanted: int, folder: Path) -> tuple[list[float], list[float]]:
    """The seconds of each repository and of each manifest."""
    from images.building.push import manifests
    from images.registry.distribution.descriptors import (
        OCI_CONFIG,
        OCI_LAYER_GZIP,
        OCI_MANIFEST,
        Descriptor,
        digest_of,
    )
    from images.registry.naming import DEFAULT_PREFIX
    from tests.local_aws import local_aws

    layer, config = folder / "layer", folder / "config"
    layer.write_bytes(os.urandom(3_000_000))
    config.write_bytes(b'{"padding": "' + os.urandom(4000).hex().encode() + b'"}')
    upper = Descriptor(OCI_LAYER_GZIP, digest_of(layer.read_bytes()), layer.stat().st_size)
    settings = Descriptor(OCI_CONFIG, digest_of(config.read_bytes()), config.stat().st_size)
    manifest = manifests.image_manifest(config.read_bytes(), [upper.to_json()] * 10, [])
    created, put = [], []
    with local_aws(folder / "aws") as aws, aws.client() as client:
        control = aws.control("registry-server")
        for number in range(wanted):
            repository = f"{DEFAULT_PREFIX}/many-{number}"
            begun = time.perf_counter()
            control.create_repository(repository, ours=False)
            control.put_lifecycle_policy(repository)
            created.append(time.perf_counter() - begun)
            if number == 0:
                client.upload_blob(repository, upper.digest, upper.size, layer, check=lambda: None)
            else:
                client.mount_blob(repository, upper.digest, f"{DEFAULT_PREFIX}/many-0")
            client.upload_blob(
                repository, settings.digest, settings.size, config, check=lambda: None
            )
            for tag in ("build-1", "latest", "sbom"):
                begun = time.perf_counter()
                client.put_manifest(repository, tag, manifest, OCI_MANIFEST)
                put.append(time.perf_counter() - begun)
    return created, put


if __name__ == "__main__":
    main()
