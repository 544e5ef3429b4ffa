"""Merging of several lines about one library into one requirement, as pip and uv do."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from packaging.specifiers import SpecifierSet

from images.requirement_files.draft import Draft, Place
from images.requirement_files.limits import MAX_MERGED
from images.requirement_files.values import ReadRequirement


def merge_requirements(draft: Draft) -> None:
    """Merge in place; what contradicts an earlier line is refused with both lines named."""
    merged: dict[str, ReadRequirement] = {}
    lines: Counter[str] = Counter()
    for found in draft.requirements:
        earlier = merged.get(found.normalized_name)
        if earlier is None:
            merged[found.normalized_name] = found
            continue
        place = Place(found.file, found.line)
        where = position(earlier, found.file)
        lines[found.normalized_name] += 1
        if lines[found.normalized_name] > MAX_MERGED:
            message = f"More than {MAX_MERGED} lines are about {found.name}; keep one of them."
            draft.refuse(place, str(found), message)
            continue
        try:
            merged[found.normalized_name] = both(earlier, found)
        except ValueError:
            draft.refuse(
                place, str(found), f"{found} contradicts {earlier} {where}; keep one of the two."
            )
        else:
            draft.leave_out(place, str(found), f"It is merged with {earlier.name} {where}.")
    draft.requirements = list(merged.values())


def both(earlier: ReadRequirement, later: ReadRequirement) -> ReadRequirement:
    """One requirement that asks for what two ask for. Raises `ValueError` if nothing can satisfy it."""
    specifier = earlier.specifier
    if later.specifier != specifier:
        together = SpecifierSet(earlier.specifier) & SpecifierSet(later.specifier)
        if together.is_unsatisfiable():
            raise ValueError("no version satisfies both")
        specifier = str(together)
    if earlier.index and later.index and earlier.index != later.index:
        raise ValueError("two indexes")
    if earlier.url and later.url and earlier.url != later.url:
        raise ValueError("two addresses")
    return replace(
        earlier,
        specifier=specifier,
        extras=tuple(sorted({*earlier.extras, *later.extras})),
        index=earlier.index or later.index,
        hashes=tuple(dict.fromkeys((*earlier.hashes, *later.hashes))),
        url=earlier.url or later.url,
    )


def apply_constraints(draft: Draft) -> None:
    """Narrow what is asked for by the constraints of the same name; the others remain for the resolution."""
    by_name = {wanted.normalized_name: number for number, wanted in enumerate(draft.requirements)}
    remaining = []
    for constraint in draft.constraints:
        number = by_name.get(constraint.normalized_name)
        if constraint.extras:
            message = "A constraint takes no extras, as with pip; leave the brackets out."
            draft.refuse(Place(constraint.file, constraint.line), str(constraint), message)
        elif number is None:
            remaining.append(constraint)
        else:
            narrow(draft, number, constraint)
    draft.constraints = remaining


def narrow(draft: Draft, number: int, constraint: ReadRequirement) -> None:
    wanted = draft.requirements[number]
    place = Place(constraint.file, constraint.line)
    where = position(wanted, constraint.file)
    try:
        draft.requirements[number] = both(wanted, constraint)
    except ValueError:
        message = f"{constraint} contradicts {wanted} {where}; keep one of the two."
        draft.refuse(place, str(constraint), message)
    else:
        draft.leave_out(place, str(constraint), f"It narrows {wanted.name} {where}.")


def position(found: ReadRequirement, file: str) -> str:
    """Where a requirement stands, seen from a file."""
    return f"on line {found.line}" + ("" if found.file == file else f" of {found.file}")
