"""A workspace's models, and the pane Settings → Managed Images, below its address.

Images have a level of their own, since `new` is a good name for one.
"""

from django.urls import path

from images.views import (
    alterations,
    builds,
    comparison,
    downloads,
    file_reading,
    image_page,
    ml_models,
    pane,
    registry_status,
    removal,
    swaps,
)

PANE = "workspaces/<uuid:workspace_id>/settings/managed-images"
IMAGE = f"{PANE}/image/<str:name>"
MODELS = "workspaces/<uuid:workspace_id>/models"
MODEL = f"{MODELS}/<uuid:model_id>"

urlpatterns = [
    path(MODELS, ml_models.model_list, name="models"),
    path(f"{MODELS}/new", ml_models.new, name="new_model"),
    path(MODEL, ml_models.detail, name="model"),
    path(f"{MODEL}/edit", ml_models.edit, name="edit_model"),
    path(f"{MODEL}/remove", ml_models.remove, name="remove_model"),
    path(f"{MODEL}/swap", swaps.picker, name="swap"),
    path(f"{MODEL}/swap/managed/<str:name>", swaps.managed, name="swap_managed"),
    path(f"{MODEL}/swap/external", swaps.external, name="swap_external"),
    path(f"{MODEL}/swap/build", swaps.build, name="swap_build"),
    path(f"{MODEL}/swap/back/<int:assignment_id>", swaps.back, name="swap_back"),
    path(f"{MODEL}/swap/stop", swaps.stop, name="stop_waiting"),
    path("organization/registry", registry_status.registry_status, name="registry_status"),
    path(PANE, pane.pane, name="images"),
    path(f"{PANE}/new", pane.new, name="new_image"),
    path(f"{PANE}/read", file_reading.read_files, name="read_files"),
    path(f"{PANE}/compare", comparison.compare, name="compare_images"),
    path(f"{PANE}/suggest/images", comparison.suggest_images, name="suggest_images"),
    path(f"{PANE}/suggest/libraries", pane.suggest_libraries, name="suggest_libraries"),
    path(IMAGE, image_page.overview, name="image"),
    path(f"{IMAGE}/libraries", image_page.libraries, name="image_libraries"),
    path(f"{IMAGE}/builds", image_page.builds, name="image_builds"),
    path(f"{IMAGE}/revisions", image_page.revisions, name="image_revisions"),
    path(f"{IMAGE}/models", image_page.models, name="image_models"),
    path(f"{IMAGE}/log", image_page.log, name="image_log"),
    path(f"{IMAGE}/lock", downloads.lock, name="image_lock"),
    path(f"{IMAGE}/sbom", downloads.bill_of_materials, name="image_sbom"),
    path(f"{IMAGE}/provenance", downloads.origin, name="image_provenance"),
    path(f"{IMAGE}/remove", removal.remove, name="remove_image"),
    path(f"{IMAGE}/restore", removal.restore, name="restore_image"),
    path(f"{IMAGE}/delete", removal.delete, name="delete_image"),
    path(f"{IMAGE}/rebuild", builds.rebuild, name="rebuild_image"),
    path(f"{IMAGE}/build-from-source", builds.build_from_source, name="build_from_source"),
    path(f"{IMAGE}/cancel", builds.cancel, name="cancel_build"),
    path(f"{IMAGE}/roll-back", builds.roll_back, name="roll_back_image"),
    path(f"{IMAGE}/alter", alterations.alter, name="alter_image"),
    path(f"{IMAGE}/alter/<int:alteration_id>", alterations.alteration, name="alteration"),
    path(
        f"{IMAGE}/alter/<int:alteration_id>/build",
        alterations.build_alteration,
        name="build_alteration",
    ),
]
