"""Images as the API answers with them, written once for each version of the rows that they tell of.

A page names each library of each image, so its JSON takes longer than everything else. Who may see an image
is asked before, for each request.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpResponse
from ninja.responses import NinjaJSONEncoder

from images.api import present
from images.api.schemas import ImageDetail, ImageOut
from images.models import Build, ManagedImage, MovingTag, Status
from images.queries.images import image_named
from images.queries.keyset import Page, image_rows
from images.queries.shown_images import check_version, drift_version
from ri_platform.memory import Memory
from ri_platform.ready import Among, Given, Ready
from ri_platform.row_versions import RowVersions
from workspaces.models import User

# The image, its current build, and the versions of the rows of its answer.
Key = tuple[int, int | None, str, str | None, str | None]


def versions() -> tuple[RowVersions, Subquery, Subquery]:
    """Of an image's own rows, of its import check and of its drift."""
    return (
        RowVersions(
            "name",
            "current_build__number",
            "current_build__base_image__platform_version",
            "created_by__username",
            "created_in__name",
        ),
        check_version(),
        drift_version(),
    )


def detail_versions(user: User) -> QuerySet[ManagedImage, Any]:
    """Of one image, if `user` sees it; its answer tells of its newest build and its tags, too."""
    newest = Build.objects.filter(image=OuterRef("pk")).order_by("-number")
    tags = MovingTag.objects.filter(image=OuterRef("pk")).order_by("name")
    return (
        ManagedImage.objects.visible_to(user)
        .filter(name=Given("name"))
        .values_list(
            "pk",
            "status",
            "current_build__missing_libraries",
            Subquery(newest.values("missing_libraries")[:1]),
            *versions(),
            Subquery(
                newest.values(version=RowVersions("number", "base_image__platform_version"))[:1]
            ),
            ArraySubquery(tags.values(version=RowVersions("name", "build__number"))),
        )[:1]
    )


VERSIONS: Ready[Key] = Ready(
    lambda: (
        ManagedImage.objects.filter(Among("name", Given("names")))
        .order_by("name")
        .values_list("pk", "current_build", *versions())
    )
)
# Each user has a query of their own, whatever `visible_to` comes to ask for.
DETAIL: Memory[Ready[Any]] = Memory(1000)
# Each as long as an image's libraries are many: with fifty, three kilobytes.
TEXTS: Memory[str] = Memory(4000)
DETAILS: Memory[str] = Memory(1000)


def page_answer(page: Page) -> HttpResponse:
    """A page of images (`schemas.ImagesPage`)."""
    texts = ", ".join(image_texts(page.names))
    return answer(f'{{"images": [{texts}], "nextPageToken": {json.dumps(page.next_token)}}}')


def detail_answer(user: User, name: str) -> HttpResponse:
    """One image (`schemas.OneImage`). Raises `NotFound`."""

    def write_detail() -> str:
        return text_of(ImageDetail, present.detail(image_named(user, name)))

    ready = DETAIL.recall((user.pk, user.is_active), lambda: Ready(lambda: detail_versions(user)))
    found = ready.first(name=name)
    if found is None:
        return answer(f'{{"image": {write_detail()}}}')
    pk, status, *missing, own, check, drift, newest, tags = found
    # A build that runs takes longer by the second, and packages with what is missing are looked up.
    if status in (Status.BUILDING_FIRST_TIME, Status.REBUILDING) or any(missing):
        return answer(f'{{"image": {write_detail()}}}')
    key = pk, own, check, drift, newest, tuple(tags)
    return answer(f'{{"image": {DETAILS.recall(key, write_detail)}}}')


def answer(text: str) -> HttpResponse:
    return HttpResponse(text, content_type="application/json; charset=utf-8")


def image_texts(names: Sequence[str]) -> list[str]:
    """The images of these names, in the order of names."""
    keys = VERSIONS.rows(names=list(names))
    texts = TEXTS.recall_all([key for key in keys if key[1] is not None], write)
    # What an image without a build stands on is told by its newest attempt, whose version is not asked for.
    texts |= write([key for key in keys if key[1] is None])
    return [texts[key] for key in keys if key in texts]


def write(keys: Sequence[Key]) -> dict[Key, str]:
    """Read after the versions, so it is never older than they say; an image that is gone is left out."""
    if not keys:
        return {}
    by_key = {key[0]: key for key in keys}
    rows = list(image_rows().filter(pk__in=by_key))
    return {
        by_key[row.pk]: text_of(ImageOut, told)
        for row, told in zip(rows, present.images(rows), strict=True)
    }


def text_of(schema: type[ImageOut], told: dict[str, Any]) -> str:
    """As the framework writes what an endpoint returns."""
    values = schema.model_validate(told).model_dump(by_alias=True, exclude_none=True)
    return json.dumps(values, cls=NinjaJSONEncoder)
