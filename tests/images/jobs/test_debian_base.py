"""Images on a real base of Debian: what its glibc takes, what its Python has, and whom they run as."""

from __future__ import annotations

from pathlib import Path

import pytest

from images.models import BaseImage, Status
from images.operations.images import create_image
from images.requirement_files.configured import parse_pip_requirements
from images.spec import ImageSpec
from tests.builds import build_now, pulled, runs_in
from tests.cast import Cast
from tests.local_aws import LocalAWS
from tests.needs import needs
from workspaces.access import Actor


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.network
@pytest.mark.django_db(transaction=True)
@needs("root")
def test_an_image_has_the_wheels_of_its_glibc_and_what_old_libraries_import(
    cast: Cast, debian: BaseImage, registry: LocalAWS, tmp_path: Path
) -> None:
    """mlx 0.29.3 needs glibc 2.35 or later, and its RECORD has hashes without their algorithm; mlflow 2.9.2
    imports pkg_resources without asking for it."""
    assert (debian.libc, debian.libc_version, debian.machine) == ("glibc", "2.36", "x86_64")
    wanted = ("mlx==0.29.3\nmlflow==2.9.2",)
    image = create_image(
        Actor(cast.member), "old", ImageSpec("all", "3.11", tuple(parse_pip_requirements(*wanted)))
    )
    image = build_now(registry, image)
    build = image.current_build
    assert image.status == Status.READY, image.builds.get().error_message
    assert build is not None
    assert "mlx-0.29.3-cp311-cp311-manylinux_2_35_x86_64.whl" in build.lock
    root = pulled(registry, image, tmp_path)
    code = (
        "import importlib.metadata as m, mlflow, pkg_resources;"
        "print(m.version('mlx'), mlflow.__version__, pkg_resources.__file__)"
    )
    told = runs_in(root, "python3", "-c", code)
    assert told == "0.29.3 2.9.2 /usr/lib/python3/dist-packages/pkg_resources/__init__.py"
    assert "app:*:10001:" in (root / "etc/passwd").read_text()
    assert debian.config["config"]["User"] == "10001:10001"
