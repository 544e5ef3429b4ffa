"""The trial of an image's libraries: each top-level module is imported, and `pip check`'s rules apply.

The libraries are code of strangers, so all of it runs in one sandbox (docs/decisions/0009-sandbox.md), and
what it leaves is read as a stranger's text: sizes, names and shapes are checked. A hostile library can make
its own import look well; the trial finds what is broken, not what is evil.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from packaging.utils import canonicalize_name

from images.building.cache import work_folder
from images.building.commands import Deadline, TimedOut
from images.building.containers import enter
from images.building.containers.base_roots import tree_cache
from images.building.containers.sandbox import Budget, CommandFailed, Sandbox
from images.building.layers.wheel import MANAGED_PREFIX
from images.building.push.manifests import environment
from images.building.trial import inside
from images.building.trial.conflicts import Conflict, Distribution, conflicts_of
from images.building.trial.hints import hint_for, no_packages
from images.building.trial.roots import ImageFiles, root_of
from images.errors import SourceBuildFailed, TooMuchOutput

MAX_RESULT = 8 << 20
MAX_TRIED, MAX_FAILED = 10_000, 100
MAX_MESSAGE = 1500
# Beyond what the imports may take, for starting, finding the modules and unpacking the base.
SPARE_SECONDS = 60
_MODULE = re.compile(r"[^\W\d]\w{0,99}(\.[^\W\d]\w{0,99}){0,9}")
_KIND = re.compile(r"ok|error|left|slow|untried|absent|(signal|exit) \d{1,3}")
# Neither control characters nor what turns the direction of a line.
_UNSEEN = re.compile(
    r"[^\S\n ]|[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069]"
)


@dataclass(frozen=True)
class Failure:
    """A module that could not be imported; an empty one stands for its whole requirement.

    `message` are the last lines of a traceback, or a sentence.
    """

    module: str
    requirement: str
    message: str
    hint: str = ""


@dataclass(frozen=True)
class Trial:
    """The result: how many modules were imported, which failed, and `pip check`'s complaints.

    `seconds` are those of the imports themselves, without the sandbox around them.
    """

    tried: int
    failed: tuple[Failure, ...]
    conflicts: tuple[Conflict, ...]
    seconds: float

    @property
    def passed(self) -> bool:
        return not (self.failed or self.conflicts)


@dataclass(frozen=True)
class Asked:
    """What is tried: `requirements` by name, and the names of all libraries that the image brings.

    `python` is the full version of the image's Python, `variables` are the image's (`NAME=value`).
    `packages_with` gives the OS packages that have a native library.
    """

    requirements: Sequence[str]
    libraries: Collection[str]
    python: str
    variables: Sequence[str]
    packages_with: Callable[[str], Sequence[str]] = no_packages


def try_imports(files: ImageFiles, asked: Asked, check: Callable[[], None]) -> Trial:
    """Import the requirements' modules in a sandbox upon the image's own files.

    Raises `SandboxBroken` if the sandbox cannot be made, and what obtaining the files raises.
    """
    budget = Budget.from_settings()
    unpacking = Deadline(settings.SOURCE_BUILD_SECONDS)
    running = Deadline(settings.IMPORT_CHECK_SECONDS + SPARE_SECONDS)
    try:
        with root_of(files, budget, unpacking, check) as lowers:
            box = Sandbox(lowers, running, lambda line: None, check, budget)
            return run(box, asked)
    finally:
        tree_cache().trim()


def run(box: Sandbox, asked: Asked) -> Trial:
    with work_folder(settings.CACHE_DIR, "trial") as work:
        given = work / "given"
        given.mkdir()
        shutil.copyfile(inside.__file__, given / "inside.py")
        (given / "asked.json").write_text(json.dumps(limits(asked)), encoding="utf-8")
        try:
            results = box.run(
                [f"{MANAGED_PREFIX}/bin/python", "-B", f"{enter.GIVEN}/inside.py"],
                environment=variables(asked.variables),
                given=given,
            )
        except TimedOut:
            return broken("The imports were stopped: they did not end in time.", "slow")
        except CommandFailed as error:
            said = clean("\n".join(error.said[-inside.MAX_LINES :]))
            return broken(f"The trial of the imports ended early. {said}".strip(), "error")
        except (SourceBuildFailed, TooMuchOutput) as error:
            return broken(error.message, "error")
        answer = work / "result.json"
        try:
            with results:
                results.take("result.json", answer, MAX_RESULT)
            return read(json.loads(answer.read_bytes()), asked)
        except (SourceBuildFailed, ValueError, RecursionError):
            return broken(
                "The imports left no result that can be read: a library may have written over it.",
                "error",
            )


def limits(asked: Asked) -> dict[str, Any]:
    seconds = settings.IMPORT_CHECK_SECONDS
    return {
        "requirements": sorted({canonicalize_name(name) for name in asked.requirements}),
        "seconds": seconds,
        "each": seconds / 2,
        "at_once": settings.SOURCE_BUILD_CPUS,
    }


def variables(of_image: Sequence[str]) -> dict[str, str]:
    """The image's own environment, with the places where a sandbox can write."""
    own = dict(line.partition("=")[::2] for line in environment(of_image, MANAGED_PREFIX))
    return {**own, "HOME": "/tmp", "TMPDIR": "/tmp", "PYTHONDONTWRITEBYTECODE": "1"}  # noqa: S108


