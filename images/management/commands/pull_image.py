"""`manage.py pull_image`: bring an image to this disk where no container tool is installed."""

from __future__ import annotations

import shutil
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from images.building.bases.content import blobs_of
from images.building.bases.layout import write_layout
from images.models import Build, ManagedImage
from images.references import repository_of
from images.registry import connection
from ri_platform.errors import DomainError
from ri_platform.local.identity import take_identity


class Command(BaseCommand):
    help = (
        "Download a managed image as an OCI image layout, which every container tool reads. It takes an AWS "
        "identity that may pull; beside `make run` it is found by itself."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="the managed image")
        parser.add_argument("folder", type=Path, help="where the layout goes; must not exist yet")
        parser.add_argument(
            "--build", type=int, help="an earlier build; the current one unless given"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        folder = options["folder"]
        if folder.exists():
            raise CommandError(f"{folder} exists already. Name a folder that does not.")
        image, build = find_build(options["name"], options["build"])
        take_identity()
        try:
            with connection.registry_client() as client:
                manifest = write_layout(
                    client,
                    repository_of(image),
                    build.manifest_digest,
                    f"build-{build.number}",
                    folder,
                )
        except (DomainError, OSError) as error:
            shutil.rmtree(folder, ignore_errors=True)
            raise CommandError(str(error)) from error
        _, *layers = blobs_of(manifest)
        size = sum(layer.size for layer in layers)
        self.stdout.write(
            f"{image.name}, build {build.number}: {len(layers)} layers, {size / 1e6:,.1f} MB, "
            f"{manifest.digest}\nin {folder}, an OCI image layout."
        )


def find_build(name: str, number: int | None) -> tuple[ManagedImage, Build]:
    image = ManagedImage.objects.existing().filter(name=name).first()
    if image is None:
        raise CommandError(f"There is no managed image named {name}.")
    build = image.current_build
    if number is not None:
        build = image.builds.revisions().numbered(number)
    if build is None:
        what = f"no build {number} that succeeded" if number is not None else "no image yet"
        raise CommandError(f"{name} has {what}.")
    return image, build
