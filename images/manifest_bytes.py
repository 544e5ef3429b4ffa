"""Manifests and configurations as canonical bytes: the same values always have the same digest."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

# A moment of its own would make every build's image another one.
CREATED = "1970-01-01T00:00:00Z"


def canonical(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def annotate(manifest: bytes, annotations: Mapping[str, str]) -> bytes:
    """A manifest with these annotations in place of its own; none of them leaves the field out."""
    content = json.loads(manifest)
    content.pop("annotations", None)
    return canonical({**content, **({"annotations": dict(annotations)} if annotations else {})})
