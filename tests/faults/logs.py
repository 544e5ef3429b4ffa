"""The logs of an installation's processes, and the lines of them that tell of a defect."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

# The start of a record of ours (`ri_platform.logs`); all lines up to the next one belong to it.
RECORD = re.compile(r"(?m)^\d\d:\d\d:\d\d \[(\w+) *\] ")
TRACEBACK = "Traceback (most recent call last):"
EXCEPTION = re.compile(r"(?m)^(?:\w+\.)*[A-Z]\w*[a-z]\w*(?::.*)?$")
# `make run` has one log of all its processes.
SHARED = re.compile(r"\d\d:\d\d:\d\d (\S+) *│ ?(.*)")
# What errors may tell of while PostgreSQL, or the broker in it, ends and starts.
DATABASE_AWAY = (
    r"terminating connection",
    r"server closed the connection unexpectedly",
    r"connection to server .* failed",
    r"the connection is (closed|lost)",
    r"the database system is",
    r"couldn't get a connection",
    # The answer that is promised meanwhile.
    r"Service Unavailable: /",
)
# Of a worker that was killed: what makes layers for it finds nobody to answer.
WORKER_KILLED = (r"^BrokenPipeError: ",)
# The same of RabbitMQ as of PostgreSQL.
BROKER_AWAY = (
    r"Connection refused",
    r"Connection reset by peer",
    r"Server unexpectedly closed connection",
    r"Broken pipe",
    r"Connection to broker lost",
    r"Socket was disconnected",
    r"Cannot connect to amqp:",
    # An option of a connection that was closed as soon as it was open.
    r"\[Errno 22\] Invalid argument",
)


class Logs:
    """Log files, each read from where it was read last."""

    def __init__(self, files: Iterable[Path]) -> None:
        self._files = list(files)
        self._read: dict[Path, int] = {}

    def new_defects(self, tolerated: Iterable[str]) -> list[str]:
        """Errors and tracebacks that were written since the last look, but for those of the fault itself."""
        known = re.compile("|".join(tolerated))
        return [
            f"{process}: {what} ({line})"
            for file in self._files
            for process, text in by_process(file.stem, self._new_text(file)).items()
            for what, line in errors_of(text)
            if not known.search(what)
        ]

    def _new_text(self, file: Path) -> str:
        if not file.exists():
            return ""
        with file.open("rb") as opened:
            opened.seek(self._read.get(file, 0))
            data = opened.read()
        # A line that is still being written is of the next look.
        whole = data[: data.rfind(b"\n") + 1]
        self._read[file] = self._read.get(file, 0) + len(whole)
        return whole.decode("utf-8", "replace")


def by_process(name: str, text: str) -> dict[str, str]:
    """A log's text by the process that wrote it: `name`, unless the lines say which."""
    found: dict[str, str] = defaultdict(str)
    for line in text.splitlines():
        shared = SHARED.fullmatch(line)
        process, words = (shared[1], shared[2]) if shared else (name, line)
        found[process] += f"{words}\n"
    return found


def errors_of(text: str) -> Iterator[tuple[str, str]]:
    """The records of errors: the exception that a traceback ends with, else the line, and the line itself."""
    starts = [match.start() for match in RECORD.finditer(text)]
    for start, end in zip([0, *starts], [*starts, len(text)], strict=True):
        record = text[start:end]
        level = RECORD.match(record)
        if TRACEBACK in record or (level and level[1] in ("error", "critical")):
            line = record.partition("\n")[0].strip()
            exceptions = EXCEPTION.findall(record.partition(TRACEBACK)[2])
            yield (exceptions[-1] if exceptions else line), line
