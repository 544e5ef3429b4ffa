"""The wheel of the SDK that an instance serves: anybody gets it, pip installs it, it is what sdk/ holds."""

from __future__ import annotations

import base64
import hashlib
import io
import subprocess
import sys
import zipfile
from email.parser import BytesParser
from pathlib import Path

import pytest
from django.conf import settings
from django.test import Client
from django.urls import reverse

from ri_platform.sdk_wheel import sdk_wheel
from tests.cast import Cast

SDK = Path(settings.BASE_DIR) / "sdk"


def archive() -> zipfile.ZipFile:
    return zipfile.ZipFile(io.BytesIO(sdk_wheel().content))


def test_the_same_sources_make_the_same_bytes() -> None:
    first = sdk_wheel()
    sdk_wheel.cache_clear()
    assert sdk_wheel() == first


def test_it_has_every_module_and_records_them_all() -> None:
    with archive() as wheel:
        names = wheel.namelist()
        modules = {path.relative_to(SDK).as_posix() for path in SDK.glob("ri_platform_sdk/**/*.py")}
        assert modules | {"ri_platform_sdk/py.typed"} == {
            n for n in names if ".dist-info/" not in n
        }
        info = f"ri_platform_sdk-{settings.VERSION}.dist-info"
        rows = [line.rsplit(",", 2) for line in wheel.read(f"{info}/RECORD").decode().splitlines()]
        assert [row[0] for row in rows] == names
        for name, digest, length in rows[:-1]:
            content = wheel.read(name)
            told = base64.urlsafe_b64decode(digest.removeprefix("sha256=") + "=")
            assert (told, int(length)) == (hashlib.sha256(content).digest(), len(content))


def test_its_metadata_is_the_projects() -> None:
    with archive() as wheel:
        info = f"ri_platform_sdk-{settings.VERSION}.dist-info"
        told = BytesParser().parsebytes(wheel.read(f"{info}/METADATA"))
        commands = wheel.read(f"{info}/entry_points.txt").decode()
    assert (told["Name"], told["Version"]) == ("ri-platform-sdk", settings.VERSION)
    assert "httpx>=0.27" in told.get_all("Requires-Dist", [])
    assert "# ri-platform-sdk" in told.get_payload()
    assert commands == "[console_scripts]\nri-images = ri_platform_sdk.cli:main\n"


def test_anybody_gets_it_and_asks_again_cheaply() -> None:
    wheel, client = sdk_wheel(), Client()
    address = reverse("sdk_wheel", args=[wheel.name])
    answer = client.get(address)
    assert answer.status_code == 200
    assert answer.content == wheel.content
    assert answer["Content-Type"] == "application/octet-stream"
    assert answer["Cache-Control"] == "public, no-cache"
    assert "Set-Cookie" not in answer
    again = client.get(address, headers={"If-None-Match": answer["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert client.head(address)["Content-Length"] == str(len(wheel.content))
    assert client.post(address).status_code == 405


def test_another_version_is_answered_with_what_is_there() -> None:
    answer = Client().get(reverse("sdk_wheel", args=["ri_platform_sdk-0.0.1-py3-none-any.whl"]))
    assert answer.status_code == 404
    assert f"this instance serves {sdk_wheel().name}" in answer.content.decode()


def test_the_container_image_has_what_it_is_made_of() -> None:
    let_through = (SDK.parent / ".dockerignore").read_text().splitlines()
    for name in ("LICENSE", "README.md", "pyproject.toml", "ri_platform_sdk"):
        assert f"!sdk/{name}" in let_through


@pytest.mark.django_db
@pytest.mark.slow
def test_the_console_names_it_with_this_instances_address(cast: Cast) -> None:
    client = cast.client(cast.viewer)
    tokens = reverse("tokens", args=[cast.workspace.pk])
    for address in (reverse("programs"), tokens):
        page = client.get(address, headers={"host": "localhost:8443"}, secure=True).content.decode()
        assert f"pip install https://localhost:8443/sdk/{sdk_wheel().name}" in page
        assert "ri-images login https://localhost:8443<" in page
    page = client.get(reverse("programs")).content.decode()
    assert reverse("api:openapi-view") in page
    assert tokens in page
    assert f'href="{reverse("programs")}"' in client.get(reverse("workspaces")).content.decode()


@pytest.mark.django_db
def test_who_is_in_no_workspace_is_told_where_tokens_come_from(cast: Cast) -> None:
    page = cast.client(cast.stranger).get(reverse("programs")).content.decode()
    assert "you are not a member of one yet" in page


@pytest.mark.slow
@pytest.mark.network
def test_pip_installs_it_from_the_instance(web: str, tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    run = tmp_path / "venv/bin"
    subprocess.run(
        [run / "python", "-m", "pip", "install", "--quiet", f"{web}/sdk/{sdk_wheel().name}"],
        check=True,
    )
    told = subprocess.run(
        [run / "ri-images", "--version"], capture_output=True, text=True, check=True
    )
    assert told.stdout == f"ri-images, version {settings.VERSION}\n"
    told = subprocess.run([run / "ri-images", "--help"], capture_output=True, text=True, check=True)
    assert "login" in told.stdout
