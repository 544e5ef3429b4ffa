"""The registry's address where FIPS or dual-stack endpoints are asked for.

boto3 finds those of ECR's API by itself (`AWS_USE_FIPS_ENDPOINT`, `AWS_USE_DUALSTACK_ENDPOINT`), but the
`proxyEndpoint` that comes with a token is always the plain one.

Source: AWS general reference, "Amazon ECR endpoints and quotas"; ECR user guide, "Making requests to Amazon
ECR registries".
"""

from __future__ import annotations

import re

from images.errors import RegistryError

_PLAIN = re.compile(r"https://([0-9]{12})\.dkr\.ecr\.([a-z0-9-]+)\.([a-z0-9.-]+)")
# The domain of a partition → that of its dual-stack registries.
_DUAL_STACK = {
    "amazonaws.com": "on.aws",
    "amazonaws.com.cn": "on.amazonwebservices.com.cn",
}
# FIPS is a standard of the United States.
_WITHOUT_FIPS = frozenset({"amazonaws.com.cn"})


def registry_endpoint(proxy_endpoint: str, *, fips: bool, dual_stack: bool) -> str:
    """The URL to push to and pull from. Raises `RegistryError` where there is none of the kind."""
    found = _PLAIN.fullmatch(proxy_endpoint)
    if not (fips or dual_stack) or found is None:
        return proxy_endpoint
    account, region, domain = found.groups()
    if fips and domain in _WITHOUT_FIPS:
        raise RegistryError(
            f"Registries of {domain} have no FIPS address.",
            hint="An operator must unset AWS_USE_FIPS_ENDPOINT, or set RI_REGISTRY_URL.",
        )
    ending = "-fips" if fips else ""
    if not dual_stack:
        return f"https://{account}.dkr.ecr{ending}.{region}.{domain}"
    if domain not in _DUAL_STACK:
        raise RegistryError(
            f"Registries of {domain} have no dual-stack address.",
            hint="An operator must unset AWS_USE_DUALSTACK_ENDPOINT, or set RI_REGISTRY_URL.",
        )
    return f"https://{account}.dkr-ecr{ending}.{region}.{_DUAL_STACK[domain]}"
