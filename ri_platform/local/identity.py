"""The AWS identity of a command that is run beside `make run`, from `.local/aws.env`."""

from __future__ import annotations

import os

from django.conf import settings

from ri_platform.env import read_env_file
from ri_platform.settings import env


def take_identity() -> None:
    """Take the identity of the local build jobs, unless the environment already has one.

    Only commands that somebody types call this. An instance's processes get their identity from whoever
    starts them, and an installation has no such file.
    """
    if env.beside_make_run and "AWS_ACCESS_KEY_ID" not in os.environ:
        os.environ.update(read_env_file(settings.STATE_DIR / "aws.env"))
