"""Reader of pyproject.toml: PEP 621, dependency groups (PEP 735), and tables of poetry, hatch and uv."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from packaging.dependency_groups import DependencyGroupResolver
from packaging.errors import ExceptionGroup
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from images.requirement_files.draft import Draft, Place
from images.requirement_files.limits import toml_tables
from images.requirement_files.line import take_requirement
from images.requirement_files.options import index_named_by
from images.requirement_files.poetry import read_poetry
from images.requirement_files.positions import line_of
from images.requirement_files.requirements_txt import file_of_path, read_requirements_txt
from images.requirement_files.values import SuppliedFile
from images.requirement_files.wants import note_wanted_python, table, texts


def read_pyproject(draft: Draft, file: SuppliedFile) -> None:
    """Write what a project needs to run, and what the chosen extras and groups add."""
    tables = toml_tables(file.text)
    project, tool = table(tables, "project"), table(tables, "tool")
    sources = IndexesOfSources(draft, file, table(tool, "uv"))
    offer_choices(draft, tables, project, tool)
    if "project" in tables:
        read_project(draft, file, project, sources)
    if "dynamic" in project:
        read_dynamic(draft, file, project, table(tool, "setuptools"))
    if "poetry" in tool:
        read_poetry(draft, file, table(tool, "poetry"), standard="dependencies" in project)
    read_groups(draft, file, table(tables, "dependency-groups"), sources)
    read_hatch(draft, file, table(table(tool, "hatch"), "envs"), sources)
    for text in texts(table(tool, "uv"), "constraint-dependencies"):
        take_requirement(draft, text, Place(file.name, line_of(file.text, text)), constraint=True)
    if not {"project", "dependency-groups"} & set(tables) and "poetry" not in tool:
        draft.refuse(
            Place(file.name, 0),
            "",
            "It has no [project] table with dependencies; add one or give a requirements.txt.",
        )


def offer_choices(
    draft: Draft, tables: Mapping[str, Any], project: Mapping[str, Any], tool: Mapping[str, Any]
) -> None:
    draft.offer(
        groups=[*table(tables, "dependency-groups"), *table(table(tool, "hatch"), "envs")],
        extras=[*table(project, "optional-dependencies")],
    )


class IndexesOfSources:
    """The index that `[tool.uv.sources]` gives a library, by the operator's name for it."""

    def __init__(self, draft: Draft, file: SuppliedFile, uv: Mapping[str, Any]) -> None:
        self.draft, self.file = draft, file
        declared = uv.get("index") or []
        self.addresses = {
            str(index["name"]): str(index["url"])
            for index in (declared if isinstance(declared, list) else [])
            if isinstance(index, dict) and {"name", "url"} <= set(index)
        }
        self.sources = {
            canonicalize_name(name): source for name, source in table(uv, "sources").items()
        }

    def index_of(self, requirement: str) -> str:
        """Raises `ValueError` with a sentence where the source is none that is configured."""
        try:
            name = canonicalize_name(Requirement(requirement).name)
        except (InvalidRequirement, RecursionError):
            return ""
        source = self.sources.get(name)
        for choice in source if isinstance(source, list) else [source] if source else []:
            named = choice.get("index") if isinstance(choice, dict) else None
            if not isinstance(named, str):
                raise ValueError(
                    f"[tool.uv.sources] takes {name} from a place that is not an index; "
                    "name its released version and leave the source out."
                )
            if "marker" not in choice:
                return index_named_by(self.draft, self.addresses.get(named, named))
        return ""

    def take(self, texts: Iterable[str], *, extras: Iterable[str] = ()) -> None:
        """Take requirements that stand in the file as strings."""
        for text in texts:
            place = Place(self.file.name, line_of(self.file.text, text))
            try:
                index = self.index_of(text)
            except ValueError as error:
                self.draft.refuse(place, text, str(error))
                continue
            take_requirement(self.draft, text, place, extras=tuple(extras), index=index)


