"""A module that a model's run could not import: the library that brings it, and the images that have that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from packaging.requirements import Requirement

from images.models import ChosenImage, InstalledLibrary, ManagedImage, MLModel, Status
from images.module_names import is_listed, module_in, requirements_for
from images.queries.capabilities import require_enabled
from images.queries.chosen_images import image_to_run_on
from images.queries.matching import Match, accepts, match_images, wanted_by_model
from images.requirements import PipRequirement
from ri_platform.errors import Invalid
from workspaces.models import User

SHOWN = 20


@dataclass(frozen=True)
class MissingModule:
    """A module and what would bring it.

    `library` is a requirement, None for a module of Python's own; `known` says that it is more than a guess
    by the module's name. `installed` is its version in the image that the model runs on, `runs_on`. `images`
    are READY, have the library and all else that the model needs, and are not that one.
    """

    module: str
    library: PipRequirement | None
    known: bool
    runs_on: ChosenImage | None
    installed: str
    images: Sequence[Match]

    @property
    def hint(self) -> str:
        """What to do, in sentences."""
        top = self.module.partition(".")[0]
        if self.library is None:
            return (
                f"{top} belongs to Python itself. No library brings it; choose another base image."
            )
        if self.installed and not self.suffices:
            return (
                f"The image has {self.library.name} {self.installed}, which does not bring the module "
                f"{top}. {self.library} does."
            )
        if self.installed:
            return (
                f"The image has {self.library.name} {self.installed} already. If that brings {self.module}, "
                "it failed for another reason: the import check on the image's page may know it."
            )
        if self.known:
            return f"{self.library} brings the module {top}."
        return f"The library that brings the module {top} often has the same name: {self.library}."

    @property
    def suffices(self) -> bool:
        """Whether the image that the model runs on has the library in a version that brings the module."""
        return bool(self.library and self.installed and accepts(self.library, self.installed))

    @property
    def alterable(self) -> ManagedImage | None:
        """The image that lacks the library and could have it."""
        if self.library is None or self.suffices or self.runs_on is None:
            return None
        image = self.runs_on.image
        return image if image and image.removed_at is None else None


def explain_missing_module(user: User, model: MLModel, text: str) -> MissingModule:
    """Read a module's name, or the error that names it. Raises `Invalid` for neither."""
    require_enabled()
    module = module_in(text)
    if not module:
        raise Invalid(
            "This names no module.",
            hint="Type it as Python does, such as sklearn, or paste the line with No module named.",
            field="module",
        )
    runs_on = image_to_run_on(model)
    library, known = library_of(model, module)
    if library is None:
        return MissingModule(module, None, False, runs_on, "", [])
    wanted = wanted_by_model(model)
    others = (
        item for item in wanted.pip_requirements if item.normalized_name != library.normalized_name
    )
    found = match_images(
        user, replace(wanted, pip_requirements=(*others, library)), limit=SHOWN * 2
    )
    own = runs_on.image_id if runs_on else None
    images = [
        match
        for match in found
        if match.satisfies and match.image.status == Status.READY and match.image.pk != own
    ]
    return MissingModule(
        module, library, known, runs_on, installed_version(runs_on, library), images[:SHOWN]
    )


def library_of(model: MLModel, module: str) -> tuple[PipRequirement | None, bool]:
    """The likeliest requirement that brings a module, and whether that is more than a guess by its name.

    What the model asks for itself, and what some image has, are likelier than others.
    """
    candidates = {item.normalized_name: item for item in map(of_text, requirements_for(module))}
    for item in model.needs:
        if item.normalized_name in candidates:
            return item, True
    installed = set(
        InstalledLibrary.objects.current()
        .filter(normalized_name__in=candidates)
        .values_list("normalized_name", flat=True)
        .distinct()
    )
    for name, item in candidates.items():
        if name in installed:
            return item, True
    return next(iter(candidates.values()), None), is_listed(module)


def of_text(text: str) -> PipRequirement:
    found = Requirement(text)
    return PipRequirement(found.name, str(found.specifier))


def installed_version(runs_on: ChosenImage | None, library: PipRequirement) -> str:
    """The library's version in the build that a model runs on; empty if it is not there."""
    if runs_on is None or runs_on.image is None:
        return ""
    build = runs_on.build_id or runs_on.image.current_build_id
    row = InstalledLibrary.objects.filter(build=build, normalized_name=library.normalized_name)
    return row.values_list("version", flat=True).first() or ""
