"""The rows of the pane. What rows have in common is rendered once, by the template of a row, and kept.

A template takes a third of a millisecond for a row, and a page has fifty. So the template is rendered for
each kind of row with places instead of values, and a row is that text with its own values in the places.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from html import escape
from typing import NamedTuple
from uuid import UUID

from django.template.defaultfilters import filesizeformat
from django.template.loader import render_to_string
from django.utils.safestring import SafeString, mark_safe
from django.utils.text import Truncator

from images.models import ImportCheck, ManagedImage, Status
from images.queries.drifts import DriftNotice
from images.queries.forecast import Outlook
from ri_platform.places import fill, place
from ri_platform.templatetags.console import ago
from workspaces.access import TABLE, Action
from workspaces.models import Workspace

DESCRIPTION_SHOWN = 90
_INDENTATION = re.compile(r"\s*\n\s*")


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


def rows_of(
    images: list[ManagedImage],
    workspace: Workspace,
    *,
    may_alter: Callable[[ManagedImage], bool],
    may_remove: bool,
    checks: Mapping[int, ImportCheck],
    drifts: Mapping[int, DriftNotice],
    outlooks: Mapping[int, Outlook],
) -> SafeString:
    """The rows of a page, in the order of `images`. `may_alter` is asked once for all of an owner."""
    rows = []
    answers: dict[tuple[int | None, UUID | None], bool] = {}
    for image in images:
        owner = image.created_by_id, image.created_in_id
        if owner not in answers:
            answers[owner] = may_alter(image)
        check, outlook = checks.get(image.pk), outlooks.get(image.pk)
        drift = drifts.get(image.current_build_id or 0)
        kind = Kind(
            workspace.pk,
            image.status,
            image.current_build_id is not None,
            bool(image.description),
            outlook is not None,
            len(installed_in(image)),
            (check.status, check.is_active, check.icon) if check else None,
            ("moving" if drift.is_moving else "standing") if drift else "",
            answers[owner],
            may_remove,
        )
        rows.append(fill(row_of_kind(kind), values_of(image, check, drift, outlook)))
    return mark_safe("".join(rows))  # noqa: S308 - each value is escaped


def values_of(
    image: ManagedImage,
    check: ImportCheck | None,
    drift: DriftNotice | None,
    outlook: Outlook | None,
) -> dict[str, str]:
    """The row's own values by place, escaped."""
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
        "size": size_words(image.size_bytes),
        "creator": creator.username if creator else "a former user",
        "origin": origin.name if origin else "",
    }
    for number, library in enumerate(installed_in(image)):
        values[f"installed{number}"] = library
    escaped = {name: escape(value) for name, value in values.items()}
    return {**escaped, "updated": ago(image.updated_at)}


def installed_in(image: ManagedImage) -> list[str]:
    """What it has of the libraries of the filter, which is only asked for where there is one."""
    found: list[str] = getattr(image, "installed", [])
    return found


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


@lru_cache(maxsize=4096)
def size_words(size: int) -> str:
    return filesizeformat(size)
