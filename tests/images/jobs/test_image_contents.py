"""What pip, Python and a shell say of a pulled image: it is what the lock promised."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from images.models import BaseImage, Status
from images.queries.library_changes import locked_versions
from tests.builds import ask, build_now, pulled, runs_in
from tests.cast import Cast
from tests.local_aws import LocalAWS
from tests.needs import needs

pytestmark = [
    pytest.mark.slow,
    pytest.mark.network,
    pytest.mark.django_db(transaction=True),
    needs("root"),
]


def test_pip_agrees_with_the_lock_and_console_scripts_work(
    cast: Cast, debian: BaseImage, registry: LocalAWS, tmp_path: Path
) -> None:
    image = build_now(registry, ask(cast, "contents", "pip\npandas\nrequests"))
    build = image.current_build
    assert image.status == Status.READY
    assert build is not None
    root = pulled(registry, image, tmp_path)
    assert runs_in(root, "python3", "-m", "pip", "check") == "No broken requirements found."
    listed = json.loads(runs_in(root, "python3", "-m", "pip", "list", "--format", "json"))
    found = {item["name"].lower().replace("_", "-"): item["version"] for item in listed}
    assert locked_versions(build.lock).items() <= found.items()
    recorded = {lib.normalized_name: lib.version for lib in build.libraries.all()}
    assert recorded == found
    assert runs_in(root, "normalizer", "--version").startswith("Charset-Normalizer")
    assert runs_in(root, "sh", "-c", "command -v pip").strip() == "/opt/managed/bin/pip"
    # It is the base's pip, and sees what is in the image's environment.
    assert "pandas" in runs_in(root, "pip", "list")