def read_project(
    draft: Draft, file: SuppliedFile, project: Mapping[str, Any], sources: IndexesOfSources
) -> None:
    note_wanted_python(draft, file, project.get("requires-python"))
    sources.take(texts(project, "dependencies"))
    optional: dict[str, list[str]] = {
        canonicalize_name(str(extra)): texts(table(project, "optional-dependencies"), str(extra))
        for extra in table(project, "optional-dependencies")
    }
    own = canonicalize_name(str(project.get("name", "")))
    seen: set[str] = set()
    waiting: list[str] = [canonicalize_name(extra) for extra in sorted(draft.rules.extras)]
    while waiting:
        extra = waiting.pop(0)
        if extra in seen or extra not in optional:
            continue
        seen.add(extra)
        for text in optional[extra]:
            # `all = ["churn[serve,plot]"]` names the project's other extras.
            named = extras_of_itself(text, own)
            waiting += named
            if not named:
                sources.take([text])


def extras_of_itself(text: str, own: str) -> list[str]:
    try:
        wanted = Requirement(text)
    except (InvalidRequirement, RecursionError):
        return []
    itself = own and canonicalize_name(wanted.name) == own
    return [canonicalize_name(extra) for extra in sorted(wanted.extras)] if itself else []


def read_dynamic(
    draft: Draft, file: SuppliedFile, project: Mapping[str, Any], setuptools: Mapping[str, Any]
) -> None:
    """Dependencies that setuptools reads from files; those that a program computes are refused."""
    if "dependencies" not in (project.get("dynamic") or ()):
        return
    declared = table(table(setuptools, "dynamic"), "dependencies").get("file")
    names = [declared] if isinstance(declared, str) else declared or []
    place = Place(file.name, line_of(file.text, "dynamic"))
    if not names:
        message = (
            "Its dependencies are computed when it is built; give a lock or `pip freeze` instead."
        )
        draft.refuse(place, "dynamic", message)
    for name in names:
        found = file_of_path(draft, file.name, str(name))
        if found is None:
            draft.refuse(place, "dynamic", f"{name} was not given along; add that file.")
        else:
            read_requirements_txt(draft, found, including=(file.name,))


def read_groups(
    draft: Draft, file: SuppliedFile, groups: Mapping[str, Any], sources: IndexesOfSources
) -> None:
    chosen = {canonicalize_name(group) for group in draft.rules.groups}
    for group in groups:
        if canonicalize_name(group) not in chosen:
            continue
        try:
            found = DependencyGroupResolver(groups).resolve(group)
        except (ValueError, LookupError, TypeError, ExceptionGroup, RecursionError) as error:
            message = f"The group {group} cannot be read, {first_line(error)}; mend it."
            draft.refuse(Place(file.name, line_of(file.text, group)), group, message)
            continue
        sources.take([text_of(file.text, wanted) for wanted in found])


def text_of(text: str, wanted: Requirement) -> str:
    """A requirement as the file writes it, so that its line is found; its standard form otherwise."""
    for quoted in re.finditer(rf"[\"']({re.escape(wanted.name)}[^\"'\n]*)[\"']", text):
        try:
            if Requirement(quoted[1]) == wanted:
                return quoted[1]
        except InvalidRequirement:
            continue
    return str(wanted)


def first_line(error: BaseException) -> str:
    if isinstance(error, ExceptionGroup) and error.exceptions:
        return first_line(error.exceptions[0])
    return str(error).partition("\n")[0].rstrip(".")


def read_hatch(
    draft: Draft, file: SuppliedFile, environments: Mapping[str, Any], sources: IndexesOfSources
) -> None:
    """The dependencies of chosen environments of hatch, which one chooses like groups."""
    for name in sorted(draft.rules.groups & set(environments)):
        environment = table(environments, name)
        sources.take(texts(environment, "dependencies"))
        sources.take(texts(environment, "extra-dependencies"))
        for extra in texts(environment, "features"):
            sources.take(texts(table(project_of(file), "optional-dependencies"), extra))


def project_of(file: SuppliedFile) -> Mapping[str, Any]:
    return table(toml_tables(file.text), "project")
