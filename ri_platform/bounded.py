"""Answers of other servers, read up to a limit, so that they cannot fill the memory of a process or hold it.

An index, a registry or a token server may be broken or hostile. Blobs and wheels, which may be of any size,
are streamed and counted elsewhere.
"""

from __future__ import annotations

import time

import httpx

# What describes the body as it was sent, which is not as it is here.
_OF_THE_TRANSFER = ("content-encoding", "content-length", "transfer-encoding")


# For the body of one answer. A timeout of httpx is for its next byte alone.
SECONDS = 60.0


class AnswerTooLarge(httpx.HTTPError):
    """An answer went on past the limit; the connection was closed."""


def whole(
    response: httpx.Response, limit: int, *, cut: bool = False, seconds: float = SECONDS
) -> httpx.Response:
    """The streamed answer with all of its body, at most `limit` bytes when unpacked; it is closed.

    With `cut`, the rest is left out, as does for an error's words; else raises `AnswerTooLarge`, or
    `ReadTimeout` if it has not arrived within `seconds`.
    """
    pieces, received = [], 0
    no_later = time.monotonic() + seconds
    try:
        for piece in response.iter_bytes():
            received += len(piece)
            if received > limit:
                if not cut:
                    raise AnswerTooLarge(
                        f"{response.request.url.host} answered with more than {limit:,} bytes."
                    )
                pieces.append(piece[: limit - received])
                break
            pieces.append(piece)
            if time.monotonic() > no_later:
                if not cut:
                    raise httpx.ReadTimeout(
                        f"{response.request.url.host} did not end its answer within {seconds:.0f} s.",
                        request=response.request,
                    )
                break
    finally:
        response.close()
    headers = [
        (name, value)
        for name, value in response.headers.multi_items()
        # An answer to HEAD tells of the body that it does not have.
        if response.request.method == "HEAD" or name.lower() not in _OF_THE_TRANSFER
    ]
    return httpx.Response(
        response.status_code, headers=headers, content=b"".join(pieces), request=response.request
    )
