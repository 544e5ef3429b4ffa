"""An instance of a benchmark's own, as `make run` starts one, and the credentials of its registry."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from ri_platform.env import read_env_file
from ri_platform.local import services

ROOT = Path(__file__).resolve().parents[1]


@contextmanager
def instance(state: Path, variables: Mapping[str, str] | None = None) -> Iterator[None]:
    """`make run` on `state` with `variables`, its base image ready; Django is set up to look into it."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("RI_", "AWS_"))}
    environment |= {
        **(variables or {}),
        "RI_STATE_DIR": str(state),
        "PORT": str(services.free_port()),
        "UV_CACHE_DIR": str(state / "uv-cache"),
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "ri_platform.local"],
        cwd=ROOT, env=environment, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        health = f"http://127.0.0.1:{environment['PORT']}/healthz"
        assert services.wait_until_answers(health, 600)
        os.environ.update(
            RI_STATE_DIR=str(state),
            PORT=environment["PORT"],
            DJANGO_SETTINGS_MODULE="ri_platform.settings",
        )
        import django

        django.setup()
        from images.models import BaseImage

        while not BaseImage.objects.current().exists():
            time.sleep(0.5)
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def credentials(state: Path) -> str:
    """The credentials of the build jobs for the local registry, in the form of buildah and skopeo."""
    done = subprocess.run(
        [sys.executable, "manage.py", "registry_password"], cwd=ROOT,
        env={**os.environ, **read_env_file(state / "aws.env")},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return f"AWS:{done.stdout.strip()}"
