"""The choice of an interpreter's libraries for an image, with a reason for each that is left out."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import packages_distributions
from pathlib import Path
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any, Literal, get_args

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from ri_platform_sdk import installed
from ri_platform_sdk.dependencies import Distribution, edges, needed_by, top_level
from ri_platform_sdk.errors import InvalidRequest
from ri_platform_sdk.files import RequirementFile
from ri_platform_sdk.models import Image
from ri_platform_sdk.specs import Spec, names

Selection = Literal["top-level", "imported", "freeze"]

FILE_NAME = "environment.txt"
CLIENT = "ri-platform-sdk"
# They make environments; pip freeze leaves them out as well.
TOOLS = frozenset({"pip", "setuptools", "wheel", "distribute"})
SECONDS = 60
# Names that IPython puts beside those of the notebook.
_OF_IPYTHON = frozenset({"In", "Out", "exit", "quit", "get_ipython", "open"})


@dataclass(frozen=True)
class LeftOutLibrary:
    """An installed library that cannot go into an image as it is, and why."""

    name: str
    version: str
    reason: str

    def __str__(self) -> str:
        return f"{self.name} {self.version} {self.reason}"


@dataclass(frozen=True)
class Environment:
    """The libraries of an interpreter that an image can have.

    `requirements` are pinned, such as `numpy==2.4.6`. `others` are libraries that are installed and were not
    selected: those that the selected ones need come into the image in versions that fit.
    """

    python_version: str
    requirements: tuple[str, ...]
    left_out: tuple[LeftOutLibrary, ...]
    others: tuple[str, ...]

    def as_file(self) -> RequirementFile:
        """The environment as a requirements file that tells what was left out."""
        lines = [f"# Installed in Python {self.python_version}."]
        lines += [f"# Left out: {item.name} {item.version}." for item in self.left_out]
        return RequirementFile(FILE_NAME, "\n".join([*lines, *self.requirements, ""]))

    def omission_sentences(self) -> list[str]:
        """A sentence for each library that is left out."""
        told = [f"Left out: {item}" for item in self.left_out]
        if self.others:
            told.append(
                f"{len(self.others)} other libraries are installed; what of them is needed comes along."
            )
        return told

    def tell(self) -> None:
        """Say on the standard error what is left out."""
        for sentence in self.omission_sentences():
            print(sentence, file=sys.stderr)


@dataclass(frozen=True)
class Snapshot:
    """An image of what is installed, and what was taken of it and left out."""

    image: Image
    environment: Environment


def spec_of_environment(
    environment: Environment,
    python_version: str | None,
    package_requirements: Iterable[Any] | None,
    image_type: str | None,
    allow_source: bool,
    indexes: Iterable[str] | None,
    allow_prereleases: bool = False,
) -> Spec:
    """An image of the environment, for its Python unless another is given."""
    return Spec(
        package_requirements=package_requirements,
        python_version=python_version or environment.python_version,
        image_type=image_type,
        files=[environment.as_file()],
        allow_source=allow_source,
        indexes=indexes,
        allow_prereleases=allow_prereleases,
    )


def read_environment(
    selection: Selection = "top-level",
    *,
    interpreter: str = "",
    without: Iterable[str] = (),
    strict: bool = False,
) -> Environment:
    """Return the libraries of this interpreter, or of the one at the path `interpreter`.

    `top-level` takes what was asked for by name or is needed by nothing else, `imported` what this program
    or notebook refers to, `freeze` everything. Libraries `without` are left out. With `strict`, what comes
    from a source folder or a URL is refused, which is left out otherwise.

    Raises `InvalidRequest` for what cannot be read or is refused.

    Example:
        >>> environment = read_environment("freeze")
        >>> any(text.startswith("httpx==") for text in environment.requirements)
        True
    """
    if selection not in get_args(Selection):
        raise InvalidRequest(f"{selection!r} is none of {', '.join(get_args(Selection))}.")
    if selection == "imported" and interpreter:
        raise InvalidRequest("Only this program's own imports are known; leave `interpreter` out.")
    unwanted = frozenset(map(canonicalize_name, names(without)))
    told = inventory_of(interpreter) if interpreter else installed.inventory()
    python = str(told["python"])
    found = [Distribution.of(item, python) for item in told["distributions"]]
    for name in sorted(unwanted - {item.key for item in found}):
        raise InvalidRequest(f"{name} is not installed, so it cannot be left out.")
    environment = environment_of(found, selection, unwanted, python)
    foreign = {item.name for item in found if is_foreign(item) and item.key not in unwanted}
    if strict and (refused := [item for item in environment.left_out if item.name in foreign]):
        raise InvalidRequest(f"{' '.join(map(str, refused))} Leave them out by name to go on.")
    return environment


def environment_of(
    found: list[Distribution], selection: Selection, unwanted: frozenset[str], python: str
) -> Environment:
    """Raises `InvalidRequest` if nothing remains."""
    reasons = reasons_to_leave_out(found, unwanted)
    wanted = wanted_of(found, selection)
    chosen = [item for item in found if item.key in wanted - reasons.keys()]
    if not chosen:
        raise InvalidRequest("Nothing that is installed can go into an image.")
    # A selection of imported libraries reports only those.
    of_interest = wanted if selection == "imported" else reasons.keys()
    left_out = [item for item in found if item.key in reasons and item.key in of_interest]
    named = {item.key for item in (*chosen, *left_out)}
    return Environment(
        python_version=python,
        requirements=tuple(f"{item.name}=={item.version}" for item in chosen),
        left_out=tuple(
            LeftOutLibrary(item.name, item.version, reasons[item.key]) for item in left_out
        ),
        others=tuple(item.name for item in found if item.key not in named),
    )


def reasons_to_leave_out(found: list[Distribution], unwanted: frozenset[str]) -> dict[str, str]:
    """The reasons why libraries cannot go into an image, in words that follow the library's name."""
    told = {}
    for item in found:
        if item.key in unwanted:
            told[item.key] = "is left out by name."
        elif item.key == CLIENT:
            told[item.key] = "is this client."
        elif item.origin:
            told[item.key] = f"was {item.origin}; release it to an index to have it in an image."
        elif item.key in TOOLS and not needed_by(found, item.key):
            told[item.key] = "makes environments; the image has its own."
        elif not is_version(item.version):
            told[item.key] = "has a version that is none (PEP 440)."
    return told


