"""The pane Settings → Managed Images, below its workspace's address.

Images have a level of their own, since `new` is a good name for one.
"""

from django.urls import path

from images.views import image, pane, registry_status, revisions

PANE = "workspaces/<uuid:workspace_id>/settings/managed-images"
IMAGE = f"{PANE}/image/<str:name>"

urlpatterns = [
    path("organization/registry", registry_status.registry_status, name="registry_status"),
    path(PANE, pane.pane, name="images"),
    path(f"{PANE}/new", pane.new, name="new_image"),
    path(IMAGE, image.detail, name="image"),
    path(f"{IMAGE}/log", image.log, name="image_log"),
    path(f"{IMAGE}/lock", image.lock, name="image_lock"),
    path(f"{IMAGE}/sbom", image.bill_of_materials, name="image_sbom"),
    path(f"{IMAGE}/provenance", image.origin, name="image_provenance"),
    path(f"{IMAGE}/remove", image.remove, name="remove_image"),
    path(f"{IMAGE}/rebuild", revisions.rebuild, name="rebuild_image"),
    path(f"{IMAGE}/build-from-source", revisions.build_from_source, name="build_from_source"),
    path(f"{IMAGE}/cancel", revisions.cancel, name="cancel_build"),
    path(f"{IMAGE}/roll-back", revisions.roll_back, name="roll_back_image"),
    path(f"{IMAGE}/alter", revisions.alter, name="alter_image"),
    path(f"{IMAGE}/alter/<int:alteration_id>", revisions.alteration, name="alteration"),
    path(
        f"{IMAGE}/alter/<int:alteration_id>/build",
        revisions.build_alteration,
        name="build_alteration",
    ),
]
