"""What the page offers to copy pulls the image."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.urls import reverse

from images.models import BaseImage, ManagedImage
from images.queries.pull_ways import Pull, Way
from images.references import pull_reference
from tests import factories
from tests.builds import ask, build_now
from tests.cast import Cast
from tests.local_aws import LocalAWS
from tests.needs import needs

HOST = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"
KEYS = ["docker", "podman", "skopeo", "kubernetes", "helper", "python"]


def ways_of(image: ManagedImage) -> dict[str, Way]:
    assert image.current_build is not None
    pull = Pull(image, image.current_build, "https://images.example.org")
    return {way.key: way for way in pull.ways()}


@pytest.fixture
def image(base: BaseImage, settings: Any) -> ManagedImage:
    settings.REGISTRY_HOST, settings.AWS_REGION = HOST, "eu-west-1"
    settings.AWS_ENDPOINT_URL = ""
    return factories.make_image("churn_x", base=base)


def test_every_way_names_the_image_by_digest(image: ManagedImage) -> None:
    assert image.current_build is not None
    reference = pull_reference(image, image.current_build)
    assert reference.startswith(f"{HOST}/rime-managed-images/churn_x@sha256:")
    ways = ways_of(image)
    assert list(ways) == KEYS
    for key in ("docker", "podman", "skopeo", "kubernetes", "helper"):
        assert reference in ways[key].steps[-1].text
    assert ways["docker"].steps[0].text == (
        "aws ecr get-login-password --region eu-west-1 | "
        f"docker login --username AWS --password-stdin {HOST}"
    )


def test_the_snippets_are_yaml_json_and_python(image: ManagedImage) -> None:
    ways = ways_of(image)
    pod = yaml.safe_load(ways["kubernetes"].steps[1].text)
    (container,) = pod["spec"]["containers"]
    assert re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", container["name"])
    assert "@sha256:" in container["image"]
    (secret,) = pod["spec"]["imagePullSecrets"]
    assert f"docker-registry {secret['name']} " in ways["kubernetes"].steps[0].text
    assert json.loads(ways["helper"].steps[1].text) == {"credHelpers": {HOST: "ecr-login"}}
    ast.parse(ways["python"].steps[0].text)


def test_an_instance_without_a_host_says_so(image: ManagedImage, settings: Any) -> None:
    settings.REGISTRY_HOST = ""
    first, *_, last = ways_of(image)["docker"].steps
    assert first.text == "REGISTRY=123456789012.dkr.ecr.eu-west-1.amazonaws.com"
    assert last.text.startswith("docker pull $REGISTRY/rime-managed-images/churn_x@sha256:")


@needs("kubectl")
@pytest.mark.slow
def test_kubectl_takes_pod_and_secret(image: ManagedImage, tmp_path: Path) -> None:
    way = ways_of(image)["kubernetes"]
    made = way.steps[0].text.replace('"$(aws ecr get-login-password --region eu-west-1)"', "x")
    done = subprocess.run(
        [*made.split(), "--dry-run=client", "-o", "json"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout)["type"] == "kubernetes.io/dockerconfigjson"


@pytest.mark.slow
def test_the_page_has_a_tab_for_each_without_javascript(cast: Cast, image: ManagedImage) -> None:
    address = reverse("image", kwargs={"workspace_id": cast.workspace.pk, "name": "churn_x"})
    client = cast.client(cast.viewer)
    for key in KEYS:
        page = client.get(address, {"pull": key})
        assert page.context["way"].key == key
        for number in range(1, len(page.context["way"].steps) + 1):
            assert f'data-copy="#pull-{number}"' in page.content.decode()
    page = client.get(address, {"pull": "nothing"})
    assert page.context["way"].key == "docker"
    assert "hands out no password for the registry" in page.content.decode()


@pytest.mark.slow
@pytest.mark.network
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("key", ["skopeo", "podman"])
def test_the_lines_of_a_local_run_pull(
    key: str, cast: Cast, debian: BaseImage, registry: LocalAWS, tmp_path: Path, settings: Any
) -> None:
    """`podman` is tried by buildah, which takes the same arguments, where there is no podman."""
    settings.REGISTRY_HOST = registry.url.partition("://")[2]
    image = build_now(registry, ask(cast, f"by-{key}", "six"))
    program = shutil.which(key) or shutil.which({"podman": "buildah"}.get(key, key))
    if program is None:
        pytest.skip(f"{key} is not installed.")
    way = ways_of(image)[key]
    read, *rest = (step.text for step in way.steps)
    assert read == "set -a; . .local/aws.env; set +a"
    environment = {
        **os.environ,
        "REGISTRY_AUTH_FILE": str(tmp_path / "auth.json"),
        "PASSWORD": registry.password(),
    }
    for text in rest:
        line = text.replace(".venv/bin/python manage.py registry_password", "echo $PASSWORD")
        line = re.sub(rf"\b{key} (login|pull|copy)", rf"{program} \1", line)
        done = subprocess.run(
            ["bash", "-c", line], env=environment, cwd=tmp_path, capture_output=True, text=True
        )
        assert done.returncode == 0, (line, done.stderr)
    if key == "skopeo":
        assert (tmp_path / f"by-{key}/index.json").exists()
