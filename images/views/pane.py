"""The pane Settings → Managed Images, and *New image*."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.utils.safestring import SafeString
from django.views.decorators.http import require_GET, require_http_methods

from images.forms.images import NewImageForm, copy_initial, kept_files
from images.models import BaseImage, ManagedImage, Status
from images.operations.images import create_image
from images.queries import capabilities, suggestions, upgrade_progress
from images.queries.base_image_notices import instance_notices, notices
from images.queries.drifts import DriftNotice
from images.queries.forecast import Forecast
from images.queries.images import ImageFilter, image_named, list_images
from images.queries.matching import Match, match_images
from images.queries.shown_images import ShownImage, shown_images
from images.views.frames import render_frame
from images.views.image_rows import rows_of
from images.views.polling import fingerprint_of, has_already
from ri_platform.errors import DomainError
from ri_platform.forms import add_refusal, render_form
from ri_platform.middleware import wants_fragment
from ri_platform.pages import places_in
from ri_platform.ready import Ready
from workspaces.access import Action, Actor, Permissions
from workspaces.guard import needs
from workspaces.models import Workspace

GONE: Ready[ManagedImage] = Ready(lambda: ManagedImage.objects.removed()[:50])
# Of a base image, what notices tell: what it consists of is long.
TOLD_OF_BASES = (
    "image_type", "python_version", "platform_version", "source", "is_current", "state", "error_message",
    "error_hint",
)  # fmt: skip
OFFERED: Ready[BaseImage] = Ready(lambda: BaseImage.objects.offered().only(*TOLD_OF_BASES))


@require_GET
@needs(Action.SEE_IMAGES)
def pane(request: HttpRequest, workspace: Workspace) -> HttpResponse:
    capabilities.require_enabled()
    actor = Actor.of(request)
    wanted = ImageFilter.parse(
        request.GET.get("q", ""),
        request.GET.get("status", ""),
        request.GET.get("sort", "name"),
        request.GET.getlist("library"),
    )
    page = list_images(actor.user, wanted, **places_in(request.GET))
    shown = shown_images(page.rows)
    images = [item.image for item in shown]
    permissions = Permissions(actor)
    may_remove = permissions.allow(Action.REMOVE_IMAGE)
    gone = GONE.rows() if may_remove else []
    removing = [image for image in gone if not image.is_restorable]
    offered = OFFERED.rows()
    unsettled = [base for base in offered if not base.is_settled]
    rows = rows_of(
        shown,
        workspace,
        may_alter=partial(permissions.allow, Action.ALTER_IMAGE),
        may_remove=may_remove,
        outlooks=Forecast.read().by_image() if any(map(is_active, images)) else {},
    )
    context = {
        "workspace": workspace,
        "section": "settings",
        "pane": "images",
        "page": page,
        "images": images,
        "wanted": wanted,
        "statuses": Status.choices,
        "chips": chips(wanted),
        "removing": removing,
        "removed": [image for image in gone if image.is_restorable],
        "base_notices": [
            *instance_notices(administrator=may_remove),
            *notices(offered, administrator=may_remove),
        ],
        "upgrading": upgrade_progress.progress([b for b in offered if b.is_current])
        if may_remove
        else [],
        "poll": bool(unsettled or removing) or any(map(is_moving, shown)),
    }
    return pane_answer(request, workspace, context, rows)


def pane_answer(
    request: HttpRequest, workspace: Workspace, context: dict[str, Any], rows: SafeString
) -> HttpResponse:
    """The page, or its part that changes, as `page_or_part` has it."""
    if context["removed"] or context["removing"]:
        part: str = render_to_string("images/_list.html", {**context, "rows": rows}, request)
    else:
        page = context["page"]
        told = (
            page.previous, page.next, page.count, bool(context["images"]),
            tuple(context["base_notices"]),
            tuple((str(item.base), *item.counts) for item in context["upgrading"]),
        )  # fmt: skip
        part = render_frame(request, "images/_list.html", context, workspace, told, {"rows": rows})
    fingerprint = fingerprint_of(part)
    if has_already(request, fingerprint):
        return HttpResponse(status=204)
    template = "parts/polled.html" if wants_fragment(request) else "images/pane.html"
    marked = {"part": part, "fingerprint": fingerprint}
    return HttpResponse(
        render_frame(request, template, context, workspace, context["poll"], marked)
    )


def is_moving(shown: ShownImage) -> bool:
    """Whether its row will change by itself."""
    return (
        not shown.image.is_settled
        or (shown.check is not None and shown.check.is_active)
        or (shown.drift is not None and DriftNotice.of(shown.drift).is_moving)
    )


def chips(wanted: ImageFilter) -> list[tuple[str, list[str]]]:
    """Each library of the filter, with what the address names once it is taken away."""
    named = [str(item) for item in wanted.libraries]
    return [(name, [other for other in named if other != name]) for name in named]


def is_active(image: ManagedImage) -> bool:
    return image.status in (Status.BUILDING_FIRST_TIME, Status.REBUILDING)


@require_GET
@needs(Action.SEE_IMAGES)
def suggest_libraries(request: HttpRequest, workspace: Workspace) -> HttpResponse:
    """Options for the filter's field: what is typed stands under the field's own name."""
    found = suggestions.libraries(request.GET.get("library", ""))
    return render(request, "parts/suggestions.html", {"suggestions": found})


@needs(Action.CREATE_IMAGE)
@require_http_methods(["GET", "POST"])
def new(request: HttpRequest, workspace: Workspace) -> HttpResponse:
    """The form of a new image; with `?copy=` it begins with what another one asks for."""
    capabilities.require_enabled()
    actor = Actor.of(request)
    copied = None
    if name := request.GET.get("copy", ""):
        copied = image_named(actor.user, name)
    form = new_image_form(request, copied)
    satisfying: list[Match] = []
    # Said once; whoever builds it all the same has a reason, and so has who copies.
    if form.is_valid() and "build_anyway" not in request.POST and copied is None:
        found = match_images(actor.user, form.spec(), limit=3)
        satisfying = [match for match in found if match.satisfies]
    if form.is_valid() and not satisfying:
        try:
            image = create_image(
                actor, form.cleaned_data["name"], form.spec_beside(copied),
                workspace=workspace, copied_from=copied, supplied=form.supply,
                description=form.cleaned_data["description"],
                import_policy=form.cleaned_data["import_policy"],
            )  # fmt: skip
        except DomainError as error:
            add_refusal(form, error)
        else:
            return redirect("image", workspace_id=workspace.pk, name=image.name)
    context = {
        "workspace": workspace,
        "section": "settings",
        "pane": "images",
        "form": form,
        "copied": copied,
        "satisfying": satisfying,
    }
    if not form.available:
        context["base_notices"] = notices(
            BaseImage.objects.offered(), administrator=Permissions(actor).allow(Action.REMOVE_IMAGE)
        )
    return render_form(request, "images/new.html", context)


def new_image_form(request: HttpRequest, copied: ManagedImage | None) -> NewImageForm:
    """The form as it is posted; unbound if it is only to be checked, or to begin with."""
    if request.method != "POST":
        return NewImageForm(
            initial=copy_initial(copied) if copied else None,
            kept=kept_files(copied) if copied else None,
        )
    form = NewImageForm(request.POST, request.FILES)
    return form.checked() if "check" in request.POST else form
