"""REST for import checks: ask for one again, and choose what becomes of imports that fail."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from images.api import import_check_schemas, present, schemas
from images.models import ManagedImage
from images.operations import import_checks
from images.queries.images import IMAGE, image_named
from ri_platform.api import ERRORS, router
from workspaces.access import Action, Actor
from workspaces.api.guard import guarded

routes = router(
    "Import checks", "Whether the libraries that an image was asked for can be imported."
)


@routes.post(
    "/images/{name}:checkImports",
    response={200: schemas.OneImage, **ERRORS},
    summary="Check imports again",
)
@guarded(Action.CHECK_IMPORTS, of=IMAGE)
def check_imports(request: HttpRequest, image: ManagedImage) -> dict[str, Any]:
    """Has the imports of the current build tried again. Ask for the image until they are not `PENDING`."""
    import_checks.check_imports(Actor.of(request), image)
    return one_image(request, image)


@routes.post(
    "/images/{name}:setImportPolicy",
    response={200: schemas.OneImage, **ERRORS},
    summary="Set an import policy",
)
@guarded(Action.SET_IMPORT_POLICY, of=IMAGE)
def set_import_policy(
    request: HttpRequest, image: ManagedImage, wanted: import_check_schemas.ImportPolicyIn
) -> dict[str, Any]:
    """Sets what becomes of imports that fail, from the next build on."""
    import_checks.set_import_policy(Actor.of(request), image, wanted.import_policy)
    return one_image(request, image)


def one_image(request: HttpRequest, image: ManagedImage) -> dict[str, Any]:
    return {"image": present.detail(image_named(Actor.of(request).user, image.name))}
