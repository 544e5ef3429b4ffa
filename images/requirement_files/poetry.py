"""Reader of Poetry's tables in pyproject.toml; poetry-core parses their constraints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from poetry.core.factory import Factory

from images.requirement_files.draft import Draft, Place
from images.requirement_files.line import take_requirement
from images.requirement_files.options import index_named_by
from images.requirement_files.positions import line_of
from images.requirement_files.values import SuppliedFile
from images.requirement_files.wants import table, texts


def read_poetry(
    draft: Draft, file: SuppliedFile, poetry: Mapping[str, Any], *, standard: bool
) -> None:
    """Dependencies, groups and extras; with `standard` the first are the `[project]` table's."""
    groups = table(poetry, "group")
    optional = {
        extra: set(texts(table(poetry, "extras"), extra)) for extra in table(poetry, "extras")
    }
    draft.offer(groups=[*groups, *(["dev"] if "dev-dependencies" in poetry else [])])
    draft.offer(extras=list(optional))
    chosen = set().union(*(optional.get(extra, set()) for extra in draft.rules.extras))
    reader = PoetryTable(draft, file, poetry, chosen)
    if not standard:
        reader.take(table(poetry, "dependencies"))
    if "dev" in draft.rules.groups:
        reader.take(table(poetry, "dev-dependencies"))
    for group in groups:
        if group in draft.rules.groups:
            reader.take(table(table(groups, group), "dependencies"))


class PoetryTable:
    """Reads tables of name to constraint."""

    def __init__(
        self, draft: Draft, file: SuppliedFile, poetry: Mapping[str, Any], chosen: set[str]
    ) -> None:
        self.draft, self.file, self.chosen = draft, file, chosen
        sources = poetry.get("source") or []
        self.addresses = {
            str(source.get("name")): str(source.get("url", ""))
            for source in (sources if isinstance(sources, list) else [])
            if isinstance(source, dict)
        }

    def take(self, dependencies: Mapping[str, Any]) -> None:
        for name, constraint in dependencies.items():
            place = Place(self.file.name, self.line_of_key(name))
            choices = constraint if isinstance(constraint, list) else [constraint]
            for choice in choices:
                try:
                    self.take_one(name, choice, place)
                except ValueError as error:
                    self.draft.refuse(place, f"{name} = {choice}", str(error))

    def take_one(self, name: str, constraint: Any, place: Place) -> None:
        """Raises `ValueError` with a sentence."""
        details = constraint if isinstance(constraint, dict) else {}
        if name.lower() == "python":
            self.take_python(str(constraint), place)
            return
        if {"git", "path", "url", "file"} & set(details):
            raise ValueError(
                f'{name} is not taken from an index; name its released version, like {name} = "^1.0".'
            )
        if details.get("optional") and name not in self.chosen:
            self.draft.leave_out(place, name, "It belongs to an extra that is not chosen.")
            return
        index = ""
        if source := details.get("source"):
            index = index_named_by(self.draft, self.addresses.get(str(source), str(source)))
        # An index and `optional` are decided above, and poetry-core would make an extra of the second.
        plain = {key: item for key, item in details.items() if key not in ("source", "optional")}
        text = standard_form(name, plain or constraint)
        take_requirement(self.draft, text, place, index=index)

    def take_python(self, constraint: str, place: Place) -> None:
        version = Factory.create_dependency("python", constraint).constraint
        full = Factory.create_dependency("p", f"~{self.draft.target.full_version}").constraint
        if not version.allows_any(full):
            message = (
                f"It is for Python {constraint}, and the image has "
                f"{self.draft.target.python_version}; choose another Python."
            )
            self.draft.refuse(place, constraint, message)

    def line_of_key(self, name: str) -> int:
        for number, line in enumerate(self.file.text.split("\n"), start=1):
            if line.lstrip("\"' ").startswith(name) and "=" in line:
                return number
        return line_of(self.file.text, name)


def standard_form(name: str, constraint: Any) -> str:
    """A dependency in PEP 508's form. Raises `ValueError` with a sentence."""
    try:
        text = Factory.create_dependency(name, constraint).to_pep_508(with_extras=False)
    except (ValueError, TypeError, KeyError, AttributeError, RuntimeError) as error:
        raise ValueError(
            f'{constraint} is not a constraint of poetry, like "^1.2"; mend it.'
        ) from error
    if "||" in text.partition(";")[0]:
        raise ValueError(
            f"{constraint} has alternatives, which an image cannot have; write one range."
        )
    return text
