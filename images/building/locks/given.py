"""A complete lock that somebody brought: its files are looked for on the indexes, and nothing is chosen."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from packaging.utils import canonicalize_name

from images.building.locks.files import Lock
from images.building.locks.resolve import resolve
from images.building.locks.target import Target
from images.errors import BuildError, HashesDiffer, LockDoesNotHold, NoWheel, ResolutionFailed
from images.indexes import Indexes
from images.requirements import MAX_TOLD, PipRequirement

_WRONG_PYTHON = re.compile(r"(?:requires|depends on) Python\b|requested Python version")
_NAMED = re.compile(r"\b([A-Za-z0-9][A-Za-z0-9._-]*)(?:==|\s+was not found)")


def lock_given(
    requirements: Sequence[PipRequirement],
    target: Target,
    *,
    preinstalled: Mapping[str, str],
    log: Callable[[str], None],
    check: Callable[[], None],
    indexes: Indexes,
    wheels_alone: bool = True,
) -> Lock:
    """Each requirement's one version as a file that has one of its hashes.

    Raises `LockDoesNotHold` with every entry that cannot be had so, or that something needs and neither the
    lock nor the base image (`preinstalled`) has. Where source distributions may serve, it raises `NoWheel`.
    """

    def lock_files(wanted: Sequence[PipRequirement], *, complete: bool) -> Lock:
        return resolve(
            wanted,
            target,
            preinstalled={},
            log=lambda line: None,
            check=check,
            indexes=indexes,
            complete=complete,
        )

    log(f"Looking for {len(requirements)} locked files for Python {target.python_version}")
    problems: dict[str, str] = {}
    try:
        lock = lock_files(requirements, complete=False)
    except NoWheel:
        if not wheels_alone:
            raise
    except HashesDiffer:
        pass
    except ResolutionFailed as error:
        # A lock may hold what its libraries forbid each other. Some indexes do not tell a file's Pythons.
        if _WRONG_PYTHON.search(error.message):
            problems = entry_of(error, requirements, target)
    else:
        missing = {wheel.name for wheel in lock.wheels} - {
            item.normalized_name for item in requirements
        }
        if not missing:
            return lock
        refuse_missing(missing - {canonicalize_name(name) for name in preinstalled})
    return lock_each(
        requirements, target, lambda wanted: lock_files(wanted, complete=True), problems
    )


def refuse_missing(names: set[str]) -> None:
    if names:
        raise LockDoesNotHold(
            f"The lock does not name {join_names(sorted(names))}, which its libraries need.",
            hint="Lock again with everything that is needed, or give the libraries without hashes, "
            "so that the rest is resolved.",
        )


def lock_each(
    requirements: Sequence[PipRequirement],
    target: Target,
    lock_files: Callable[[Sequence[PipRequirement]], Lock],
    problems: dict[str, str],
) -> Lock:
    """The lock of what can be had, if that is all of it. uv tells of one entry at a time."""
    wanted = [item for item in requirements if item.normalized_name not in problems]
    while wanted and len(problems) <= MAX_TOLD:
        try:
            lock = lock_files(wanted)
        except HashesDiffer as error:
            found = dict(error.libraries)
        except (NoWheel, ResolutionFailed) as error:
            found = entry_of(error, wanted, target)
        else:
            if not problems:
                return lock
            break
        problems |= found
        wanted = [item for item in wanted if item.normalized_name not in problems]
    told = list(problems.values())[:MAX_TOLD]
    if len(problems) > MAX_TOLD:
        told.append("And more.")
    raise LockDoesNotHold(
        f"The lock does not hold for {target}. " + " ".join(told),
        hint="Lock again for this Python from the indexes of this platform, or choose another Python.",
    )


def entry_of(error: BuildError, wanted: Sequence[PipRequirement], target: Target) -> dict[str, str]:
    """The library that uv's sentence is about, and a sentence of ours. Raises `error` if it names none."""
    by_name = {item.normalized_name: item for item in wanted}
    for name in _NAMED.findall(error.message):
        item = by_name.get(canonicalize_name(name))
        if item is None:
            continue
        if isinstance(error, NoWheel):
            return {item.normalized_name: f"{item} has no wheel for it."}
        if _WRONG_PYTHON.search(error.message):
            return {item.normalized_name: f"{item} is not for Python {target.python_version}."}
        return {item.normalized_name: f"{item} is on no index that it may come from."}
    raise error


def join_names(names: Sequence[str]) -> str:
    shown = list(names[:MAX_TOLD])
    if len(names) > MAX_TOLD:
        shown.append(f"{len(names) - MAX_TOLD} more")
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
