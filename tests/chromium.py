"""Where Chromium is, and how it is started where there is no screen and no sandbox."""

from __future__ import annotations

import shutil

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
NAMES = ("chromium", "chromium-browser", "google-chrome")


def chromium_path() -> str:
    path = next(filter(None, map(shutil.which, NAMES)), None)
    assert path, "This needs Chromium; on Debian and Ubuntu: apt-get install chromium"
    return path
