"""What the log writes, for a test to read."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager

from ri_platform import logs


@contextmanager
def written(form: str, *secrets: str) -> Iterator[io.StringIO]:
    """What the log's lines look like in a form, with an installation's own secrets."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logs.Formatter(form, logs.Scrubber(secrets)))
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        yield stream
    finally:
        root.removeHandler(handler)
