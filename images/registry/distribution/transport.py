"""HTTP to a registry: authorization, redirects and retries of the distribution specification.

Sources: OCI distribution-spec 1.1; Docker's token authentication ("Bearer" challenges); RFC 9110
(redirects). httpx follows no redirect here: the Authorization header must reach the
registry and nobody else.

The retries are its own and not of `ri_platform.retries`. What is sent again depends on the answer and on the
request (`retry`, `settle`, `missing_ok`) and on no exception; the registry says how long to wait; and the
last answer, whatever it is, is handed on with its body unread.
"""

from __future__ import annotations

import math
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol, TypedDict, Unpack

import httpx

from images.errors import RegistryError, RegistryUnavailable
from images.registry.distribution.responses import (
    RETRIED,
    is_unknown_yet,
    may_be_expired,
    response_error,
    retry_after,
)
from images.registry.distribution.waits import MAX_WAIT_SECONDS, backoff, wait
from ri_platform.bounded import AnswerTooLarge, whole
from ri_platform.tls import trust

MAX_ATTEMPTS = 5
MAX_REDIRECTS = 5
REDIRECTS = frozenset({301, 302, 303, 307, 308})
# Manifests and indexes may have 4 MiB (`client`); errors and tokens are texts of a few lines.
MAX_ANSWER, MAX_ERROR = 8 << 20, 64 << 10

Body = bytes | Callable[[], Iterator[bytes]] | None


@dataclass(frozen=True)
class Credentials:
    username: str
    password: str = field(repr=False)


class CredentialSource(Protocol):
    """Gives credentials; with those that the registry has `refused`, others if there are any."""

    def __call__(self, refused: Credentials | None = None) -> Credentials: ...


class Options(TypedDict, total=False):
    """Parts of a request that most requests leave out.

    `missing_ok` lets a 404 through. `retry=False` is for requests whose repetition could do harm: only a 429
    is answered by sending them again, since the registry has not looked at them. `settle` waits for a
    repository that was created a moment ago, which ECR may not know everywhere yet. `check` is asked in
    waits, and may raise.
    """

    headers: Mapping[str, str]
    params: Mapping[str, str]
    body: Body
    scope: str
    retry: bool
    missing_ok: bool
    settle: bool
    check: Callable[[], None] | None


def permissions(method: str, path: str) -> str:
    """The end of a refusal's hint where nobody knows which permission a request takes."""
    return " and the registry's permissions"


class TransportOptions(TypedDict, total=False):
    """How one registry is reached; `Transport` has the defaults.

    `timeout` is in seconds, `attempts` counts the first request too. `sleep`, `transport` and
    `on_request(method, path)`, which sees every request before it is sent, are there for tests.
    `on_answer(method, path, status)` is for counting; the status is 0 where nothing came.
    `needed(method, path)` ends the hint of a refusal with the permission that the request takes.
    """

    credentials: CredentialSource | None
    timeout: float
    transport: httpx.BaseTransport | None
    on_request: Callable[[str, str], None] | None
    on_answer: Callable[[str, str, int], None] | None
    needed: Callable[[str, str], str]
    sleep: Callable[[float], None]
    attempts: int


