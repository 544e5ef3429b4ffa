"""Chromium against the real web process, which runs on the test's own database."""

from __future__ import annotations

from tests.browser.pages import new_page, serve  # noqa: F401
