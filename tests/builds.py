"""Images that are really built: asked for, built without a broker, pulled and run."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from images.jobs import attest, repositories
from images.jobs import build as run
from images.models import Attestation, Build, ManagedImage
from images.models.lease import WorkState
from images.operations.images import create_image
from images.references import pull_reference
from images.registry.distribution.descriptors import Descriptor
from images.requirement_files.configured import parse_pip_requirements
from images.spec import ImageSpec
from tests.cast import Cast
from tests.local_aws import LocalAWS
from workspaces.access import Actor


def ask(cast: Cast, name: str, requirements: str) -> ManagedImage:
    return create_image(
        Actor(cast.member),
        name,
        ImageSpec("all", "3.11", tuple(parse_pip_requirements(requirements))),
        workspace=cast.workspace,
    )


def build_now(aws: LocalAWS, image: ManagedImage) -> ManagedImage:
    """What the two workers do, each under its identity, without a broker between, and without its pauses."""
    with aws.identity("registry-server"):
        repositories.prepare_repository(image.pk)
    with aws.identity("build-jobs"):
        for build in image.builds.all():
            run.run(build.pk)
            while waits_for_repetition(build):
                build.image.builds.update(not_before=None)
                run.run(build.pk)
        for attestation in Attestation.objects.filter(build__image=image):
            attest.write(attestation.pk)
    image.refresh_from_db()
    return image


def waits_for_repetition(build: Build) -> bool:
    build.refresh_from_db()
    return build.state == WorkState.QUEUED and bool(build.failed_attempts)


def pulled(registry: LocalAWS, image: ManagedImage, folder: Path) -> Path:
    """The image's file system, by skopeo where it is there, else by our own client."""
    assert image.current_build is not None
    layout = folder / "oci"
    reference = pull_reference(image, image.current_build)
    if shutil.which("skopeo"):
        subprocess.run(
            ["skopeo", "copy", "-q", "--src-tls-verify=false",
             "--src-creds", f"AWS:{registry.password()}", f"docker://{reference}", f"oci:{layout}:x"],
            check=True,
        )  # fmt: skip
        blobs = layout / "blobs/sha256"
        index = json.loads((layout / "index.json").read_text())
        manifest = json.loads((blobs / index["manifests"][0]["digest"][7:]).read_text())
        layers = [blobs / layer["digest"][7:] for layer in manifest["layers"]]
    else:
        layers = pulled_by_ourselves(registry, image, folder)
    root = folder / "root"
    root.mkdir()
    for layer in layers:
        subprocess.run(["tar", "-C", str(root), "-xzf", str(layer)], check=True)
    return root


def pulled_by_ourselves(registry: LocalAWS, image: ManagedImage, folder: Path) -> list[Path]:
    assert image.current_build is not None
    repository = f"rime-managed-images/{image.name}"
    with registry.client() as client:
        manifest = client.get_manifest(repository, image.current_build.manifest_digest).json()
        layers = [Descriptor.from_json(layer) for layer in manifest["layers"]]
        for layer in layers:
            client.download_blob(repository, layer, folder / layer.digest[7:], check=lambda: None)
    return [folder / layer.digest[7:] for layer in layers]


def runs_in(root: Path, *command: str) -> str:
    """The command's output in the image; without root, by its files under an interpreter of its Python."""
    if os.geteuid() == 0:
        whole = ["/usr/sbin/chroot", str(root), *command]
        environment = {"PATH": "/opt/managed/bin:/usr/bin:/bin"}
    else:
        site = root / "opt/managed/lib/python3.11/site-packages"
        whole = [interpreter("3.11"), "-S", *command[1:]]
        environment = {"PYTHONPATH": str(site)}
    done = subprocess.run(whole, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def interpreter(version: str) -> str:
    """One of this version: compiled modules, which numpy has, are for no other."""
    found = shutil.which(f"python{version}")
    if sys.version_info[:2] == tuple(map(int, version.split("."))):
        return sys.executable
    if found is None:
        pytest.skip(f"Python {version} or root is needed to run what an image for it holds.")
    return found
