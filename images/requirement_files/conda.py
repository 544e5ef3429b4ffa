"""conda's environment.yml, and the conda.yaml and python_env.yaml of an MLflow model.

A conda package becomes a library of the index if `conda_names.toml` or its own name says so. Each package
that is no Python library is reported with its replacement on the platform.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from images.requirement_files.draft import Draft, Place
from images.requirement_files.limits import yaml_document
from images.requirement_files.line import take_requirement
from images.requirement_files.requirements_txt import logical_lines, read_line
from images.requirement_files.values import SuppliedFile
from images.requirement_files.wants import note_wanted_python, single_python

NAMES = Path(__file__).with_name("conda_names.toml")
_SPEC = re.compile(
    r"(?:(?P<channel>[A-Za-z0-9_./:-]+)::)?(?P<name>[A-Za-z0-9_][A-Za-z0-9._-]*)"
    r"(?:\s*(?P<operator>[=<>!~]=?=?)?\s*(?P<rest>[^\s=\[\]]\S*(?:\s+[<>=!~]\S*)*)?)?"
    r"(?:\s+(?P<build>[A-Za-z0-9_*]+_[A-Za-z0-9_*]+))?"
)
# `libgcc-ng`, `_openmp_mutex`, `r-ggplot2`, `gcc_linux-64`: names that conda gives to what is no library.
_SYSTEM = re.compile(r"lib[a-z0-9]+.*|_.*|r-.*|.*_(?:linux|osx|win)-\w+|m2w?6?4?-.*|cuda-.*")


@dataclass(frozen=True)
class CondaNames:
    """What is known of conda's names."""

    # conda name to the index's, where they differ.
    libraries: dict[str, str]
    # conda name to the sentence about what serves on the platform.
    others: dict[str, str]


@cache
def conda_names() -> CondaNames:
    tables = tomllib.loads(NAMES.read_text(encoding="utf-8"))
    others = {
        name: f"Name the OS package {package} instead."
        for name, package in tables["os_packages"].items()
    }
    return CondaNames(tables["libraries"], {**others, **tables["others"]})


def read_environment(draft: Draft, file: SuppliedFile) -> None:
    """Write an environment's libraries, its pip section and its Python into the draft."""
    document = yaml_document(file.text)
    if not isinstance(document, MappingNode):
        raise ValueError("It has no list of dependencies; give an environment.yml of conda.")
    for key, value in pairs(document):
        if key == "dependencies":
            for item in items(value):
                read_dependency(draft, file, item)
        elif key == "prefix":
            draft.leave_out(
                Place(file.name, value.start_mark.line + 1), key, "It is a path on your machine."
            )


def read_dependency(draft: Draft, file: SuppliedFile, item: Node) -> None:
    place = Place(file.name, item.start_mark.line + 1)
    if isinstance(item, ScalarNode):
        take_conda(draft, file, place, item.value.strip())
        return
    for key, value in pairs(item):
        if key != "pip":
            draft.refuse(place, key, f"{key} is no list of libraries; write pip: or names alone.")
            continue
        for entry in items(value):
            line = Place(file.name, entry.start_mark.line + 1)
            for _, text in logical_lines(scalar(entry)):
                read_line(draft, line, text, including=(file.name,))


