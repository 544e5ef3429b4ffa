"""The export of the audit log as CSV (RFC 4180), for the console and the API."""

from __future__ import annotations

import csv
import logging
from collections.abc import Callable, Iterator
from itertools import chain, islice
from typing import Any

from django.db import DatabaseError
from django.http import StreamingHttpResponse

from ri_platform.database_errors import error_to_tell
from ri_platform.pages import all_in_order
from workspaces import audit
from workspaces.access import Action, Actor, require
from workspaces.models import AuditEvent

logger = logging.getLogger(__name__)

# So many events are read at once.
CHUNK = 2000

COLUMNS: dict[str, Callable[[AuditEvent], object]] = {
    "time": lambda event: event.at.isoformat(),
    "event": lambda event: event.event,
    "user": lambda event: event.username,
    "role": lambda event: event.role,
    "token": lambda event: event.token_name,
    "address": lambda event: event.address or "",
    "object type": lambda event: event.object_type,
    "object": lambda event: event.object_name,
    "workspace": lambda event: event.workspace_name,
    "details": lambda event: event.details_text,
}


class Echo:
    """A file whose `write` returns its argument."""

    def write(self, value: str) -> str:
        return value


def export(actor: Actor, wanted: dict[str, Any]) -> StreamingHttpResponse:
    """Stream the events that `audit.events` filters, and record the export as an event."""
    require(actor, Action.SEE_AUDIT_LOG)
    audit.record(
        "audit.exported",
        actor,
        object_type="audit_log",
        object_name="audit log",
        details={name: str(value) for name, value in wanted.items() if value},
    )
    events = all_in_order(audit.events(**wanted), ("id",), CHUNK, descending=True)
    # Read before the answer begins: an error of the query itself is an answer of its own then.
    first = list(islice(events, 1))
    response = StreamingHttpResponse(
        csv_rows(chain(first, events)), content_type="text/csv; charset=utf-8"
    )
    response["Content-Disposition"] = 'attachment; filename="audit-log.csv"'
    return response


def csv_rows(events: Iterator[AuditEvent]) -> Iterator[str]:
    """The lines of the table; the last one begins with `INCOMPLETE` where the database failed on the way."""
    writer = csv.writer(Echo())
    yield writer.writerow(list(COLUMNS))
    try:
        for event in events:
            yield writer.writerow([safe_cell(str(cell(event))) for cell in COLUMNS.values()])
    except DatabaseError as error:
        # The status is sent already, so the last line has to say that lines are missing.
        told = error_to_tell("the export of the audit log", error)
        if told is None:
            logger.exception("The export of the audit log broke off.")
        yield writer.writerow([f"INCOMPLETE: {told or 'The database failed.'}"])


def safe_cell(text: str) -> str:
    """Quote a value that a spreadsheet would interpret as a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
