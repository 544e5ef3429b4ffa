"""Addresses of both planes of real ECR: regions, partitions and kinds of endpoints."""

from __future__ import annotations

from typing import Any

import pytest

from images.errors import RegistryError
from images.registry.ecr.endpoints import registry_endpoint
from tests.images.registry.ecr.ecr_stub import ECR
from tests.images.registry.ecr.ways import control_of

ACCOUNT = "123456789012"
ENDPOINTS = [
    # region, FIPS, dual stack, the API's host, the plain registry, the registry to talk to
    (
        "us-east-1",
        False,
        False,
        "api.ecr.us-east-1.amazonaws.com",
        "dkr.ecr.us-east-1.amazonaws.com",
        "dkr.ecr.us-east-1.amazonaws.com",
    ),
    (
        "us-east-2",
        True,
        False,
        "api.ecr-fips.us-east-2.amazonaws.com",
        "dkr.ecr.us-east-2.amazonaws.com",
        "dkr.ecr-fips.us-east-2.amazonaws.com",
    ),
    (
        "eu-central-1",
        False,
        True,
        "ecr.eu-central-1.api.aws",
        "dkr.ecr.eu-central-1.amazonaws.com",
        "dkr-ecr.eu-central-1.on.aws",
    ),
    (
        "us-west-2",
        True,
        True,
        "ecr-fips.us-west-2.api.aws",
        "dkr.ecr.us-west-2.amazonaws.com",
        "dkr-ecr-fips.us-west-2.on.aws",
    ),
    (
        "us-gov-west-1",
        True,
        False,
        "api.ecr-fips.us-gov-west-1.amazonaws.com",
        "dkr.ecr.us-gov-west-1.amazonaws.com",
        "dkr.ecr-fips.us-gov-west-1.amazonaws.com",
    ),
    (
        "cn-north-1",
        False,
        False,
        "api.ecr.cn-north-1.amazonaws.com.cn",
        "dkr.ecr.cn-north-1.amazonaws.com.cn",
        "dkr.ecr.cn-north-1.amazonaws.com.cn",
    ),
    (
        "cn-northwest-1",
        False,
        True,
        "ecr.cn-northwest-1.api.amazonwebservices.com.cn",
        "dkr.ecr.cn-northwest-1.amazonaws.com.cn",
        "dkr-ecr.cn-northwest-1.on.amazonwebservices.com.cn",
    ),
]


@pytest.mark.parametrize(("region", "fips", "dual_stack", "api", "plain", "registry"), ENDPOINTS)
@pytest.mark.slow
def test_both_planes_are_found_in_every_partition(
    ecr: ECR,
    monkeypatch: pytest.MonkeyPatch,
    region: str,
    fips: bool,
    dual_stack: bool,
    api: str,
    plain: str,
    registry: str,
) -> None:
    monkeypatch.setenv("AWS_USE_FIPS_ENDPOINT", str(fips).lower())
    monkeypatch.setenv("AWS_USE_DUALSTACK_ENDPOINT", str(dual_stack).lower())
    control = control_of(None, region)
    asked: list[str] = []

    def to_the_server(request: Any, **rest: object) -> None:
        asked.append(request.url)
        request.url = f"{ecr.url}/"

    control.client.meta.events.register("before-send.ecr", to_the_server)
    ecr.proxy_endpoint = f"https://{ACCOUNT}.{plain}"
    authorization = control.authorization()
    assert asked == [f"https://{api}/"]
    assert authorization.endpoint == f"https://{ACCOUNT}.{registry}"
    assert (authorization.username, authorization.password) == ("AWS", "token-0")


@pytest.mark.parametrize(
    ("domain", "region", "fips", "dual_stack", "variable"),
    [
        ("c2s.ic.gov", "us-iso-east-1", False, True, "AWS_USE_DUALSTACK_ENDPOINT"),
        ("amazonaws.com.cn", "cn-north-1", True, False, "AWS_USE_FIPS_ENDPOINT"),
        ("amazonaws.com.cn", "cn-north-1", True, True, "AWS_USE_FIPS_ENDPOINT"),
    ],
)
def test_an_address_that_does_not_exist_is_not_made_up(
    domain: str, region: str, fips: bool, dual_stack: bool, variable: str
) -> None:
    with pytest.raises(RegistryError, match=f"Registries of {domain} have no") as caught:
        registry_endpoint(
            f"https://{ACCOUNT}.dkr.ecr.{region}.{domain}", fips=fips, dual_stack=dual_stack
        )
    assert variable in caught.value.hint
