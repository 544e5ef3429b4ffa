"""Real Amazon ECR's ways, as a server that answers as ECR would."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import stamina
from botocore.retries.standard import ExponentialBackoff

from images.registry.connection import TokenSource
from images.registry.distribution.client import RegistryClient
from images.registry.ecr.repositories import RepositoryControl
from tests.images.registry.ecr import ecr_stub
from tests.images.registry.ecr.ecr_stub import ECR
from tests.images.registry.ecr.ways import control_of


@pytest.fixture
def ecr(monkeypatch: pytest.MonkeyPatch) -> Iterator[ECR]:
    # Only the waiting between boto3's attempts is left out, not the attempts.
    monkeypatch.setattr(ExponentialBackoff, "delay_amount", lambda self, context: 0)
    for variable in ("AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT"):
        monkeypatch.delenv(variable, raising=False)
    # Nor is there between ours: tests/test_retries.py waits.
    with ecr_stub.running() as server, stamina.set_testing(True, attempts=10, cap=True):
        yield server


@pytest.fixture
def slept() -> list[float]:
    return []


@pytest.fixture
def control(ecr: ECR) -> RepositoryControl:
    return control_of(ecr.url, "us-east-1")


@pytest.fixture
def client(control: RepositoryControl, slept: list[float]) -> Iterator[RegistryClient]:
    tokens = TokenSource(control)
    with RegistryClient(
        tokens.authorization().endpoint, credentials=tokens, guard=str, sleep=slept.append
    ) as client:
        yield client
