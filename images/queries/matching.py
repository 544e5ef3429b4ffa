"""Search for images that meet requirements, with the requirements that they do not meet.

An index narrows the search: PEP 440 comparison runs only on the distinct installed versions of each required
library. Images are then ordered by the number of requirements that they meet.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.db.models import Count, Value
from django.db.models.functions import Concat
from packaging.specifiers import SpecifierSet

from images.models import Build, InstalledLibrary, ManagedImage, MLModel
from images.requirements import PipRequirement
from images.spec import ImageSpec
from workspaces.models import User


@dataclass(frozen=True)
class Missing:
    """A requirement that an image does not meet; `installed` is the version that it has, if any."""

    requirement: str
    installed: str = ""

    @property
    def conflicts(self) -> bool:
        """It is there in a version that is not accepted, or without the extra."""
        return bool(self.installed)


@dataclass(frozen=True)
class Match:
    """An image and what of the wanted it lacks; `library_count` is how many libraries it has."""

    image: ManagedImage
    library_count: int
    missing: tuple[Missing, ...]

    @property
    def satisfies(self) -> bool:
        return not self.missing

    @property
    def only_conflicts(self) -> bool:
        """Every library is there, some in another version."""
        return all(missing.conflicts for missing in self.missing)


def match_images(user: User, wanted: ImageSpec, *, name: str = "", limit: int = 20) -> list[Match]:
    """Usable images, best first: the fewest requirements not met, then the fewest conflicts among these, then
    the fewest libraries, then by name.

    An empty image type or Python version stands for any; `name` is a part of an image's name. An image that
    meets none of the requirements is left out, unless it was looked for by name. Nothing is asked of AWS or
    an index: which libraries an extra brings is not known here, so it counts as met only where it was asked
    for.
    """
    # What the database does not see, extras and OS packages, may move some down: hence a margin.
    candidates = candidate_images(user, wanted, name, limit * 4)
    names = {requirement.normalized_name for requirement in wanted.pip_requirements}
    installed: dict[int, dict[str, str]] = defaultdict(dict)
    rows = InstalledLibrary.objects.filter(
        build__in=[image.current_build_id for image in candidates], normalized_name__in=names
    ).values_list("build", "normalized_name", "version")
    for build, library, version in rows:
        installed[build][library] = version
    found = []
    for image in candidates:
        assert image.current_build is not None
        missing = missing_in(image.current_build.spec, installed[image.current_build.pk], wanted)
        meets_some = len(missing) < len(wanted.pip_requirements) + len(wanted.os_packages)
        if meets_some or not missing or name:
            found.append(Match(image, image.current_build.library_count, missing))
    found.sort(key=rank)
    return found[:limit]


def rank(match: Match) -> tuple[int, int, int, str]:
    conflicts = sum(missing.conflicts for missing in match.missing)
    return len(match.missing), conflicts, match.library_count, match.image.name


@dataclass(frozen=True)
class Requirement:
    """One of a model's requirements on a build: `installed` is the version there, empty if there is none."""

    text: str
    installed: str
    met: bool


def wanted_by_model(model: MLModel) -> ImageSpec:
    """What a model needs, of an image of any type."""
    return ImageSpec("", model.python_version, model.needs)


def requirements_on_build(model: MLModel, build: Build | None) -> list[Requirement]:
    """Each of a model's requirements with what a build has for it; nothing is met by no build."""
    wanted = wanted_by_model(model)
    if build is None:
        return [Requirement(str(item), "", met=False) for item in wanted.pip_requirements]
    names = {item.normalized_name: str(item) for item in wanted.pip_requirements}
    installed = dict(
        build.libraries.filter(normalized_name__in=names).values_list("normalized_name", "version")
    )
    missing = {item.requirement for item in missing_in(build.spec, installed, wanted)}
    return [
        Requirement(text, installed.get(name, ""), met=text not in missing)
        for name, text in names.items()
    ]


def candidate_images(user: User, wanted: ImageSpec, name: str, limit: int) -> list[ManagedImage]:
    """Usable images in about the order that `match_images` promises."""
    images = ManagedImage.objects.visible_to(user).usable()
    if wanted.image_type:
        images = images.filter(image_type=wanted.image_type)
    if name:
        # Names are lower-case, and an index has their parts as they are.
        images = images.filter(name__contains=name.lower())
    if wanted.python_version:
        images = images.filter(python_version=wanted.python_version)
    whole = images.select_related("current_build", "created_by", "created_in")
    whole = whole.defer("current_build__lock")
    if not wanted.pip_requirements:
        return list(whole.order_by("library_count", "name")[:limit])
    # Counted over the libraries' rows alone; only the best become images.
    best = (
        InstalledLibrary.objects.current()
        .filter(
            normalized_name__in=[item.normalized_name for item in wanted.pip_requirements],
            build__image__in=images,
        )
        # One comparison of both: as conditions on each library they would make the database read the rows
        # themselves, where the index has all that is counted.
        .alias(pinned=Concat("normalized_name", Value("=="), "version"))
        .filter(pinned__in=acceptable(wanted.pip_requirements))
        .order_by()
        .values("build__image", "build__library_count", "current_of")
        .annotate(met=Count("*"))
        .order_by("-met", "build__library_count", "current_of")
        .values_list("build__image", flat=True)
    )
    found = list(whole.filter(pk__in=list(best[:limit])))
    if name and len(found) < limit:
        others = whole.exclude(pk__in=[image.pk for image in found]).order_by("name")
        found += others[: limit - len(found)]
    return found


def acceptable(requirements: Sequence[PipRequirement]) -> list[str]:
    """Every `library==version` in some image that one of the requirements accepts."""
    wanted = {item.normalized_name: item for item in requirements}
    rows = (
        InstalledLibrary.objects.current()
        .filter(normalized_name__in=wanted)
        .order_by()
        .values_list("normalized_name", "version")
        .distinct()
    )
    return [f"{name}=={version}" for name, version in rows if accepts(wanted[name], version)]


def accepts(requirement: PipRequirement, version: str) -> bool:
    return SpecifierSet(requirement.specifier).contains(version, prereleases=True)


def missing_in(
    spec: ImageSpec, installed: Mapping[str, str], wanted: ImageSpec
) -> tuple[Missing, ...]:
    """What of the wanted an image lacks, `installed` being its versions by normalized name."""
    asked = {item.normalized_name: set(item.extras) for item in spec.pip_requirements}
    missing = []
    for item in wanted.pip_requirements:
        version = installed.get(item.normalized_name, "")
        extras = set(item.extras) <= asked.get(item.normalized_name, set())
        if not version or not accepts(item, version) or not extras:
            missing.append(Missing(str(item), version))
    packages = {package.name: package.version for package in spec.os_packages}
    for package in wanted.os_packages:
        if package.name not in packages or package.version not in ("", packages[package.name]):
            missing.append(Missing(str(package), packages.get(package.name, "")))
    return tuple(missing)
