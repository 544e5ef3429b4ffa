"""`python -m tests.faults.verifying`: for each line of input all findings of the verifier, a line of JSON.

They are those of rows, images and repositories (`images.verification.whole`), and of what the registry lists
(`tests.faults.listings`). It runs in the installation's environment, with both identities' keys in
RI_FAULTS_KEYS (JSON), and asks the local AWS itself, past the proxy. It stays, since its start would be most
of its time.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

from tests.local_aws import LocalAWS


class Verifier:
    """That process, as the tests use it."""

    def __init__(self, environment: Mapping[str, str], aws: LocalAWS) -> None:
        keys = {"RI_FAULTS_AWS": aws.url, "RI_FAULTS_KEYS": json.dumps(aws.keys)}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.verifying"],
            cwd=Path(__file__).resolve().parents[2],
            env={**environment, **keys},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            # Ctrl-C is for the tests.
            start_new_session=True,
        )

    def findings(self) -> list[dict[str, str]]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print("look", file=self._process.stdin, flush=True)
        line = self._process.stdout.readline()
        assert line, f"The verifier ended with {self._process.wait()}."
        found: list[dict[str, str]] = json.loads(line)
        return found

    def end(self) -> None:
        self._process.kill()
        self._process.communicate()


def main() -> None:
    import django

    django.setup()
    from django.conf import settings
    from django.db import connection

    from images.verification.whole import examine
    from tests.faults import listings

    aws = LocalAWS(os.environ["RI_FAULTS_AWS"], json.loads(os.environ["RI_FAULTS_KEYS"]))
    settings.REGISTRY_URL = settings.AWS_ENDPOINT_URL = aws.url
    for _ in sys.stdin:
        # PostgreSQL may have been another process at the last look.
        connection.close()
        with aws.client() as client:
            found = examine(
                client,
                aws.control("registry-server"),
                deep=True,
                # Whoever calls has waited until nothing is active.
                stuck_after=timedelta(seconds=60),
            )
        found += listings.findings(aws)
        told = [
            {"code": str(item.code), "subject": item.subject, "said": item.said} for item in found
        ]
        print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