def take_conda(draft: Draft, file: SuppliedFile, place: Place, text: str) -> None:
    """One of conda's specifications: `numpy`, `numpy=1.26`, `conda-forge::numpy >=1.20,<2`."""
    found = _SPEC.fullmatch(text)
    name = found["name"].lower() if found else ""
    if not found:
        message = "It is no name and version as conda writes them, like numpy=1.26; write it so."
        draft.refuse(place, text, message)
        return
    try:
        specifier = standard_specifier(found["operator"] or "", found["rest"] or "")
    except ValueError as error:
        draft.refuse(place, text, str(error))
        return
    names = conda_names()
    if name == "python":
        note_wanted_python(draft, file, specifier)
        if version := single_python(specifier):
            draft.python_versions.setdefault(version, place)
        draft.leave_out(place, text, "Python is chosen for the image.")
    elif name == "pip" and not specifier:
        draft.leave_out(place, text, "Libraries are installed without pip.")
    elif name in names.others:
        draft.leave_out(place, text, names.others[name])
    elif name in names.libraries:
        library = names.libraries[name]
        draft.hint(f"conda's {name} is {library} on the index.")
        take_requirement(draft, library + specifier, place)
    elif _SYSTEM.fullmatch(name):
        reason = (
            "It is no library of Python; where one needs it, its wheel or an OS package brings it."
        )
        draft.leave_out(place, text, reason)
    else:
        take_requirement(draft, name + specifier, place)


def standard_specifier(operator: str, rest: str) -> str:
    """PEP 440's form of conda's: `=1.26` is fuzzy, `==1.26` and `=1.26=build` are exact.

    Raises `ValueError` with a sentence.
    """
    if not rest:
        return ""
    if "|" in rest:
        raise ValueError("Alternatives with | are not taken; write one range of versions.")
    version, _, build = rest.partition("=") if operator in ("=", "==") else (rest, "", "")
    if operator in ("=", ""):
        exact = build or (operator == "" and not re.match(r"[<>=!~]", version))
        plain = version.rstrip("*").rstrip(".")
        if re.match(r"[<>=!~]", version):
            text = version.replace(" ", ",")
        elif version == "*":
            return ""
        else:
            text = f"=={plain}" if exact and "*" not in version else f"=={plain}.*"
    else:
        text = operator + ",".join((version if operator == "==" else rest).split())
    # conda writes `>=1.20.*`, which means `>=1.20`.
    text = re.sub(r"([<>]=?[0-9A-Za-z.!]+?)\.?\*", r"\1", text)
    text = re.sub(r"(^|,)=(?=[0-9])", r"\1==", text)
    try:
        return str(SpecifierSet(text))
    except InvalidSpecifier as error:
        raise ValueError(
            f"{rest} is no version as PEP 440 has it; write it like 1.26.4."
        ) from error


def read_python_env(draft: Draft, file: SuppliedFile) -> None:
    """MLflow's python_env.yaml: the Python, and dependencies that mostly are `-r requirements.txt`."""
    document = yaml_document(file.text)
    if not isinstance(document, MappingNode):
        raise ValueError("It is no python_env.yaml of MLflow; give the model's requirements.txt.")
    for key, value in pairs(document):
        place = Place(file.name, value.start_mark.line + 1)
        if key == "python" and isinstance(value, ScalarNode):
            note_wanted_python(draft, file, f"=={'.'.join(value.value.split('.')[:2])}.*")
        elif key == "build_dependencies":
            draft.leave_out(
                place, key, "They are for building alone, which the platform does itself."
            )
        elif key == "dependencies":
            for entry in items(value):
                line = Place(file.name, entry.start_mark.line + 1)
                for _, text in logical_lines(scalar(entry)):
                    read_line(draft, line, text, including=(file.name,))


def pairs(node: Node) -> Iterator[tuple[str, Node]]:
    """A mapping's keys and values. Raises `ValueError` with a sentence for another node."""
    if not isinstance(node, MappingNode):
        raise ValueError(f"Line {node.start_mark.line + 1} is no mapping; write name: value.")
    for key, value in node.value:
        yield scalar(key), value


def items(node: Node) -> list[Node]:
    if isinstance(node, ScalarNode) and not node.value:
        return []
    if not isinstance(node, SequenceNode):
        raise ValueError(
            f"Line {node.start_mark.line + 1} is no list; begin each entry with a dash."
        )
    return list(node.value)


def scalar(node: Node) -> str:
    if not isinstance(node, ScalarNode):
        raise ValueError(f"Line {node.start_mark.line + 1} is no text; write a name and version.")
    return str(node.value)
