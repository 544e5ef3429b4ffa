"""Both wheels are built, installed apart from the checkout, and do there what they are for."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import zipfile
from email.parser import Parser
from pathlib import Path

import httpx
import pytest
from django.db import connection

from ri_platform.local import services
from ri_platform.version import VERSION

pytestmark = [pytest.mark.slow, pytest.mark.network]
ROOT = Path(__file__).resolve().parents[1]
UV = Path(sys.executable).with_name("uv")


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Each project's wheel by its distribution's name, made of its sdist."""
    folder = tmp_path_factory.mktemp("dist")
    for project in (".", "sdk"):
        done = subprocess.run(
            [str(UV), "build", "--quiet", "--out-dir", str(folder), project],
            cwd=ROOT, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    return {path.name.partition("-")[0]: path for path in folder.glob("*.whl")}


def metadata(wheel: Path) -> dict[str, str]:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        return dict(Parser().parsestr(archive.read(name).decode()).items())


def unpacked(wheel: Path, folder: Path) -> dict[str, str]:
    """Install a wheel alone; what it depends on is this environment's, from where nothing of ours comes."""
    done = subprocess.run(
        [str(UV), "pip", "install", "--quiet", "--no-deps", "--target", str(folder), str(wheel)],
        cwd=folder.parent, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    outside = {name: value for name, value in os.environ.items() if not name.startswith("RI_")}
    return outside | {"PYTHONPATH": os.pathsep.join((str(folder), sysconfig.get_path("purelib")))}


def test_both_carry_version_and_licence_and_name_nobody(wheels: dict[str, Path]) -> None:
    assert set(wheels) == {"ri_platform", "ri_platform_sdk"}
    for wheel in wheels.values():
        told = metadata(wheel)
        assert (told["Version"], told["License-Expression"]) == (VERSION, "Apache-2.0")
        assert not {"Author", "Author-email", "Maintainer", "Home-page"} & set(told)
        with zipfile.ZipFile(wheel) as archive:
            assert [name for name in archive.namelist() if name.endswith("licenses/LICENSE")]
            assert not [name for name in archive.namelist() if name.endswith((".pyc", ".env"))]


@pytest.mark.django_db(transaction=True)
def test_an_instance_runs_from_the_wheel(wheels: dict[str, Path], tmp_path: Path) -> None:
    database = connection.settings_dict
    port = services.free_port()
    environment = unpacked(wheels["ri_platform"], tmp_path / "site") | {
        "DATABASE_URL": services.database_url(str(database["HOST"]), str(database["NAME"])),
        "CELERY_BROKER_URL": "memory://",
        "RI_SECRET_KEY": "k" * 64,
        "RI_STATE_DIR": str(tmp_path / "state"),
        "PORT": str(port),
    }
    command = [str(tmp_path / "site/bin/ri-platform")]

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, *command, *arguments], cwd=tmp_path, env=environment,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    code = "import images, ri_platform; print(images.__file__, ri_platform.__file__)"
    assert all(path.startswith(str(tmp_path)) for path in run("shell", "-c", code).split()[-2:])
    run("migrate", "--check")
    run("collectstatic", "--no-input")
    catalogue = "from images import catalogue; print(sorted(catalogue.catalogue().use_cases))"
    assert "tabular" in run("shell", "-c", catalogue)
    policies = (
        "from images.registry.ecr.permissions import POLICIES; print(len(list(POLICIES.glob('*'))))"
    )
    assert run("shell", "-c", policies).strip().endswith("2")
    process = subprocess.Popen([sys.executable, *command, "web"], cwd=tmp_path, env=environment)
    try:
        address = f"http://127.0.0.1:{port}"
        assert services.wait_until_answers(f"{address}/readyz", 120)
        page = httpx.get(f"{address}/signin", trust_env=False)
        assert page.status_code == 200
        styles = {word for word in page.text.split('"') if word.endswith(".css")}
        assert styles
        for style in styles:
            assert httpx.get(address + style, trust_env=False).status_code == 200
    finally:
        process.terminate()
        process.wait()


def test_the_sdks_wheel_brings_its_command(wheels: dict[str, Path], tmp_path: Path) -> None:
    environment = unpacked(wheels["ri_platform_sdk"], tmp_path / "site")
    script = str(tmp_path / "site/bin/ri-images")
    told = subprocess.run(
        [sys.executable, script, "--version"], cwd=tmp_path, env=environment,
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert VERSION in told.stdout
