"""The pace of a verification without a limit, on the local AWS: `python -m benchmarks.verification`.

Makes `--images` of twenty blobs each in repositories of their own, looks at all of them as a worker does,
and tells the requests a second, with the time of this process's CPU.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

BLOBS = 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, default=200)
    wanted: int = parser.parse_args().images
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ri_platform.settings")
    import django

    django.setup()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        requests, seconds, cpu = measure(wanted, Path(folder))
    rate = requests / seconds
    hours = 100_000 * requests / wanted / rate / 3600
    print(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores")
    print("| images | requests | seconds | CPU seconds | requests a second | 100,000 images |")
    print("| --- | --- | --- | --- | --- | --- |")
    print(f"| {wanted} | {requests} | {seconds:.1f} | {cpu:.1f} | {rate:.0f} | {hours:.1f} h |")


def measure(wanted: int, folder: Path) -> tuple[int, float, float]:
    """Requests, seconds and this process's CPU seconds of one look at all images."""
    from images.building.push import manifests
    from images.registry.distribution.descriptors import (
        OCI_CONFIG,
        OCI_LAYER_GZIP,
        OCI_MANIFEST,
        Descriptor,
        digest_of,
    )
    from images.registry.naming import DEFAULT_PREFIX
    from images.verification.contents import Look, Promise
    from images.verification.pace import Pace
    from tests.local_aws import local_aws

    contents = [os.urandom(2000) for _ in range(BLOBS - 1)]
    config = b'{"os": "linux"}'
    layers = [Descriptor(OCI_LAYER_GZIP, digest_of(raw), len(raw)) for raw in contents]
    manifest = manifests.image_manifest(config, [layer.to_json() for layer in layers], [])
    blobs = {digest_of(raw): raw for raw in (*contents, config)}
    assert Descriptor(OCI_CONFIG, digest_of(config), len(config)).digest in blobs
    with local_aws(folder / "aws") as aws, aws.client() as client:
        control = aws.control("registry-server")
        promises = []
        first = f"{DEFAULT_PREFIX}/many-0"
        for number in range(wanted):
            repository = f"{DEFAULT_PREFIX}/many-{number}"
            control.create_repository(repository, ours=True)
            for digest, raw in blobs.items():
                if number and client.mount_blob(repository, digest, first):
                    continue
                file = folder / "blob"
                file.write_bytes(raw)
                client.upload_blob(repository, digest, len(raw), file, check=lambda: None)
            client.put_manifest(repository, "build-1", manifest, OCI_MANIFEST)
            promises.append(
                Promise(f"many-{number}", repository, "build-1", digest_of(manifest), 1)
            )
        pace = Pace(0)
        begun, cpu = time.perf_counter(), time.process_time()
        with Look(client, pace=pace) as look:
            for promise in promises:
                assert look.at(promise) == []
                pace.wait()
                assert len(control.describe_images(promise.repository)) == 1
        return pace.requests, time.perf_counter() - begun, time.process_time() - cpu


if __name__ == "__main__":
    main()