class Transport:
    """Sends requests to one registry. Thread-safe. `TransportOptions` says what it takes."""

    def __init__(
        self,
        base_url: str,
        *,
        credentials: CredentialSource | None = None,
        timeout: float = 30.0,
        transport: httpx.BaseTransport | None = None,
        on_request: Callable[[str, str], None] | None = None,
        on_answer: Callable[[str, str, int], None] | None = None,
        needed: Callable[[str, str], str] = permissions,
        sleep: Callable[[float], None] = time.sleep,
        attempts: int = MAX_ATTEMPTS,
    ) -> None:
        self.base_url = httpx.URL(base_url.rstrip("/"))
        self._credentials = credentials
        self._on_request = on_request
        self._on_answer = on_answer
        self._needed = needed
        self._sleep = sleep
        self._attempts = attempts
        self._timeout = timeout
        self._lock = threading.Lock()
        self._bearer: dict[str, str] = {}
        self._http = httpx.Client(
            timeout=httpx.Timeout(timeout, connect=min(timeout, 10.0)),
            transport=transport,
            follow_redirects=False,
            verify=trust(),
            limits=httpx.Limits(max_connections=16),
        )

    def close(self) -> None:
        self._http.close()

    def request(self, method: str, url: str, **options: Unpack[Options]) -> httpx.Response:
        """Send and read the whole answer. Raises our errors for any status of 400 and more."""
        with self.stream(method, url, **options) as response:
            return whole(response, MAX_ANSWER)

    @contextmanager
    def stream(self, method: str, url: str, **options: Unpack[Options]) -> Iterator[httpx.Response]:
        """As `request`, with the body still to be read by the caller."""
        # Parameters are added to those that a Location already has.
        target = self.base_url.join(url).copy_merge_params(dict(options.get("params", {})))
        response, out_of_time = self._send_with_retries(method, target, options)
        try:
            missing = response.status_code == 404 and options.get("missing_ok", False)
            if response.status_code >= 400 and not missing:
                answer = whole(response, MAX_ERROR, cut=True)
                refused = response_error(method, target, answer, self._needed)
                if isinstance(refused, RegistryUnavailable):
                    refused.out_of_time = out_of_time
                raise refused
            yield response
        except AnswerTooLarge as error:
            raise RegistryError(
                f"The registry {self.base_url.host} gave a larger answer to {method} {target.path} than any "
                "should.",
                hint="An operator must look at what answers there.",
            ) from error
        except httpx.TransportError as error:
            raise RegistryUnavailable(
                f"The registry {self.base_url.host} broke off its answer: {error_text(error)}.",
                hint="The platform tries again by itself.",
            ) from error
        finally:
            response.close()

    def _send_with_retries(
        self, method: str, target: httpx.URL, options: Options
    ) -> tuple[httpx.Response, bool]:
        """The answer of the last attempt, whatever its status, and whether there was no time for another one.

        Raises `RegistryUnavailable` if none came.
        """
        retry, settle = options.get("retry", True), options.get("settle", False)
        check, no_later = options.get("check"), math.inf
        for attempt in range(1, self._attempts + 1):
            last, seconds = attempt == self._attempts, backoff(attempt)
            failed: httpx.TransportError | None = None
            try:
                response = self._authorize(method, target, options)
                if settle and response.status_code == 404:
                    response = whole(response, MAX_ERROR, cut=True)
            except httpx.TransportError as error:
                failed, again = error, retry
            else:
                again = response.status_code == 429 or (retry and response.status_code in RETRIED)
                again = again or (settle and is_unknown_yet(response))
                seconds = min(retry_after(response) or seconds, MAX_WAIT_SECONDS)
            # From the end of the first attempt, whose body may have been long under way: a registry that
            # hangs, or asks for patience again and again, is not waited for by every attempt.
            no_later = min(no_later, time.monotonic() + 2 * self._timeout)
            out_of_time = time.monotonic() + seconds > no_later
            if last or out_of_time or not again:
                break
            if failed is None:
                response.close()
            wait(seconds, check, self._sleep)
        if failed is not None:
            raise self._unreachable(failed, out_of_time) from failed
        return response, out_of_time

    def _unreachable(self, error: httpx.TransportError, out_of_time: bool) -> RegistryUnavailable:
        unavailable = RegistryUnavailable(
            f"The registry {self.base_url.host} cannot be reached: {error_text(error)}.",
            hint="The platform tried several times; an operator should look.",
        )
        unavailable.out_of_time = out_of_time
        return unavailable

    def _authorize(self, method: str, target: httpx.URL, options: Options) -> httpx.Response:
        """One attempt; where the credentials are not taken, it is repeated once with fresh ones."""
        headers, body = dict(options.get("headers", {})), options.get("body")
        scope = options.get("scope", "")
        sent = self._credentials() if self._credentials and not self._bearer else None
        response = self._follow(method, target, headers | self._authorization(scope, sent), body)
        if response.status_code in (401, 403):
            response = whole(response, MAX_ERROR, cut=True)
        if response.status_code == 401:
            challenge = response.headers.get("WWW-Authenticate", "")
        elif response.status_code == 403 and sent is not None and may_be_expired(response):
            challenge = "Basic"
        else:
            return response
        fresh = self._answer(challenge, scope, sent)
        return response if fresh is None else self._follow(method, target, headers | fresh, body)

    def _follow(
        self, method: str, target: httpx.URL, headers: dict[str, str], body: Body
    ) -> httpx.Response:
        """Send, and follow redirects of reads; another origin never gets the Authorization header.

        A redirect may lead away from the registry, and so may the Location of an upload.
        """
        for _ in range(MAX_REDIRECTS):
            self._refuse_target(target)
            sent = dict(headers)
            if origin(target) != origin(self.base_url):
                sent.pop("Authorization", None)
            elif self._on_request:
                self._on_request(method, target.path)
            content = body() if callable(body) else body
            request = self._http.build_request(method, target, headers=sent, content=content)
            response = self._send(request)
            if method not in ("GET", "HEAD") or response.status_code not in REDIRECTS:
                return response
            target = target.join(response.headers.get("Location", ""))
            response.close()
        raise RegistryError(
            f"The registry {self.base_url.host} redirects in circles.",
            hint="An operator must look at the registry's configuration.",
        )

    def _refuse_target(self, target: httpx.URL) -> None:
        """Raise `RegistryError` where a redirect or a Location leaves the web, or TLS."""
        if target.scheme not in ("https", "http") or (
            self.base_url.scheme == "https" and target.scheme != "https"
        ):
            raise RegistryError(
                f"The registry {self.base_url.host} sends elsewhere, to an address that is not https.",
                hint="An operator must look at the registry's configuration.",
            )

    def _send(self, request: httpx.Request) -> httpx.Response:
        ours = self._on_answer is not None and origin(request.url) == origin(self.base_url)
        status = 0
        try:
            response = self._http.send(request, stream=True)
            status = response.status_code
            return response
        finally:
            if ours and self._on_answer is not None:
                self._on_answer(request.method, request.url.path, status)

    def _authorization(self, scope: str, credentials: Credentials | None) -> dict[str, str]:
        with self._lock:
            bearer = self._bearer.get(scope)
        if bearer:
            return {"Authorization": f"Bearer {bearer}"}
        return {"Authorization": basic(credentials)} if credentials else {}

    def _answer(
        self, challenge: str, scope: str, refused: Credentials | None
    ) -> dict[str, str] | None:
        """The header that answers a refusal, or None where there is nothing better to offer."""
        scheme, _, rest = challenge.partition(" ")
        if scheme.lower() == "basic":
            return (
                {"Authorization": basic(self._credentials(refused))} if self._credentials else None
            )
        if scheme.lower() != "bearer":
            return None
        values = dict(re.findall(r'(\w+)="([^"]*)"', rest))
        try:
            realm = httpx.URL(values.get("realm", ""))
            self._refuse_target(realm)
        except (httpx.InvalidURL, RegistryError):
            return None
        params = {"service": values.get("service", ""), "scope": values.get("scope") or scope}
        headers = {}
        if self._credentials and origin(realm) == origin(self.base_url):
            # They are the registry's; whom it names as its token server need not have them.
            headers = {"Authorization": basic(self._credentials())}
        params = {k: v for k, v in params.items() if v}
        try:
            with self._http.stream("GET", realm, params=params, headers=headers) as streamed:
                token = token_in(whole(streamed, MAX_ERROR))
        except AnswerTooLarge:
            return None
        if not token:
            return None
        with self._lock:
            self._bearer[scope] = token
        return {"Authorization": f"Bearer {token}"}


def token_in(answer: httpx.Response) -> str:
    """The token that a token server gave, empty if it gave none (Docker's token authentication)."""
    if answer.status_code != 200:
        return ""
    try:
        data = answer.json()
        token = str(data.get("token") or data.get("access_token") or "")
    except (ValueError, AttributeError):
        return ""
    # RFC 6750, 2.1: nothing else is a header's value.
    return token if re.fullmatch(r"[A-Za-z0-9._~+/=-]+", token) else ""


def origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


def basic(credentials: Credentials) -> str:
    header: str = httpx.BasicAuth(credentials.username, credentials.password)._auth_header
    return header


def error_text(error: httpx.TransportError) -> str:
    return str(error) or type(error).__name__
