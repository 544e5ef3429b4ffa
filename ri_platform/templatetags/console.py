"""Small things that templates say: times, sizes, digests, icons."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Any, Protocol

from django import template
from django.forms import BoundField, CheckboxInput
from django.templatetags.static import static
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timesince import timesince

register = template.Library()


class Timed(Protocol):
    """Work that records when it started and finished."""

    started_at: datetime | None
    finished_at: datetime | None


# Later browsers claim to be earlier ones besides, so the first sign that is found counts.
PROGRAMS = (
    ("Edg", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("Chrome/", "Chrome"),
    ("Safari/", "Safari"), ("python", "Python"), ("curl/", "curl"),
)  # fmt: skip
SYSTEMS = (
    ("Android", "Android"), ("iPhone", "iPhone"), ("iPad", "iPad"), ("Windows", "Windows"),
    ("Mac OS X", "macOS"), ("CrOS", "ChromeOS"), ("Linux", "Linux"),
)  # fmt: skip

DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@register.simple_tag
def ago(moment: datetime) -> SafeString:
    """A relative time; the exact one on hover and for machines."""
    minutes = int((timezone.now() - moment).total_seconds() // 60)
    return time_tag(moment, minutes, timezone.get_current_timezone())


@lru_cache(maxsize=8192)
def time_tag(moment: datetime, minutes: int, zone: tzinfo) -> SafeString:
    """The tag so many minutes later; lists show the same moments again and again."""
    later = moment + timedelta(minutes=minutes)
    words = "just now" if minutes < 1 else f"{timesince(moment, later, depth=1)} ago"
    exact = timezone.localtime(moment, zone).strftime("%Y-%m-%d %H:%M:%S %Z")
    return format_html('<time datetime="{}" title="{}">{}</time>', moment.isoformat(), exact, words)


@register.filter
def get(mapping: Mapping[Any, Any], key: Any) -> Any:
    """The value of a key that is itself a variable; None if there is none."""
    return mapping.get(key)


@register.simple_tag
def took(work: Timed) -> str:
    """The duration of finished work."""
    if not (work.started_at and work.finished_at):
        return ""
    return seconds((work.finished_at - work.started_at).total_seconds())


@register.filter
def browser(agent: str) -> str:
    """A browser's name and system from its User-Agent header: `Firefox on Windows`."""
    program = next((name for sign, name in PROGRAMS if sign in agent), "Another program")
    system = next((name for sign, name in SYSTEMS if sign in agent), "")
    return f"{program} on {system}" if system else program


@register.filter
def control(field: BoundField) -> SafeString:
    """A form field's input in the console's dress, whoever made the form."""
    widget = field.field.widget
    if field.is_hidden or "class" in widget.attrs or isinstance(widget, CheckboxInput):
        return field.as_widget()
    # It would say the label once more, and go as soon as something is typed.
    widget.attrs.pop("placeholder", None)
    return field.as_widget(attrs={"class": "form-control"})


@register.filter
def seconds(value: float | None) -> str:
    """A duration for the eye: `0.4 s`, `12 s`, `3 min 5 s`."""
    if value is None:
        return ""
    if value < 10:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


@register.filter
def in_hours(span: timedelta) -> str:
    """A span of whole hours for the eye: `1 hour`, `36 hours`, `3 days`."""
    hours = round(span.total_seconds() / 3600)
    number, unit = (hours // 24, "day") if hours >= 48 and hours % 24 == 0 else (hours, "hour")
    return f"{number} {unit}" if number == 1 else f"{number} {unit}s"


@register.filter
def short_digest(digest: str) -> str:
    return digest[:19] + "…" if digest else ""


@register.filter
def short_digests(text: str) -> str:
    """A sentence whose digests are shortened: two whole ones in it are all that a reader sees."""
    return DIGEST.sub(lambda found: short_digest(found.group()), text)


@register.simple_tag
@lru_cache(maxsize=256)
def icon(name: str) -> SafeString:
    """An icon from the console's own set; it says nothing to screen readers."""
    return format_html(
        '<svg class="icon" aria-hidden="true"><use href="{}#{}"></use></svg>',
        static("img/icons.svg"),
        name,
    )
