"""REST endpoints for managed images: the original's and ours. Each calls the console's operation."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import Query

from images.api import answers, match_schemas, present, schemas, spec_schemas
from images.api.present import image_and_job
from images.api.wanted_spec import altered_spec, spec_to_match, wanted_spec
from images.models import BaseImage, ManagedImage
from images.operations import alterations, builds, channels, images, removal
from images.queries import capabilities, keyset, matching
from images.queries.images import IMAGE, image_named, newest_build
from images.queries.keyset import LibraryFilter
from ri_platform.api import ERRORS, router
from workspaces.access import Action, Actor
from workspaces.api.guard import Nothing, guarded

routes = router(
    "Managed images", "Images that users define: find, create, alter, build and remove them."
)

# Verbs come before `/images/{name}`, which would match them, too.


@routes.post(
    "/images/list", response={200: schemas.ImagesPage, **ERRORS}, summary="List images by libraries"
)
@guarded(Action.SEE_IMAGES)
def list_images_by_libraries(request: HttpRequest, wanted: schemas.ListImagesIn) -> HttpResponse:
    """Returns the images that have all of these libraries installed, by name, in pages."""
    libraries = [LibraryFilter(item.name, item.version) for item in wanted.pip_libraries]
    return page(request, wanted, libraries)


@routes.get("/images", response={200: schemas.ImagesPage, **ERRORS}, summary="List images")
@guarded(Action.SEE_IMAGES)
def list_images(request: HttpRequest, asked: Query[schemas.ImagesIn]) -> HttpResponse:
    """Returns images in the order of their names, in pages."""
    return page(request, asked, [])


def page(
    request: HttpRequest, asked: schemas.ImagesIn, libraries: list[LibraryFilter]
) -> HttpResponse:
    capabilities.require_enabled()
    status = asked.status.removeprefix("STATUS_") if asked.status else ""
    wanted = keyset.ListFilter(libraries, asked.search, status)
    user = Actor.of(request).user
    found = keyset.page_of_images(user, wanted, asked.page_token, asked.page_size)
    return answers.page_answer(found)


@routes.post(
    "/images:match", response={200: match_schemas.Matches, **ERRORS}, summary="Match images"
)
@guarded(Action.SEE_IMAGES)
def match_images(request: HttpRequest, wanted: match_schemas.MatchIn) -> dict[str, Any]:
    """Returns READY images that meet all requirements, best first, then others with unmet requirements."""
    capabilities.require_enabled()
    spec = spec_to_match(wanted)
    found = matching.match_images(Actor.of(request).user, spec, limit=wanted.limit)
    shown = present.images([item.image for item in found])
    return {
        "matches": [
            {
                "image": image,
                "satisfies": item.satisfies,
                "library_count": item.library_count,
                "missing": [vars(missing) for missing in item.missing],
            }
            for item, image in zip(found, shown, strict=True)
        ]
    }


@routes.post("/images", response={200: schemas.ImageAndJob, **ERRORS}, summary="Create an image")
@guarded(Action.CREATE_IMAGE)
def create_image(request: HttpRequest, wanted: spec_schemas.CreateImageIn) -> dict[str, Any]:
    """Accepts a new image and its first build, which runs in the background."""
    actor = Actor.of(request)
    spec, supplied = wanted_spec(wanted)
    workspace = actor.token.workspace if actor.token else None
    image = images.create_image(
        actor, wanted.name, spec,
        workspace=workspace, supplied=supplied, import_policy=wanted.import_policy,
        description=wanted.description,
    )  # fmt: skip
    build = newest_build(image)
    assert build is not None
    return image_and_job(build)


@routes.post(
    "/images/{name}:rebuild", response={200: schemas.ImageAndJob, **ERRORS}, summary="Rebuild"
)
@guarded(Action.REBUILD_IMAGE, of=IMAGE)
def rebuild_image(request: HttpRequest, image: ManagedImage) -> dict[str, Any]:
    """Resolves the image's requirements again and builds it. The current build stays usable."""
    return image_and_job(builds.rebuild_image(Actor.of(request), image))


@routes.post(
    "/images/{name}:buildFromSource",
    response={200: schemas.ImageAndJob, **ERRORS},
    summary="Build an image from source",
)
@guarded(Action.BUILD_FROM_SOURCE, of=IMAGE)
def build_from_source(request: HttpRequest, image: ManagedImage) -> dict[str, Any]:
    """Builds an image again and allows source builds for libraries without a wheel, also in later builds."""
    return image_and_job(builds.build_from_source(Actor.of(request), image))