def is_foreign(item: Distribution) -> bool:
    """Whether it is somebody's library that no index has."""
    return bool(item.origin) and item.key != CLIENT


def wanted_of(found: list[Distribution], selection: Selection) -> frozenset[str]:
    """The names of what is selected, whether or not it can be had."""
    if selection == "freeze":
        return frozenset(item.key for item in found)
    if selection == "top-level":
        # What a project in a source folder needs is needed still. What is left out for another reason takes
        # along what it alone needs.
        return top_level(item for item in found if not is_foreign(item))
    wanted = imported_distributions(vars(sys.modules["__main__"]))
    needs = edges(found)
    return wanted.union(
        *(needs[item.key] for item in found if item.key in wanted and is_foreign(item))
    )


def is_version(text: str) -> bool:
    try:
        Version(text)
    except InvalidVersion:
        return False
    return True


def imported_distributions(names: dict[str, Any]) -> frozenset[str]:
    """The distributions of the modules that a namespace refers to, by itself or by what is of them."""
    modules = set()
    for name, value in names.items():
        if name.startswith("_") or name in _OF_IPYTHON:
            continue
        if isinstance(value, ModuleType):
            modules.add(value.__name__)
        elif isinstance(value, type | FunctionType | BuiltinFunctionType):
            modules.add(value.__module__ or "")
        else:
            modules.add(type(value).__module__)
    providers = packages_distributions()
    return frozenset(
        canonicalize_name(provider)
        for module in modules
        for provider in providers.get(module.partition(".")[0], ())
    )


def inventory_of(interpreter: str) -> dict[str, Any]:
    """The inventory of another interpreter. Raises `InvalidRequest`."""
    command = [interpreter, str(Path(installed.__file__))]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=True)
        found: dict[str, Any] = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise InvalidRequest(
            f"{interpreter} does not run as a Python of version 3.9 or newer."
        ) from error
    return found
