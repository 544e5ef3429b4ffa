"""The AWS identity of this process, found without using it."""

from __future__ import annotations

import boto3

# What boto3 calls the places where it finds an identity (botocore's `Credentials.method`).
PLACES = {
    "env": "keys in its environment",
    "shared-credentials-file": "a credentials file",
    "config-file": "a configuration file",
    "assume-role": "a role of its profile",
    "assume-role-with-web-identity": "a role by a web identity token (IRSA)",
    "container-role": "a role of its container (Pod Identity or ECS)",
    "iam-role": "a role of its machine",
}


def source() -> str:
    """The place in which boto3 finds this process's identity, in words; empty if it has none."""
    credentials = boto3.Session().get_credentials()
    if credentials is None:
        return ""
    return PLACES.get(credentials.method, credentials.method)
