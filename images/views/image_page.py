"""An image's page: a header and tabs, each tab with its own URL."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Self

from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_GET

from images.errors import NoWheel
from images.models import Assignment, Build, ImportCheck, Instance, ManagedImage, RefusedRepository
from images.models.lease import WorkState
from images.queries import capabilities, progress
from images.queries.capabilities import os_packages_refusal, source_builds_refusal
from images.queries.comparison import Comparison, versions_by_number
from images.queries.drifts import DriftNotice, drift_of
from images.queries.file_requirements import locked_by
from images.queries.forecast import Forecast
from images.queries.images import image_named
from images.queries.import_checks import current_check, policy_choices, policy_of
from images.queries.library_changes import Change, differences
from images.queries.library_origins import origins
from images.queries.missing_libraries import (
    MissingNative,
    is_awaited,
    missing_natives,
    packages_to_add,
)
from images.queries.moving_tags import channels_of, moving_tags, taggable_builds
from images.queries.pull_ways import Pull
from images.queries.usage import use_of
from images.references import effective_prefix, tag_reference
from images.views.polling import page_or_part
from ri_platform.middleware import wants_fragment
from ri_platform.numbers import number_of
from ri_platform.pages import page_asked_for, page_in_order, places_in
from workspaces.access import TABLE, Action, Actor, Permissions, allows
from workspaces.guard import needs
from workspaces.models import Workspace

PAGE_SIZE = 20
BUILD_ORDER = ("number",)
MODELS_SHOWN = 200


@dataclass(frozen=True)
class MissingLibraries:
    """The native libraries that an image lacks, and the OS packages that would bring them.

    `refusal` is the reason why these cannot be added, as a sentence. `is_awaited`: they are being looked up.
    """

    libraries: list[MissingNative]
    packages: list[str]
    refusal: str = ""
    is_awaited: bool = False

    @classmethod
    def of(cls, image: ManagedImage) -> Self:
        build = image.current_build
        libraries = missing_natives(build)
        packages = packages_to_add(libraries)
        if build is None or not libraries:
            return cls([], [])
        if not packages:
            return cls(libraries, [], is_awaited=is_awaited(build.base_image))
        return cls(libraries, packages, refusal=os_packages_refusal())


@dataclass(frozen=True)
class Tab:
    """`route` is its address, `images/tabs/<key>.html` what it shows."""

    key: str
    label: str
    route: str


TABS = (
    Tab("overview", "Overview", "image"),
    Tab("libraries", "Libraries", "image_libraries"),
    Tab("builds", "Builds and logs", "image_builds"),
    Tab("revisions", "Revisions", "image_revisions"),
    Tab("models", "Models", "image_models"),
)


@require_GET
@needs(Action.SEE_IMAGES)
def overview(request: HttpRequest, workspace: Workspace, name: str) -> HttpResponse:
    """What the image is, how it is pulled, and its latest build."""
    image = shown_image(request, name)
    latest = latest_build(image)
    current, original = image.current_build, image.copied_from
    context = {
        "build": latest,
        "steps": progress.steps(latest),
        "requirements": image.spec.pip_requirements,
        "locked": image.spec.is_locked,
        "locked_by": locked_by(image),
        "policy": policy_of(image),
        "policies": policy_choices(),
        "run_time": image.spec.run_time.by_group(),
        **(pull_context(request, image, current) if current else {}),
        "original": original if original and original.removed_at is None else None,
    }
    return tab_page(request, workspace, image, "overview", context, log_of=latest)


@require_GET
@needs(Action.SEE_WORKSPACES)
def in_some_workspace(request: HttpRequest, name: str) -> HttpResponse:
    """The address that an image tells as its source: its page in a workspace that the reader sees.

    Images belong to no workspace. The one that it was created in comes first.
    """
    actor = Actor.of(request)
    image = ManagedImage.objects.named(actor.user, name)
    seen = Workspace.objects.visible_to(actor).order_by("name")
    own = seen.filter(pk=image.created_in.pk).first() if image.created_in else None
    workspace = own or seen.first()
    # Images are shown in workspaces; that page says what to do without one.
    return redirect("image", workspace.pk, image.name) if workspace else redirect("workspaces")


def pull_context(request: HttpRequest, image: ManagedImage, current: Build) -> dict[str, Any]:
    """The ways to pull the image, and the one that `?pull=` names, else the first."""
    instance = request.build_absolute_uri("/").rstrip("/")
    ways = Pull(image, current, instance).ways()
    wanted = request.GET.get("pull", "")
    chosen = next((way for way in ways if way.key == wanted), ways[0])
    return {"ways": ways, "way": chosen, "prefix": effective_prefix()}


@require_GET
@needs(Action.SEE_IMAGES)
def libraries(request: HttpRequest, workspace: Workspace, name: str) -> HttpResponse:
    """What is installed, and where each library came from."""
    image = shown_image(request, name)
    current = image.current_build
    context = {"libraries": origins(current) if current else []}
    return tab_page(request, workspace, image, "libraries", context)


@require_GET
@needs(Action.SEE_IMAGES)
def builds(request: HttpRequest, workspace: Workspace, name: str) -> HttpResponse:
    """Every attempt, and the steps and log of the one that `?build=` names, else of the newest."""
    image = shown_image(request, name)
    chosen = chosen_build(request, image)
    rows = image.builds.select_related("requested_by").defer("lock")
    context = {
        "build": chosen,
        "lacking": [] if chosen == image.current_build else missing_natives(chosen),
        "steps": progress.steps(chosen),
        "page": page_asked_for(rows, BUILD_ORDER, PAGE_SIZE, request.GET, descending=True),
    }
    return tab_page(request, workspace, image, "builds", context, log_of=chosen)


@require_GET
@needs(Action.SEE_IMAGES)
def revisions(request: HttpRequest, workspace: Workspace, name: str) -> HttpResponse:
    """The builds that succeeded, what each changed, and the difference between any two of them."""
    image = shown_image(request, name)
    good = image.builds.revisions()
    numbers = list(good.values_list("number", flat=True))
    rows = good.defer("lock").select_related("requested_by", "base_image")
    place = places_in(request.GET)
    page = page_in_order(rows, BUILD_ORDER, PAGE_SIZE, descending=True, **place)
    after = number_in(request, "to", numbers) or next(iter(numbers), 0)
    before = number_in(request, "from", numbers) or next((n for n in numbers if n < after), 0)
    found = {build.number: build for build in page.rows}
    if beyond := {before, after} - {0, *found}:
        found |= {build.number: build for build in rows.filter(number__in=beyond)}
    context = {
        "page": replace(page, count=len(numbers)),
        "numbers": numbers,
        **tag_context(request, image),
        "changes": changes_by_number(image, [build.number for build in page.rows], numbers),
        "before": before,
        "after": after,
        "comparison": Comparison(found[before], found[after]) if 0 < before != after else None,
    }
    return tab_page(request, workspace, image, "revisions", context)


def tags_shown(image: ManagedImage) -> dict[str, Any]:
    """The moving tags, the build that `stable` is at, and the reference by the first of them."""
    tags = moving_tags(image)
    return {
        "tags": tags,
        "stable": next((tag.build for tag in tags if tag.name == "stable"), None),
        "by_tag": tag_reference(image, tags[0].name) if tags else "",
    }


def tag_context(request: HttpRequest, image: ManagedImage) -> dict[str, Any]:
    """What is offered to who may move the tags."""
    offered = image.tags_may_move and allows(Actor.of(request), Action.SET_CHANNEL, image)
    return {
        "channels": channels_of(image) if offered else [],
        "kept": taggable_builds(image) if offered else set(),
    }


@require_GET
@needs(Action.SEE_IMAGES)
def models(request: HttpRequest, workspace: Workspace, name: str) -> HttpResponse:
    """The models that run on the image, those of workspaces that the reader does not see as a number."""
    image = shown_image(request, name)
    use = use_of(image, Actor.of(request), shown=MODELS_SHOWN)
    return tab_page(request, workspace, image, "models", {"use": use})


def tab_page(
    request: HttpRequest,
    workspace: Workspace,
    image: ManagedImage,
    tab: str,
    context: dict[str, Any],
    *,
    log_of: Build | None = None,
) -> HttpResponse:
    """The page with this tab open; polled as long as the image may change by itself."""
    latest, check = latest_build(image), current_check(image)
    may = Permissions(Actor.of(request))
    may_alter = may.allow(Action.ALTER_IMAGE, image)
    missing = MissingLibraries.of(image)
    drift = drift_of(image.current_build)
    shared = {
        "workspace": workspace,
        "section": "settings",
        "pane": "images",
        "image": image,
        "current": image.current_build,
        **tags_shown(image),
        "latest": latest,
        "tabs": TABS,
        "tab": tab,
        "tab_template": f"images/tabs/{tab}.html",
        "counts": counts(image),
        "waiting": progress.waiting_for(image, latest, Instance.objects.seen())
        if latest.is_active
        else "",
        "outlook": Forecast.read().by_image().get(image.pk) if latest.is_active else None,
        "may_remove": may.allow(Action.REMOVE_IMAGE),
        "may_alter": may_alter,
        "may_rebuild": may.allow(Action.REBUILD_IMAGE, image),
        "may_roll_back": may.allow(Action.ROLL_BACK_IMAGE, image),
        "may_cancel": may.allow(Action.CANCEL_BUILD, image),
        "refusal": TABLE[Action.REMOVE_IMAGE].refusal,
        "source_builds": may.allow(Action.BUILD_FROM_SOURCE, image)
        and offers_source(image, latest),
        "check": check,
        "may_check_imports": may.allow(Action.CHECK_IMPORTS, image),
        "missing": missing,
        "drift": drift,
        "refused": refused_upkeep(image) if may_alter else None,
        "poll": not image.is_settled or missing.is_awaited or is_moving(drift, check),
    }
    # A poll keeps the log that is on the page, which grows by itself.
    if log_of is not None and not wants_fragment(request):
        shared["log"] = "".join(chunk.text for chunk in log_of.log_chunks.all())
    return page_or_part(request, "images/image.html", "images/_image.html", {**shared, **context})


def refused_upkeep(image: ManagedImage) -> RefusedRepository | None:
    """For owners alone, as it keeps nobody from using the image."""
    return RefusedRepository.objects.filter(image=image).first()


def is_moving(drift: DriftNotice | None, check: ImportCheck | None) -> bool:
    """Whether the platform is at something beside a build."""
    return (drift is not None and not drift.is_hopeless) or (check is not None and check.is_active)


def shown_image(request: HttpRequest, name: str) -> ManagedImage:
    capabilities.require_enabled()
    return image_named(Actor.of(request).user, name)


def latest_build(image: ManagedImage) -> Build:
    return image.builds.select_related("base_image", "requested_by")[0]


def chosen_build(request: HttpRequest, image: ManagedImage) -> Build:
    """The build that `?build=` names, else the newest. Raises `NotFound`."""
    number = request.GET.get("build", "")
    return image.build_numbered(number) if number else latest_build(image)


def number_in(request: HttpRequest, parameter: str, numbers: list[int]) -> int:
    """The revision that the address names, 0 if it names none that is there."""
    wanted = request.GET.get(parameter, "")
    return next((number for number in numbers if str(number) == wanted), 0)


def changes_by_number(
    image: ManagedImage, shown: list[int], numbers: list[int]
) -> dict[int, list[Change]]:
    """Revision → what it changed against the one before it, at one query."""
    before = dict(pairwise(numbers))
    wanted = {*shown, *(before[number] for number in shown if number in before)}
    installed = versions_by_number(image, wanted)
    return {
        number: differences(installed.get(before[number], {}), installed.get(number, {}))
        for number in shown
        if number in before
    }


def counts(image: ManagedImage) -> dict[str, int]:
    """What the tabs say beside their names."""
    found = image.builds.aggregate(
        builds=Count("pk"), revisions=Count("pk", filter=Q(state=WorkState.SUCCEEDED))
    )
    libraries = image.current_build.library_count if image.current_build else 0
    models = Assignment.objects.current().filter(image=image).count()
    return {"libraries": libraries, "models": models, **found}


def offers_source(image: ManagedImage, build: Build) -> bool:
    """Whether *Build from source* would help: no wheel was the reason, and somebody can build one."""
    return (
        build.error_code == NoWheel.code and not image.allow_source and not source_builds_refusal()
    )


@require_GET
@needs(Action.SEE_IMAGES)
def log(request: HttpRequest, workspace: Workspace, name: str) -> HttpResponse:
    """A build's log from `?after=` (characters) on, as text; headers say where it ends and if for good."""
    image = image_named(Actor.of(request).user, name)
    build = chosen_build(request, image)
    after = request.GET.get("after", "0")
    offset = number_of(after, 31) or 0
    chunks = build.log_chunks.filter(offset__gte=offset)
    text = "".join(chunk.text for chunk in chunks)
    response = HttpResponse(text, content_type="text/plain; charset=utf-8")
    response["X-Log-Offset"] = str(offset + len(text))
    response["X-Log-Done"] = "0" if build.is_active else "1"
    return response
