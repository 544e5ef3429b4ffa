"""The rows of the pane. What rows have in common is rendered once, by the template of a row, and kept.

A template takes a third of a millisecond for a row, and a page has fifty. So the template is rendered for
each kind of row with places instead of values, and a row is that text with its own values in the places.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from html import escape
from typing import NamedTuple
from uuid import UUID

from django.template.defaultfilters import filesizeformat
from django.template.loader import render_to_string
from django.utils.safestring import SafeString, mark_safe
from django.utils.text import Truncator

from images.models import ManagedImage, Status
from images.queries.drifts import DriftNotice
from images.queries.forecast import Outlook
from images.queries.shown_images import ShownImage
from ri_platform.memory import Memory
from ri_platform.places import fill, place
from ri_platform.templatetags.console import ago
from workspaces.access import TABLE, Action
from workspaces.models import Workspace

DESCRIPTION_SHOWN = 90
UPDATED = place("updated")
_INDENTATION = re.compile(r"\s*\n\s*")
# Rows by what they are made of, for the readers' rights.
ROWS: Memory[str] = Memory(10_000)


class Kind(NamedTuple):
    """What decides on the markup of a row. `check` is an import check's status, whether it is under way, and
    its icon; `installed` is how many libraries of the filter the image has; `drift` is "moving" while
    the platform pushes the image again, and "standing" where the registry lacks it until somebody acts.
    """

    workspace: UUID
    status: str
    is_built: bool
    is_described: bool
    has_outlook: bool
    installed: int
    check: tuple[str, bool, str] | None
    drift: str
    may_alter: bool
    may_remove: bool


class Rights(NamedTuple):
    """Of the reader, to an image."""

    may_alter: bool
    may_remove: bool


def rows_of(
    shown: Sequence[ShownImage],
    workspace: Workspace,
    *,
    may_alter: Callable[[ManagedImage], bool],
    may_remove: bool,
    outlooks: Mapping[int, Outlook],
) -> SafeString:
    """The rows of a page, in the order of `shown`. `may_alter` is asked once for all of an owner."""
    rows = []
    answers: dict[tuple[int | None, UUID | None], Rights] = {}
    for item in shown:
        image = item.image
        owner = image.created_by_id, image.created_in_id
        if owner not in answers:
            answers[owner] = Rights(may_alter(image), may_remove)
        drift = DriftNotice.of(item.drift) if item.drift else None
        outlook = outlooks.get(image.pk)
        key = item.key, workspace.pk, answers[owner], drift, outlook
        text = ROWS.recall(
            key, partial(row_text, item, workspace.pk, answers[owner], drift, outlook)
        )
        rows.append(text.replace(UPDATED, ago(image.updated_at)))
    return mark_safe("".join(rows))  # noqa: S308 - each value is escaped


def row_text(
    shown: ShownImage,
    workspace: UUID,
    rights: Rights,
    drift: DriftNotice | None,
    outlook: Outlook | None,
) -> str:
    """A row but for how long ago it was updated, whose place is left."""
    image, check = shown.image, shown.check
    kind = Kind(
        workspace,
        image.status,
        image.current_build_id is not None,
        bool(image.description),
        outlook is not None,
        len(shown.installed),
        (check.status, check.is_active, check.icon) if check else None,
        ("moving" if drift.is_moving else "standing") if drift else "",
        rights.may_alter,
        rights.may_remove,
    )
    return fill(row_of_kind(kind), values_of(shown, drift, outlook))


def values_of(
    shown: ShownImage, drift: DriftNotice | None, outlook: Outlook | None
) -> dict[str, str]:
    """The row's own values by place, escaped."""
    image, check = shown.image, shown.check
    build, creator, origin = image.current_build, image.created_by, image.created_in
    values = {
        "name": image.name,
        "description": image.description,
        "shown": Truncator(image.description).chars(DESCRIPTION_SHOWN),
        "owner": image.owner_name,
        "drift": drift.brief if drift else "",
        "outlook": outlook.brief if outlook else "",
        "words": check.words if check else "",
        "type": image.get_image_type_display(),
        "python": image.python_version,
        "libraries": str(build.library_count) if build else "",
        "size": filesizeformat(image.size_bytes),
        "creator": creator.username if creator else "a former user",
        "origin": origin.name if origin else "",
    }
    for number, library in enumerate(shown.installed):
        values[f"installed{number}"] = library
    escaped = {name: escape(value) for name, value in values.items()}
    return {**escaped, "updated": UPDATED}


@lru_cache(maxsize=4096)
def row_of_kind(kind: Kind) -> str:
    """The markup of such a row, with places for its values."""
    check = None
    if kind.check:
        status, is_active, icon = kind.check
        check = {"status": status, "is_active": is_active, "icon": icon, "words": place("words")}
    markup = render_to_string(
        "images/_row.html",
        {
            "workspace": {"pk": kind.workspace},
            "kind": kind,
            "label": Status(kind.status).label,
            "check": check,
            "installed": [place(f"installed{number}") for number in range(kind.installed)],
            "refusal": TABLE[Action.REMOVE_IMAGE].refusal,
            **{
                name: place(name)
                for name in (
                    "name", "description", "shown", "owner", "drift", "outlook", "type", "python",
                    "libraries", "size", "creator", "origin", "updated",
                )
            },
        },
    )  # fmt: skip
    # Fifty times the indentation of the templates would be half of the page.
    return _INDENTATION.sub("\n", markup)
