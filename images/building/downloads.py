"""Fetching wheels and source distributions: checked, and kept by hash for later builds."""

from __future__ import annotations

import hashlib
import ipaddress
import threading
from collections.abc import Callable
from pathlib import Path

import httpx
from django.conf import settings

from images.building.cache import BoundedCache
from images.building.locks.files import MAX_FILE_BYTES, LockedFile
from images.building.locks.indexes import IndexAuth
from images.building.locks.uv import strip_credentials
from images.errors import BuiltWheelGone, FetchFailed, WheelInvalid
from images.indexes import Indexes
from ri_platform.retries import DOWNLOAD
from ri_platform.tls import trust

# Without a size from the index, no wheel is larger than this.
MAX_WHEEL_BYTES = MAX_FILE_BYTES
# Where EC2 and ECS tell a machine its identity (EC2 user guide, "Access instance metadata"); the rest of
# link-local is no index's either.
METADATA = [ipaddress.ip_network(net) for net in ("169.254.0.0/16", "fe80::/10", "fd00:ec2::/32")]


class Stopped(Exception):
    """The build must stop; this transfer is of no use any more."""


def check_of(stop: threading.Event) -> Callable[[], None]:
    """The check of a transfer in a thread of a pool: it raises `Stopped` once the event is set."""

    def check() -> None:
        if stop.is_set():
            raise Stopped

    return check


def fetch(
    client: httpx.Client,
    wheel: LockedFile,
    cache: BoundedCache,
    folder: Path,
    check: Callable[[], None],
) -> Path:
    """The wheel's file in `folder`: from the cache, else downloaded, checked and kept there.

    Raises `FetchFailed` after some attempts, `WheelInvalid` for other content than locked,
    `BuiltWheelGone` for a wheel of our own that is not kept, and what `check` raises. That is asked at each
    piece as it arrives and, between attempts, within `LONGEST_WAIT`.
    """
    path = folder / wheel.sha256 / wheel.filename
    path.parent.mkdir(parents=True, exist_ok=True)
    name = kept_name(wheel.sha256)
    if cache.take(name, path):
        return path
    if not wheel.url:
        raise BuiltWheelGone(f"{wheel.filename} was built here and is no longer kept.")
    partial = path.parent / "partial"
    try:
        DOWNLOAD(may_heal, download, client, wheel, partial, check)
        partial.rename(path)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise FetchFailed(
            f"{wheel.filename} cannot be downloaded: "
            f"{strip_credentials(str(error)) or type(error).__name__}.",
            hint="The package index or the network failed; build again in a while.",
        ) from error
    finally:
        partial.unlink(missing_ok=True)
    cache.keep(name, path)
    return path


def kept_name(sha256: str) -> str:
    """A file's name in the wheel cache: its hash alone, so no name from outside decides where it lies."""
    return f"{sha256[:2]}/{sha256}.file"


def index_client(indexes: Indexes | None = None) -> httpx.Client:
    """A client for downloads from package indexes: it says who we are there, and trusts their authorities.

    Pages of an index name any address, and so do redirects: what this machine alone is told there, such as
    its AWS identity, is never passed on.
    """
    indexes = indexes or Indexes()
    seconds = float(settings.CALL_SECONDS)
    timeout = httpx.Timeout(seconds, connect=min(seconds, 10.0))
    return httpx.Client(
        timeout=timeout,
        follow_redirects=True,
        verify=trust(indexes.ca_file),
        auth=IndexAuth(index.url for index in indexes.every),
        event_hooks={"response": [refuse_own_metadata]},
    )


def refuse_own_metadata(response: httpx.Response) -> None:
    """Raise `UnsupportedProtocol` for an answer of an instance metadata service, whatever its name was, and
    `ReadError` if the connection broke, for then nobody can tell whose answer it is.
    """
    stream = response.extensions.get("network_stream")
    try:
        server = stream.get_extra_info("server_addr") if stream is not None else None
    except OSError as error:
        response.close()
        raise httpx.ReadError(str(error)) from error
    if server and any(ipaddress.ip_address(server[0]) in network for network in METADATA):
        response.close()
        raise httpx.UnsupportedProtocol("it leads to this machine's own metadata")


def download(
    client: httpx.Client, wheel: LockedFile, destination: Path, check: Callable[[], None]
) -> None:
    check()
    sha256, received = hashlib.sha256(), 0
    limit = wheel.size if wheel.size is not None else MAX_WHEEL_BYTES
    with (
        client.stream("GET", wheel.url, headers={"Accept-Encoding": "identity"}) as response,
        destination.open("wb") as file,
    ):
        response.raise_for_status()
        # As they arrive: a piece of a certain size may be long in coming from a slow server.
        for piece in response.iter_raw():
            check()
            received += len(piece)
            if received > limit:
                break
            sha256.update(piece)
            file.write(piece)
    if (wheel.size is not None and received != wheel.size) or sha256.hexdigest() != wheel.sha256:
        raise WheelInvalid(
            f"{wheel.filename} does not have the size and sha256 that the index promised.",
            hint="The index or something before it altered the file; an operator should look.",
        )


def may_heal(error: Exception) -> bool:
    """True for 429, for 5xx and for what broke the connection."""
    if isinstance(error, httpx.HTTPStatusError):
        return error.response.status_code == 429 or error.response.status_code >= 500
    return isinstance(error, httpx.TransportError) and not isinstance(
        error, httpx.UnsupportedProtocol
    )
