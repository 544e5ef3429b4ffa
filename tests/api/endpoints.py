"""The API's endpoints, from its own routers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ri_platform.urls import api


def endpoints() -> Iterator[tuple[str, str, Any]]:
    """(method, path with parameters in braces, view) of all there are."""
    for prefix, router in api._routers:
        for path, view in router.path_operations.items():
            for operation in view.operations:
                for method in operation.methods:
                    yield method, f"{prefix}{path}", operation.view_func


ENDPOINTS = list(endpoints())
