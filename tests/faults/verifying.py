"""`python -m tests.faults.verifying`: every finding of the verifier, one JSON object a line.

It runs in the instance's environment, with both identities' keys in RI_FAULTS_KEYS (JSON), and asks the local
AWS itself, past the proxy.
"""

from __future__ import annotations

import json
import os
from datetime import timedelta


def main() -> None:
    import django

    django.setup()
    from django.conf import settings

    from images.verification.whole import examine
    from tests.local_aws import LocalAWS

    aws = LocalAWS(os.environ["RI_FAULTS_AWS"], json.loads(os.environ["RI_FAULTS_KEYS"]))
    settings.REGISTRY_URL = settings.AWS_ENDPOINT_URL = aws.url
    with aws.client() as client:
        found = examine(
            client,
            aws.control("registry-server"),
            deep=True,
            # Whoever calls has waited until nothing is active.
            stuck_after=timedelta(seconds=60),
        )
    for finding in found:
        print(
            json.dumps(
                {"code": str(finding.code), "subject": finding.subject, "said": finding.said}
            )
        )


if __name__ == "__main__":
    main()