@routes.post(
    "/images/{name}:describe",
    response={200: schemas.OneImage, **ERRORS},
    summary="Describe an image",
)
@guarded(Action.ALTER_IMAGE, of=IMAGE)
def describe_image(
    request: HttpRequest, image: ManagedImage, wanted: spec_schemas.DescribeImageIn
) -> HttpResponse:
    """Sets the description of an image. Nothing is built."""
    images.describe_image(Actor.of(request), image, wanted.description)
    return image_answer(request, image.name)


@routes.post("/images/{name}:cancel", response={200: schemas.OneImage, **ERRORS}, summary="Cancel")
@guarded(Action.CANCEL_BUILD, of=IMAGE)
def cancel_build(request: HttpRequest, image: ManagedImage) -> HttpResponse:
    """Stops the image's running or queued build."""
    builds.cancel_build(Actor.of(request), image)
    return image_answer(request, image.name)


@routes.post(
    "/images/{name}:rollBack", response={200: schemas.ImageAndJob, **ERRORS}, summary="Roll back"
)
@guarded(Action.ROLL_BACK_IMAGE, of=IMAGE)
def roll_back_image(
    request: HttpRequest, image: ManagedImage, wanted: schemas.RollBackIn
) -> dict[str, Any]:
    """Makes an earlier build current again."""
    return image_and_job(builds.roll_back_image(Actor.of(request), image, wanted.build))


@routes.put(
    "/images/{name}/channels/{channel}",
    response={200: schemas.OneImage, **ERRORS},
    summary="Point a channel at a build",
)
@guarded(Action.SET_CHANNEL, of=IMAGE)
def set_channel(
    request: HttpRequest, image: ManagedImage, channel: str, wanted: schemas.SetChannelIn
) -> HttpResponse:
    """Moves a tag of the image in the registry, within a moment, and keeps the build there meanwhile.

    A channel is `stable`, `candidate` or `production`, or begins with `channel-`.
    """
    channels.set_channel(Actor.of(request), image, channel, wanted.build)
    return image_answer(request, image.name)


@routes.get("/images/{name}", response={200: schemas.OneImage, **ERRORS}, summary="Get an image")
@guarded(Action.SEE_IMAGES)
def get_image(request: HttpRequest, name: str) -> HttpResponse:
    """Returns an image with its installed libraries and its newest build."""
    capabilities.require_enabled()
    return image_answer(request, name)


@routes.patch(
    "/images/{name}", response={200: schemas.ImageAndJob, **ERRORS}, summary="Alter an image"
)
@guarded(Action.ALTER_IMAGE, of=IMAGE)
def alter_image(
    request: HttpRequest, image: ManagedImage, wanted: spec_schemas.AlterImageIn
) -> dict[str, Any]:
    """Makes a new revision of an image; what is left out stays, and the present one stays usable.

    For the image's owners; others create an image of their own.
    """
    spec, supplied = altered_spec(image, wanted)
    return image_and_job(
        alterations.alter_image_unseen(Actor.of(request), image, spec, supplied=supplied)
    )


@routes.delete("/images/{name}", response={200: Nothing, **ERRORS}, summary="Remove an image")
@guarded(Action.REMOVE_IMAGE)
def remove_image(request: HttpRequest, name: str) -> dict[str, Any]:
    """Removes an image for every workspace. For Organization Administrators."""
    actor = Actor.of(request)
    image_named(actor.user, name)
    removal.remove_image(actor, name, typed_name=name)
    return {}


@routes.get(
    "/base-images", response={200: schemas.BaseImages, **ERRORS}, summary="List base images"
)
@guarded(Action.SEE_IMAGES)
def list_base_images(request: HttpRequest, asked: Query[schemas.BaseImagesIn]) -> dict[str, Any]:
    """Returns the base images that the platform provides, with the images that are built on each."""
    capabilities.require_enabled()
    rows = BaseImage.objects.offered() if asked.all else BaseImage.objects.current()
    return {"images": present.base_images(rows.select_related("built_on"))}


def image_answer(request: HttpRequest, name: str) -> HttpResponse:
    return answers.detail_answer(Actor.of(request).user, name)
