"""OCI image layouts made of a few files, for tests of what is read of them."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

from images.building.layers.tar import Layer
from images.building.push import manifests
from images.manifest_bytes import canonical
from images.registry.distribution.descriptors import OCI_LAYER_GZIP, digest_of

ROOT: dict[str, bytes | str] = {
    "usr/bin/python3.11": b"elf",
    "usr/bin/python3": "python3.11",
    "bin": "usr/bin",
    "etc/os-release": b'ID=debian\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n',
    "usr/lib/python3/dist-packages/six-1.16.0.dist-info/METADATA": b"Name: six\nVersion: 1.16.0\n",
}


def tar_of(files: dict[str, bytes | str]) -> bytes:
    """Bytes are files, text is a link's target."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            if isinstance(content, str):
                entry.type, entry.linkname = tarfile.SYMTYPE, content
                tar.addfile(entry)
            else:
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content))
    return out.getvalue()


def image_of(
    folder: Path,
    *layers: dict[str, bytes | str],
    architecture: str = "amd64",
    path: str = "/usr/bin",
    pack: Callable[[bytes], bytes] = gzip.compress,
    media_type: str = OCI_LAYER_GZIP,
) -> Path:
    """An OCI layout with these layers."""
    blobs = folder / "blobs/sha256"
    blobs.mkdir(parents=True)

    def put(data: bytes) -> str:
        digest = digest_of(data)
        (blobs / digest.removeprefix("sha256:")).write_bytes(data)
        return digest

    made = []
    for files in layers:
        plain = tar_of(files)
        packed = pack(plain)
        made.append(Layer(put(packed), digest_of(plain), len(packed), folder, media_type))
    config = canonical(
        {
            "os": "linux",
            "architecture": architecture,
            "config": {"Env": [f"PATH={path}"]},
            "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in made]},
        }
    )
    put(config)
    manifest = manifests.image_manifest(config, [], made)
    entry = {"mediaType": json.loads(manifest)["mediaType"], "digest": put(manifest), "size": 1}
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    return folder
