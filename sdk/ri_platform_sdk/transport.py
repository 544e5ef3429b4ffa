"""Sending of calls with retries. Both clients decide here whether a call may be repeated."""

from __future__ import annotations

import asyncio
import random
import time
from typing import Any, TypeVar

import httpx

from ri_platform_sdk.calls import Call
from ri_platform_sdk.errors import ConnectionFailed, InvalidRequest, error_of

T = TypeVar("T")
ATTEMPTS = 4
# A server asks for at most this; a longer wait is an error that the caller should see.
LONGEST_PAUSE = 60.0


def base_url(domain: str) -> str:
    """The instance's address. `domain` may lack its scheme, which then is https."""
    return (domain if "://" in domain else f"https://{domain}").rstrip("/")


def options(domain: str, api_key: str, timeout: float) -> dict[str, Any]:
    """The options of both HTTP clients. Raises `InvalidRequest` for a token that no header can carry."""
    if not api_key.isascii() or not api_key.isprintable():
        raise InvalidRequest("The API access token holds characters that no token has.")
    headers = {"rime-api-key": api_key, "User-Agent": "ri-platform-sdk"}
    return {"base_url": base_url(domain), "headers": headers, "timeout": timeout}


def pause_after(
    attempt: int, call: Call[Any], outcome: httpx.Response | Exception, attempts: int = ATTEMPTS
) -> float | None:
    """Seconds to wait before sending again, or None if this is the end of it.

    An answer of 429 or 503 means that nothing was done. A broken connection leaves that open, so only
    a call that changes nothing is sent again, unless the connection was never made.
    """
    if attempt >= attempts:
        return None
    pause = 0.5 * 2**attempt * random.uniform(0.8, 1.2)  # noqa: S311 - spreads, guards nothing
    if isinstance(outcome, Exception):
        return pause if call.safe or isinstance(outcome, httpx.ConnectError) else None
    if outcome.status_code not in (429, 503):
        return None
    asked = outcome.headers.get("Retry-After", "")
    wanted = float(asked) if asked.isdigit() else pause
    return wanted if wanted <= LONGEST_PAUSE else None


def read(call: Call[T], answer: httpx.Response) -> T:
    """The answer as the call's model. Raises what `errors.error_of` makes of a refusal."""
    if answer.has_redirect_location:
        # Not followed: the token is for the address that was given, and for no other.
        raise ConnectionFailed(
            f"{answer.url} redirects to {answer.headers['Location']}. Use that server's address.",
            status=answer.status_code,
        )
    try:
        body = answer.text if call.text and answer.is_success else answer.json()
    except ValueError:
        body = None
    if not answer.is_success:
        raise error_of(answer.status_code, body)
    try:
        return call.read(body)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ConnectionFailed(
            f"{answer.url} does not answer as the API does. Is this the address of the console?",
            status=answer.status_code,
        ) from error


def unreachable(error: httpx.TransportError, address: httpx.URL) -> ConnectionFailed:
    return ConnectionFailed(f"{address} cannot be reached: {error or type(error).__name__}.")


class Transport:
    """Sends calls, and waits where it has to."""

    def __init__(
        self, domain: str, api_key: str, timeout: float, *, attempts: int = ATTEMPTS
    ) -> None:
        self._http = httpx.Client(**options(domain, api_key, timeout))
        self._attempts = attempts

    def send(self, call: Call[T]) -> T:
        for attempt in range(1, self._attempts + 1):
            outcome: httpx.Response | httpx.TransportError
            try:
                outcome = self._http.request(
                    call.method, call.path, json=call.body, params=call.query
                )
            except httpx.TransportError as error:
                outcome = error
            pause = pause_after(attempt, call, outcome, self._attempts)
            if pause is None:
                break
            time.sleep(pause)
        if isinstance(outcome, httpx.TransportError):
            raise unreachable(outcome, self._http.base_url) from outcome
        return read(call, outcome)

    def close(self) -> None:
        self._http.close()


class AsyncTransport:
    """The transport for asyncio, which does not block the event loop."""

    def __init__(
        self, domain: str, api_key: str, timeout: float, *, attempts: int = ATTEMPTS
    ) -> None:
        self._http = httpx.AsyncClient(**options(domain, api_key, timeout))
        self._attempts = attempts

    async def send(self, call: Call[T]) -> T:
        for attempt in range(1, self._attempts + 1):
            outcome: httpx.Response | httpx.TransportError
            try:
                outcome = await self._http.request(
                    call.method, call.path, json=call.body, params=call.query
                )
            except httpx.TransportError as error:
                outcome = error
            pause = pause_after(attempt, call, outcome, self._attempts)
            if pause is None:
                break
            await asyncio.sleep(pause)
        if isinstance(outcome, httpx.TransportError):
            raise unreachable(outcome, self._http.base_url) from outcome
        return read(call, outcome)

    async def close(self) -> None:
        await self._http.aclose()
