"""deploy/compose.yaml, read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
# The database and the broker are other people's images.
PLATFORM = {
    name: service
    for name, service in COMPOSE["services"].items()
    if "PLATFORM_IMAGE" in service["image"]
}