def broken(message: str, kind: str) -> Trial:
    """A trial that failed as a whole."""
    return Trial(0, (Failure("", "", message, hint_for(kind, message)),), (), 0.0)


# --- reading what a sandbox left --------------------------------------------------------------------------


def read(answer: Any, asked: Asked) -> Trial:
    """The result as values. Raises `ValueError` for what is none."""
    answer = of_kind(answer, dict)
    wanted: set[str] = {canonicalize_name(name) for name in asked.requirements}
    tried = of_kind(answer.get("tried"), list)[:MAX_TRIED]
    failed = [found for item in tried if (found := failure_of(of_kind(item, dict), wanted, asked))]
    seconds = answer.get("seconds")
    if not isinstance(seconds, (int, float)) or not 0 <= seconds < 1e6:
        raise ValueError("no time")
    installed = [
        distribution_of(of_kind(item, dict)) for item in of_kind(answer.get("distributions"), list)
    ]
    libraries: set[str] = {canonicalize_name(name) for name in asked.libraries}
    conflicts = conflicts_of(installed, libraries, asked.python)
    modules = sum(1 for item in tried if item.get("module"))
    return Trial(modules, tuple(failed[:MAX_FAILED]), tuple(conflicts), round(float(seconds), 3))


def failure_of(item: dict[str, Any], wanted: set[str], asked: Asked) -> Failure | None:
    requirement, module = text(item, "requirement", 200), text(item, "module", 1000)
    kind = text(item, "kind", 20)
    if requirement not in wanted or not _KIND.fullmatch(kind):
        raise ValueError("a requirement that nobody asked for, or an end that there is not")
    if module and not _MODULE.fullmatch(module):
        raise ValueError("a module's name that is none")
    if kind == "ok":
        return None
    said = clean(text(item, "text", 10_000))
    message = "\n".join(part for part in (sentence(kind, module, requirement), said) if part)
    hint = hint_for(kind, message, asked.packages_with)
    return Failure(module, requirement, message[-MAX_MESSAGE:], hint)


def sentence(kind: str, module: str, requirement: str) -> str:
    """How it ended, where its own words do not tell."""
    if kind.startswith("signal "):
        number = int(kind.partition(" ")[2])
        name = SIGNALS.get(number, f"signal {number}")
        return f"Importing {module} ended the process: {name}."
    if kind.startswith("exit "):
        return f"Importing {module} ended the process with status {kind.partition(' ')[2]}."
    return {
        "left": f"Importing {module} ends Python.",
        "slow": f"Importing {module} took too long and was stopped.",
        "untried": f"{module} was not tried: the time was over.",
        "absent": f"{requirement} is not installed in the image.",
    }.get(kind, "")


SIGNALS = {
    4: "illegal instruction (SIGILL)",
    6: "aborted (SIGABRT)",
    7: "bus error (SIGBUS)",
    8: "arithmetic error (SIGFPE)",
    9: "killed (SIGKILL)",
    11: "segmentation fault (SIGSEGV)",
    31: "a system call that is forbidden (SIGSYS)",
}


def distribution_of(item: dict[str, Any]) -> Distribution:
    lines = of_kind(item.get("requires"), list)
    return Distribution(
        clean(text(item, "name", 200)),
        clean(text(item, "version", 200)),
        tuple(clean(of_kind(line, str))[:2000] for line in lines[:1000]),
    )


def of_kind(value: Any, kind: type[Any]) -> Any:
    if not isinstance(value, kind):
        raise ValueError(f"no {kind.__name__}")
    return value


def text(item: dict[str, Any], key: str, limit: int) -> str:
    value: str = of_kind(item.get(key), str)
    if len(value) > limit:
        raise ValueError(f"{key} is too long")
    return value


def clean(value: str) -> str:
    """A text of a stranger's for a page, a log and a database: nothing in it is out of sight."""
    visible = _UNSEEN.sub("", value.expandtabs(4))
    return visible.encode("utf-8", "replace").decode("utf-8").strip()
