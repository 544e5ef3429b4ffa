"""IAM for the local registry's data plane: it maps a token to its identity and a request to its action.

ministack enforces IAM on the control plane and accepts any credentials on `/v2/`. Real ECR enforces IAM
there, too: the token names the identity, whose policies must allow the request's action on the repository.
This module builds that question; ministack's own evaluator answers it.

Source: ECR user guide, "Private registry authentication" and "IAM permissions for pushing an image".
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import secrets
import time
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from ministack.core.iam_evaluator import AuthError, enforce
from ministack.core.responses import get_account_id, get_region
from ministack.core.router import extract_access_key_id
from ministack.services import ecr

from ri_platform.local.registry_deletion import forget_deleted

TOKEN_SECONDS = 12 * 60 * 60
READ = ("GET", "HEAD")
# The tags of a repository that may move, as CreateRepository gets them.
FILTERS = "imageTagMutabilityExclusionFilters"

Headers = Mapping[str, str]
Query = dict[str, list[str]]
Answer = tuple[int, dict[str, str], bytes]

_control_plane = ecr.handle_request
_data_plane = ecr.handle_registry_request


class NotAuthorized(Exception):
    """The request has no credentials that could be a token: 401, with a challenge."""


class TokenExpired(Exception):
    """The token, or the session that requested it, has expired: 403, without a challenge."""


class Tokens:
    """Tokens that name their holder and survive a restart, like those of AWS."""

    def __init__(self, secret_file: Path) -> None:
        if not secret_file.exists():
            descriptor = os.open(secret_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(secrets.token_bytes(32))
        self._secret = secret_file.read_bytes()

    def issue(self, access_key_id: str) -> tuple[str, int]:
        """A token and when it ends, in seconds since 1970."""
        expires = int(time.time()) + TOKEN_SECONDS
        held = base64.urlsafe_b64encode(json.dumps([access_key_id, expires]).encode()).decode()
        return f"{held}.{self._signature(held)}", expires

    def holder(self, authorization: str) -> str:
        """The access key that a request's Authorization header stands for."""
        scheme, _, value = authorization.partition(" ")
        try:
            username, _, token = base64.b64decode(value, validate=True).decode().partition(":")
        except ValueError as error:
            raise NotAuthorized from error
        held, _, signature = token.partition(".")
        if (
            scheme.lower() != "basic"
            or username != "AWS"
            or not hmac.compare_digest(signature.encode(), self._signature(held).encode())
        ):
            raise NotAuthorized
        access_key_id, expires = json.loads(base64.urlsafe_b64decode(held))
        if time.time() >= expires:
            raise TokenExpired
        return str(access_key_id)

    def _signature(self, held: str) -> str:
        return hmac.new(self._secret, held.encode(), hashlib.sha256).hexdigest()


class RegistryAccess:
    """The wrappers of ministack's two handlers of ECR."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens
        # In AWS it is off by default; here it is on, because builds are slow without it.
        self._settings = {"BLOB_MOUNTING": "ENABLED"}

    async def control_plane(
        self, method: str, path: str, headers: Headers, body: bytes, query: Query
    ) -> Answer:
        """ECR's API with our tokens and the account settings. ministack has already checked IAM."""
        action = headers.get("x-amz-target", "").rpartition(".")[2]
        if action == "GetAuthorizationToken":
            token, expires = self._tokens.issue(extract_access_key_id(dict(headers), query))
            data = {
                "authorizationToken": base64.b64encode(f"AWS:{token}".encode()).decode(),
                "expiresAt": expires,
                "proxyEndpoint": registry_address(),
            }
            return as_json({"authorizationData": [data]})
        if action in ("PutAccountSetting", "GetAccountSetting"):
            asked = json.loads(body)
            if action == "PutAccountSetting":
                self._settings[asked["name"]] = asked["value"]
            return as_json({"name": asked["name"], "value": self._settings.get(asked["name"], "")})
        answer: Answer = await _control_plane(method, path, headers, body, query)
        if action == "CreateRepository" and answer[0] == 200:
            # ministack does not keep the filters.
            asked = json.loads(body)
            ecr._repositories[asked["repositoryName"]][FILTERS] = asked.get(FILTERS, [])
        if action in ("DeleteRepository", "BatchDeleteImage") and answer[0] == 200:
            forget_deleted(action, json.loads(body))
        return answer

    async def data_plane(
        self, method: str, path: str, headers: Headers, body: bytes, query: Query
    ) -> Answer:
        """`/v2/`, with the token's identity and its IAM policies."""
        try:
            holder = self._tokens.holder(headers.get("authorization", ""))
            verb, name, reference = ecr._parse_v2_path(path) or ("", "", "")
            if action := action_of(method, verb):
                if refusal := find_refusal(holder, action, name):
                    return refusal
            elif verb != "ping":
                return error(405, "UNSUPPORTED", "ECR does not support this request.")
            if (method, verb) == ("PUT", "manifest") and is_kept(name, reference, body):
                return error(400, "TAG_INVALID", f"tag '{reference}' is immutable")
            if method == "POST" and "mount" in query and not self._may_mount(holder, query):
                # As the specification allows, an upload begins instead.
                query = {}
        except NotAuthorized:
            challenge = f'Basic realm="{registry_address()}/",service="ecr.amazonaws.com"'
            return 401, {"Www-Authenticate": challenge}, b"Not Authorized\n"
        except TokenExpired:
            return error(
                403, "DENIED", "Your authorization token has expired. Reauthenticate and try again."
            )
        answer: Answer = await _data_plane(method, path, headers, body, query)
        return answer

    def _may_mount(self, holder: str, query: Query) -> bool:
        """A mount needs the privilege to pull from the other repository."""
        source = query.get("from", [""])[0]
        enabled = self._settings["BLOB_MOUNTING"] == "ENABLED"
        return enabled and find_refusal(holder, "ecr:GetDownloadUrlForLayer", source) is None


