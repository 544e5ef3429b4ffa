"""An HTTP server that answers as Amazon ECR does where the local AWS cannot be brought to it.

Both planes on one port. Sources: botocore's service model of ECR (JSON 1.1: errors are `__type` and `message`
at HTTP 400); ECR user guide, "Image tag mutability", "Amazon ECR service quotas" and "Troubleshooting";
OCI distribution-spec 1.1. Operations of the data plane are named by the IAM action that ECR checks for them.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import parse_qs, urlsplit

from images.registry.ecr.permissions import iam_action
from tests.http_server import QuietHandler, address_of, serving

TARGET = "AmazonEC2ContainerRegistry_V20150921."
MIN_PART, MAX_PART, MAX_PARTS = 5 << 20, 10 << 20, 4_200
MAX_PAGE, DEFAULT_PAGE = 1_000, 100


@dataclass(frozen=True)
class Answer:
    status: int
    body: dict[str, Any] | None = None
    headers: dict[str, str] = field(default_factory=dict)


def fault(kind: str, message: str, status: int = 400) -> Answer:
    """An error of the control plane."""
    return Answer(status, {"__type": kind, "message": message})


def refusal(status: int, code: str, message: str) -> Answer:
    """An error of the data plane."""
    return Answer(status, {"errors": [{"code": code, "message": message}]})


THROTTLED = fault("ThrottlingException", "Rate exceeded")
TOO_MANY = refusal(429, "TOOMANYREQUESTS", "Rate exceeded")
EXPIRED = refusal(
    403, "DENIED", "Your authorization token has expired. Reauthenticate and try again."
)


@dataclass
class Repository:
    mutability: str
    # digest → tags, in the order in which they were pushed.
    images: dict[str, list[str]] = field(default_factory=dict)
    blobs: set[str] = field(default_factory=set)
    # Patterns of the tags that may move.
    excluded: list[str] = field(default_factory=list)

    def mutable(self, tag: str) -> bool:
        return any(fnmatchcase(tag, pattern) for pattern in self.excluded)


class ECR:
    """The registry's state, and what was asked of it; `instead` queues answers that come before its own."""

    def __init__(self) -> None:
        self.url = ""
        self.proxy_endpoint = ""
        self.repositories: dict[str, Repository] = {}
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.parts: list[int] = []
        self.first_page_is_empty = False
        self._instead: dict[str, list[Answer]] = defaultdict(list)
        self._tokens = 0
        self._uploads: dict[str, list[bytes]] = {}
        self._lock = threading.Lock()

    @property
    def operations(self) -> list[str]:
        return [operation for operation, _ in self.calls]

    def instead(self, operation: str, *answers: Answer) -> None:
        self._instead[operation] += answers

    def has(self, name: str, images: int = 0) -> Repository:
        """A repository that is there already, with so many images, tagged `build-0` and so on."""
        repository = self.repositories[name] = Repository("IMMUTABLE")
        for number in range(images):
            repository.images[digest(str(number).encode())] = [f"build-{number}"]
        return repository

    def expire_tokens(self) -> None:
        self._tokens += 1

    # --- both planes ---------------------------------------------------------------------------------

    def control(self, operation: str, asked: dict[str, Any]) -> Answer:
        with self._lock:
            self.calls.append((operation, asked))
            if self._instead[operation]:
                return self._instead[operation].pop(0)
            known: dict[str, Callable[[dict[str, Any]], Answer]] = {
                "CreateRepository": self._create,
                "PutLifecyclePolicy": lambda asked: self._in_repository(asked, lambda _: {}),
                "ListImages": self._list,
                "DescribeImages": self._describe,
                "GetAuthorizationToken": self._authorize,
            }
            return known[operation](asked)

    def data(self, method: str, target: str, authorization: str, body: bytes) -> Answer:
        parts = urlsplit(target)
        operation = iam_action(method, parts.path).removeprefix("ecr:")
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        with self._lock:
            self.calls.append((operation, query))
            if self._instead[operation]:
                return self._instead[operation].pop(0)
            if authorization != f"Basic {self._token()}":
                return EXPIRED
            found = re.fullmatch(r"/v2/(.+)/(?:manifests|blobs)/(?:uploads/)?([^/]*)", parts.path)
            assert found is not None
            name, reference = found.groups()
            repository = self.repositories.get(name)
            if repository is None:
                return refusal(404, "NAME_UNKNOWN", not_there(name))
            if operation == "InitiateLayerUpload":
                upload = f"upload-{len(self.calls)}"
                self._uploads[upload] = []
                return Answer(202, headers={"Location": f"/v2/{name}/blobs/uploads/{upload}"})
            if operation == "UploadLayerPart":
                return self._part(reference, parts.path, body)
            if operation == "CompleteLayerUpload":
                return self._complete(repository, reference, query["digest"])
            if operation == "PutImage":
                return self._put_image(name, repository, reference, body)
            if operation == "BatchGetImage":
                for stored, tags in repository.images.items():
                    if reference in (stored, *tags):
                        return Answer(200, headers={"Docker-Content-Digest": stored})
            return Answer(404)

    # --- control plane -------------------------------------------------------------------------------

    def _create(self, asked: dict[str, Any]) -> Answer:
        name = asked["repositoryName"]
        if name in self.repositories:
            return fault(
                "RepositoryAlreadyExistsException",
                f"The repository with name '{name}' already exists in the registry "
                "with id '123456789012'",
            )
        filters = asked.get("imageTagMutabilityExclusionFilters", [])
        assert len(filters) <= 5
        self.repositories[name] = Repository(
            asked.get("imageTagMutability", "MUTABLE"),
            excluded=[item["filter"] for item in filters],
        )
        return Answer(200, {"repository": {"repositoryName": name}})

    def _in_repository(
        self, asked: dict[str, Any], answer: Callable[[Repository], dict[str, Any]]
    ) -> Answer:
        repository = self.repositories.get(asked["repositoryName"])
        if repository is None:
            return fault("RepositoryNotFoundException", not_there(asked["repositoryName"]))
        if asked.get("maxResults", 1) > MAX_PAGE:
            return fault("InvalidParameterException", "maxResults is at most 1000")
        return Answer(200, answer(repository))

    def _page(self, asked: dict[str, Any], key: str, items: list[dict[str, Any]]) -> dict[str, Any]:
        """Up to `maxResults` items. A page with a token may be empty: only a missing token is the end."""
        if self.first_page_is_empty and "nextToken" not in asked:
            return {key: [], "nextToken": "0"}
        start = int(asked.get("nextToken", 0))
        end = start + asked.get("maxResults", DEFAULT_PAGE)
        more = {"nextToken": str(end)} if end < len(items) else {}
        return {key: items[start:end], **more}

    def _list(self, asked: dict[str, Any]) -> Answer:
        def answer(repository: Repository) -> dict[str, Any]:
            ids = [
                {"imageDigest": stored, "imageTag": tag}
                for stored, tags in repository.images.items()
                for tag in tags
            ]
            return self._page(asked, "imageIds", ids)

        return self._in_repository(asked, answer)

    def _describe(self, asked: dict[str, Any]) -> Answer:
        def answer(repository: Repository) -> dict[str, Any]:
            details = [
                {"imageDigest": stored, "imageTags": tags, "imageSizeInBytes": 7}
                for stored, tags in repository.images.items()
            ]
            return self._page(asked, "imageDetails", details)

        return self._in_repository(asked, answer)

    def _token(self) -> str:
        return base64.b64encode(f"AWS:token-{self._tokens}".encode()).decode()

    def _authorize(self, asked: dict[str, Any]) -> Answer:
        data = {
            "authorizationToken": self._token(),
            "expiresAt": time.time() + 12 * 3600,
            "proxyEndpoint": self.proxy_endpoint or self.url,
        }
        return Answer(200, {"authorizationData": [data]})

    # --- data plane ----------------------------------------------------------------------------------

    def _part(self, upload: str, path: str, body: bytes) -> Answer:
        held = self._uploads[upload]
        if held and len(held[-1]) < MIN_PART:
            return refusal(400, "BLOB_UPLOAD_INVALID", "Only the last part may be below 5 MiB")
        if len(body) > MAX_PART or len(held) == MAX_PARTS:
            return refusal(400, "BLOB_UPLOAD_INVALID", "The part is too large, or one too many")
        held.append(body)
        self.parts.append(len(body))
        return Answer(202, headers={"Location": path})

    def _complete(self, repository: Repository, upload: str, promised: str) -> Answer:
        if digest(b"".join(self._uploads.pop(upload))) != promised:
            return refusal(400, "DIGEST_INVALID", "The layer has another digest")
        repository.blobs.add(promised)
        return Answer(201)

    def _put_image(self, name: str, repository: Repository, tag: str, body: bytes) -> Answer:
        if repository.mutable(tag):
            for tags in repository.images.values():
                tags[:] = [other for other in tags if other != tag]
        if any(tag in tags for tags in repository.images.values()):
            return refusal(
                400,
                "TAG_INVALID",
                f"The image tag '{tag}' already exists in the '{name}' repository "
                "and cannot be overwritten because the tag is immutable.",
            )
        repository.images.setdefault(digest(body), []).append(tag)
        return Answer(201, headers={"Docker-Content-Digest": digest(body)})


def digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def not_there(name: str) -> str:
    return (
        f"The repository with name '{name}' does not exist in the registry with id '123456789012'"
    )


@contextmanager
def running() -> Iterator[ECR]:
    """A registry that answers at its `url` until the block ends."""
    ecr = ECR()

    class Handler(QuietHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def reply(self) -> None:
            body = self._body()
            target = self.headers.get("X-Amz-Target", "")
            if target:
                answer = ecr.control(target.removeprefix(TARGET), json.loads(body))
            else:
                answer = ecr.data(
                    self.command, self.path, self.headers.get("Authorization", ""), body
                )
            told = b"" if answer.body is None else json.dumps(answer.body).encode()
            self.send_response(answer.status)
            self.send_header(
                "Content-Type", "application/x-amz-json-1.1" if target else "application/json"
            )
            self.send_header("Content-Length", str(len(told)))
            for header, value in answer.headers.items():
                self.send_header(header, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(told)

        def _body(self) -> bytes:
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))

        do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = reply

    with serving(Handler) as server:
        ecr.url = address_of(server)
        yield ecr
