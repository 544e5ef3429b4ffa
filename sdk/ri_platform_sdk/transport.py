"""Sending calls, with retries. What may be sent again is decided here, for both clients alike."""

from __future__ import annotations

import asyncio
import random
import time
from typing import Any, TypeVar

import httpx

from ri_platform_sdk.calls import Call
from ri_platform_sdk.errors import ConnectionFailed, error_of

T = TypeVar("T")
ATTEMPTS = 4
# A server asks for at most this; a longer wait is an error that the caller should see.
LONGEST_PAUSE = 60.0


def options(domain: str, api_key: str, timeout: float) -> dict[str, Any]:
    """What both clients are made with. `domain` may lack its scheme, which then is https."""
    base = domain.rstrip("/")
    if "://" not in base:
        base = f"https://{base}"
    headers = {"rime-api-key": api_key, "User-Agent": "ri-platform-sdk"}
    return {"base_url": base, "headers": headers, "timeout": timeout}


def pause_after(attempt: int, call: Call[Any], outcome: httpx.Response | Exception) -> float | None:
    """Seconds to wait before sending again, or None if this is the end of it.

    An answer of 429 or 503 means that nothing was done. A broken connection leaves that open, so only
    a call that changes nothing is sent again, unless the connection was never made.
    """
    if attempt >= ATTEMPTS:
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
    if answer.is_success:
        return call.read(answer.text if call.text else answer.json())
    try:
        body = answer.json()
    except ValueError:
        body = None
    raise error_of(answer.status_code, body)


def unreachable(error: httpx.TransportError) -> ConnectionFailed:
    return ConnectionFailed(f"The server cannot be reached: {error or type(error).__name__}.")


class Transport:
    """Sends calls, and waits where it has to."""

    def __init__(self, domain: str, api_key: str, timeout: float) -> None:
        self._http = httpx.Client(**options(domain, api_key, timeout))

    def send(self, call: Call[T]) -> T:
        for attempt in range(1, ATTEMPTS + 1):
            outcome: httpx.Response | httpx.TransportError
            try:
                outcome = self._http.request(
                    call.method, call.path, json=call.body, params=call.query
                )
            except httpx.TransportError as error:
                outcome = error
            pause = pause_after(attempt, call, outcome)
            if pause is None:
                break
            time.sleep(pause)
        if isinstance(outcome, httpx.TransportError):
            raise unreachable(outcome) from outcome
        return read(call, outcome)

    def close(self) -> None:
        self._http.close()


class AsyncTransport:
    """As `Transport`, without blocking the event loop."""

    def __init__(self, domain: str, api_key: str, timeout: float) -> None:
        self._http = httpx.AsyncClient(**options(domain, api_key, timeout))

    async def send(self, call: Call[T]) -> T:
        for attempt in range(1, ATTEMPTS + 1):
            outcome: httpx.Response | httpx.TransportError
            try:
                outcome = await self._http.request(
                    call.method, call.path, json=call.body, params=call.query
                )
            except httpx.TransportError as error:
                outcome = error
            pause = pause_after(attempt, call, outcome)
            if pause is None:
                break
            await asyncio.sleep(pause)
        if isinstance(outcome, httpx.TransportError):
            raise unreachable(outcome) from outcome
        return read(call, outcome)

    async def close(self) -> None:
        await self._http.aclose()
