"""The addresses of a request: the client's, from trusted proxies only, and the console's."""

from __future__ import annotations

import ipaddress

from django.conf import settings
from django.http import HttpRequest


def client_address(request: HttpRequest) -> str | None:
    """The client's address as our outermost proxy saw it; None if that is not an address.

    Each proxy adds the address it was asked from to the end of X-Forwarded-For (RFC 7239 tells of the
    practice), so entries before those of our own proxies come from the client and are ignored.
    """
    found = request.META.get("REMOTE_ADDR", "")
    if settings.TRUSTED_PROXIES:
        passed = [item.strip() for item in request.headers.get("X-Forwarded-For", "").split(",")]
        if len(passed) >= settings.TRUSTED_PROXIES:
            found = passed[-settings.TRUSTED_PROXIES]
    try:
        return str(ipaddress.ip_address(found))
    except ValueError:
        return None


def network_of(address: str | None) -> str:
    """The key of limits: an IPv4 address, or an IPv6 /64, the smallest network that a customer gets."""
    if address is None:
        return ""
    parsed = ipaddress.ip_address(address)
    if parsed.version == 4:
        return address
    return str(parsed.ipv4_mapped or ipaddress.ip_network((parsed, 64), strict=False))


def console_of(request: HttpRequest) -> str:
    """The console's address as the reader sees it, such as https://images.example.org."""
    return request.build_absolute_uri("/").rstrip("/")