def is_kept(repository: str, tag: str, manifest: bytes) -> bool:
    """Whether a tag of a repository that excludes some from immutability is none of these, and is taken."""
    found = ecr._repositories.get(repository, {})
    if found.get("imageTagMutability") != "IMMUTABLE_WITH_EXCLUSION":
        return False
    if any(fnmatchcase(tag, item["filter"]) for item in found.get(FILTERS, [])):
        return False
    digest = f"sha256:{hashlib.sha256(manifest).hexdigest()}"
    return any(
        tag in image.get("imageTags", []) and image.get("imageDigest") != digest
        for image in ecr._images.get(repository, [])
    )


def action_of(method: str, verb: str) -> str:
    """The IAM action that a request to `/v2/` needs; empty if ECR knows no such request."""
    if verb in ("manifest", "blob") and method in READ:
        if verb == "manifest":
            return "ecr:BatchGetImage"
        return (
            "ecr:GetDownloadUrlForLayer" if method == "GET" else "ecr:BatchCheckLayerAvailability"
        )
    actions = {
        ("PUT", "manifest"): "ecr:PutImage",
        ("POST", "blob_uploads"): "ecr:InitiateLayerUpload",
        ("PATCH", "blob_upload_session"): "ecr:UploadLayerPart",
        ("PUT", "blob_upload_session"): "ecr:CompleteLayerUpload",
        ("GET", "tags_list"): "ecr:ListImages",
    }
    return actions.get((method, verb), "")


def find_refusal(access_key_id: str, action: str, repository: str) -> Answer | None:
    """IAM's refusal, or None. Raises `TokenExpired` if the token's session has expired."""
    arn = f"arn:aws:ecr:{get_region()}:{get_account_id()}:repository/{repository}"
    found = enforce(access_key_id, action, "ecr", get_region(), resource_arn=arn)
    if found is None:
        return None
    if isinstance(found, AuthError):
        raise TokenExpired
    return error(
        403,
        "DENIED",
        f"User: {found.principal_arn} is not authorized to perform: {action} on resource: {arn} "
        f"because no identity-based policy allows the {action} action",
    )


def registry_address() -> str:
    return f"https://{get_account_id()}.dkr.ecr.{get_region()}.amazonaws.com"


def as_json(value: dict[str, Any]) -> Answer:
    return 200, {"Content-Type": "application/x-amz-json-1.1"}, json.dumps(value).encode()


def error(status: int, code: str, message: str) -> Answer:
    body = {"errors": [{"code": code, "message": message}]}
    return status, {"Content-Type": "application/json"}, json.dumps(body).encode()


def enforce_on_registry(state: Path) -> None:
    """Wrap ministack's handlers of ECR; `state` keeps the signing key of tokens."""
    access = RegistryAccess(Tokens(state / "registry-token-secret"))
    ecr.handle_request = access.control_plane
    ecr.handle_registry_request = access.data_plane
