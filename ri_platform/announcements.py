"""Announcements in the terminal of `make run`: a base image is ready, or cannot be made.

An announcement is an ordinary log line of this module's logger. `make run` reads its children's log anyway
and also shows the lines of this logger in the terminal. Elsewhere they are log lines only.
"""

from __future__ import annotations

import logging
import re

logger = logging.getLogger(__name__)
# Announcements are shown at every log level.
logger.setLevel(logging.INFO)

# A line of `ri_platform.logs`: time, level, message, logger, context.
_LINE = re.compile(
    r"\d\d:\d\d:\d\d \[\w+ *\] (?P<text>.*?) *\[" + re.escape(__name__) + r"\](?: [\w.]+=.*)?"
)


def find_announcement(line: str) -> str:
    """The announcement in a line of a log (`RI_LOG_FORMAT=text`); empty if it is another line."""
    found = _LINE.fullmatch(line)
    # A reason may quote what a command printed, and a terminal obeys some characters.
    return "".join(c if c.isprintable() else " " for c in found["text"]) if found else ""
