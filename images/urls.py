"""A workspace's models, and the pane Settings → Managed Images, below its address.

Images have a level of their own, since `new` is a good name for one.
"""

from django.urls import path

from images.views import (
    alterations,
    builds,
    comparison,
    default_images,
    descriptions,
    downloads,
    file_reading,
    image_page,
    job_logs,
    missing_modules,
    ml_models,
    pane,
    registry_status,
    removal,
    swaps,
    unknown_repositories,
)
from workspaces.guard import public

PANE = "workspaces/<uuid:workspace_id>/settings/managed-images"
IMAGE = f"{PANE}/image/<str:name>"
MODELS = "workspaces/<uuid:workspace_id>/models"
MODEL = f"{MODELS}/<uuid:model_id>"

urlpatterns = [
    # Images name it as their source: `images.references.page_address`.
    path("images/<str:name>", image_page.in_some_workspace, name="image_by_name"),
    path("job-logs/<str:signed>", public(job_logs.job_log), name="job_log"),
    path(MODELS, ml_models.model_list, name="models"),
    path(f"{MODELS}/new", ml_models.new, name="new_model"),
    path(MODEL, ml_models.detail, name="model"),
    path(f"{MODEL}/edit", ml_models.edit, name="edit_model"),
    path(f"{MODEL}/remove", ml_models.remove, name="remove_model"),
    path(f"{MODEL}/missing", missing_modules.missing_module, name="missing_module"),
    path(f"{MODEL}/swap", swaps.picker, name="swap"),
    path(f"{MODEL}/swap/managed/<str:name>", swaps.swap_to_managed_image, name="swap_managed"),
    path(f"{MODEL}/swap/external", swaps.swap_to_external_image, name="swap_external"),
    path(f"{MODEL}/swap/build", swaps.build, name="swap_build"),
    path(f"{MODEL}/swap/back/<int:assignment_id>", swaps.back, name="swap_back"),
    path(f"{MODEL}/swap/default", swaps.to_default, name="swap_default"),
    path(f"{MODEL}/swap/stop", swaps.stop, name="stop_waiting"),
    path(
        "workspaces/<uuid:workspace_id>/settings/default-image",
        default_images.default_image,
        name="default_image",
    ),
    path("organization/registry", registry_status.registry_status, name="registry_status"),
    path(
        "organization/registry/adopt/<path:repository>",
        unknown_repositories.adopt,
        name="adopt_repository",
    ),
    path(
        "organization/registry/delete/<path:repository>",
        unknown_repositories.delete,
        name="delete_repository",
    ),
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
    path(f"{IMAGE}/check-imports", builds.check_imports, name="check_imports"),
    path(f"{IMAGE}/import-policy", builds.set_import_policy, name="set_import_policy"),
    path(f"{IMAGE}/roll-back", builds.roll_back, name="roll_back_image"),
    path(f"{IMAGE}/channel", builds.set_channel, name="set_channel"),
    path(f"{IMAGE}/describe", descriptions.describe, name="describe_image"),
    path(f"{IMAGE}/alter", alterations.alter, name="alter_image"),
    path(
        f"{IMAGE}/alter/missing",
        alterations.add_missing_packages,
        name="add_missing_packages",
    ),
    path(f"{IMAGE}/alter/library", missing_modules.propose_library, name="propose_library"),
    path(f"{IMAGE}/alter/<int:alteration_id>", alterations.alteration, name="alteration"),
    path(
        f"{IMAGE}/alter/<int:alteration_id>/build",
        alterations.build_alteration,
        name="build_alteration",
    ),
]
