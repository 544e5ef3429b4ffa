"""A web process on the test's own database."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from django.db import connection

from ri_platform import processes
from ri_platform.local import services


@contextmanager
def web_process(port: int, **variables: str) -> Iterator[str]:
    """The address of one that runs until the block ends, with more variables where a test needs them."""
    database = connection.settings_dict
    environment = {
        **services.remove_aws_identity(dict(os.environ)),
        "DATABASE_URL": services.database_url(str(database["HOST"]), str(database["NAME"])),
        "RI_SECRET_KEY": settings.SECRET_KEY,
        # Most tests ask little, and each worker takes seconds to start.
        "RI_WEB_WORKERS": "1",
        "RI_MAX_FAILED_AUTHENTICATIONS": "10000",
        "RI_REGISTRY_HOST": "123456789012.dkr.ecr.us-east-1.amazonaws.com",
        **variables,
    }
    process = subprocess.Popen(processes.web(port), env=environment)
    try:
        # Long: other tests may keep all cores busy meanwhile.
        assert services.wait_until_answers(f"http://127.0.0.1:{port}/healthz", 120)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()
