"""Fixtures for what images do: the messages that wake workers."""

from __future__ import annotations

import pytest

from images import wake


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[wake.Task, int]]:
    """The messages to workers, as (task, row); none reaches the broker."""
    messages: list[tuple[wake.Task, int]] = []
    monkeypatch.setattr(wake, "send", lambda task, pk: messages.append((task, pk)))
    return messages
