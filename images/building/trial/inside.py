"""The program inside a trial's sandbox, for the image's own Python (3.9 or later) and its standard library.

    python inside.py

What to try is in asked.json beside it: `{"requirements": [name], "seconds": all together, "each": seconds
of a module, "at_once": children}`. It finds the top-level modules of each requirement's distribution, imports
them in forked children, and leaves result.json (`main` has its shape). A child can be killed, crash or hang.
"""

from __future__ import annotations

import faulthandler
import importlib
import importlib.machinery
import importlib.metadata
import json
import keyword
import os
import re
import select
import signal
import sys
import time
import traceback
from contextlib import suppress
from typing import Any

GIVEN, OUT = "/build/given", "/build/out"
# What lies beside a library but is none.
NO_LIBRARY = {
    "__main__", "benchmark", "benchmarks", "conftest", "doc", "docs", "example", "examples", "scripts",
    "setup", "test", "tests", "testing",
}  # fmt: skip
MAX_MODULES, MAX_DISTRIBUTIONS, MAX_REQUIRES = 50, 5000, 500
MAX_TEXT, MAX_LINES, MAX_HEARD = 2000, 8, 1 << 18
POLL_SECONDS = 0.1


def main() -> None:
    with open(os.path.join(GIVEN, "asked.json"), encoding="utf-8") as file:
        asked = json.load(file)
    # The folder of this file is no part of the image.
    sys.path = [folder for folder in sys.path if os.path.realpath(folder or ".") != GIVEN]
    installed = distributions()
    tried: list[dict[str, Any]] = []
    plan: list[tuple[str, list[str]]] = []
    for name in asked["requirements"]:
        found = installed.get(normalize(name))
        if found is None:
            tried.append({"requirement": name, "module": "", "kind": "absent", "text": ""})
        else:
            plan.append((name, top_level_modules(found)[:MAX_MODULES]))
    began = time.monotonic()
    tried += Trials(plan, asked).run()
    result = {
        "seconds": round(time.monotonic() - began, 3),
        "tried": tried,
        "distributions": [describe_distribution(item) for item in installed.values()],
    }
    with open("/tmp/result.json", "w", encoding="utf-8") as file:  # noqa: S108 - the sandbox's own
        json.dump(result, file)
    # In one step, for a child may have left something of this name.
    copy = os.path.join(OUT, "result.json.new")
    with open("/tmp/result.json", "rb") as source, open(copy, "wb") as target:  # noqa: S108
        target.write(source.read())
    os.replace(copy, os.path.join(OUT, "result.json"))


# --- what is there ---------------------------------------------------------------------------------------


def distributions() -> dict[str, importlib.metadata.Distribution]:
    """By normalized name; the first on the path is the one that is imported."""
    found: dict[str, importlib.metadata.Distribution] = {}
    for item in importlib.metadata.distributions():
        try:
            name = item.metadata["Name"]
        except Exception:  # noqa: S112 - whatever is wrong with it, it is none
            continue
        if name and len(found) < MAX_DISTRIBUTIONS:
            found.setdefault(normalize(name), item)
    return found


def normalize(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def describe_distribution(item: importlib.metadata.Distribution) -> dict[str, Any]:
    try:
        requires = list(item.requires or [])
    except Exception:
        requires = []
    return {
        "name": str(item.metadata["Name"])[:200],
        "version": str(item.version)[:200],
        "requires": [str(line)[:MAX_TEXT] for line in requires[:MAX_REQUIRES]],
    }


def top_level_modules(item: importlib.metadata.Distribution) -> list[str]:
    """The modules that a distribution brings: its packages and modules, and below a namespace (PEP 420) the
    shallowest packages."""
    files = [path.parts for path in item.files or []]
    packages = {parts[:-1] for parts in files if module_name(parts[-1]) == "__init__"}
    found: set[tuple[str, ...]] = set()
    below_namespaces: set[tuple[str, ...]] = set()
    for parts in files:
        name = module_name(parts[-1])
        if not name or not all(map(is_name, parts[:-1])):
            continue
        within = [parts[:n] for n in range(1, len(parts)) if parts[:n] in packages]
        if within:
            found.add(within[0])
        elif len(parts) == 1 and is_name(name):
            found.add((name,))
        elif name != "__init__" and is_name(name):
            below_namespaces.add((*parts[:-1], name))
    if not found and files:
        found = below_namespaces
    if not found:
        listed = (item.read_text("top_level.txt") or "").split()
        found = {(name,) for name in listed if is_name(name)}
    wanted = {path for path in found if not NO_LIBRARY & set(path)}
    return sorted(".".join(path) for path in wanted or found)


def module_name(filename: str) -> str:
    """The module that a file is, without what compiled ones have behind it; empty if it is none."""
    for suffix in sorted(importlib.machinery.all_suffixes(), key=len, reverse=True):
        if filename.endswith(suffix):
            return filename[: -len(suffix)]
    return ""


def is_name(part: str) -> bool:
    return part.isidentifier() and not keyword.iskeyword(part) and part != "__pycache__"


# --- children --------------------------------------------------------------------------------------------


class Child:
    """A forked process that imports modules one after the other, and says before and after which it is at."""

    def __init__(self, requirement: str, modules: list[str], number: int) -> None:
        self.requirement, self.modules = requirement, modules
        self.said = f"/tmp/said-{number}"  # noqa: S108 - the sandbox's own
        self.began = time.monotonic()
        self.results: list[dict[str, Any]] = []
        self.too_slow = self.ended = False
        self._heard = b""
        self._count = 0
        self.reader, writer = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            import_all(modules, writer, self.said)
        os.close(writer)
        os.set_blocking(self.reader, False)

    def hear(self) -> None:
        """Read what there is to read, and see whether it has ended."""
        while True:
            try:
                piece = os.read(self.reader, 1 << 16)
            except BlockingIOError:
                break
            self._count += len(piece)
            if not piece or self._count > MAX_HEARD:
                self.kill()
                break
            self._heard += piece
            *lines, self._heard = self._heard.split(b"\n")
            for line in lines:
                self._note(line)
        done, status = os.waitpid(self.pid, os.WNOHANG)
        if done:
            self._finish(status)

    def _note(self, line: bytes) -> None:
        self.began = time.monotonic()
        if len(self.results) < len(self.modules):
            try:
                kind, text = json.loads(line)
            except ValueError:
                kind, text = "error", "It wrote over the answer of its own import."
            self._add(str(kind)[:20], str(text))

    def _add(self, kind: str, text: str) -> None:
        module = self.modules[len(self.results)]
        self.results.append(
            {
                "requirement": self.requirement,
                "module": module,
                "kind": kind,
                "text": text[-MAX_TEXT:],
            }
        )

    def kill(self) -> None:
        for kill in (os.killpg, os.kill):
            with suppress(OSError):
                kill(self.pid, signal.SIGKILL)

    def _finish(self, status: int) -> None:
        """Tell of the module that it was at when it ended, if it did not come to the end of all."""
        self.kill()
        os.close(self.reader)
        self.ended = True
        if len(self.results) == len(self.modules):
            return
        text = last_words(self.said)
        if self.too_slow:
            self._add("slow", text)
        elif os.WIFSIGNALED(status):
            self._add(f"signal {os.WTERMSIG(status)}", text)
        else:
            self._add(f"exit {os.WEXITSTATUS(status)}", text)

    @property
    def left(self) -> list[str]:
        return self.modules[len(self.results) :]


def import_all(modules: list[str], writer: int, said: str) -> None:
    """Import in this process, which never returns. Each answer is a line of JSON: `[kind, text]`."""
    os.setsid()
    output = os.open(said, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for descriptor, own in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(descriptor, own)
    faulthandler.enable()
    for module in modules:
        answer: list[str] = ["ok", ""]
        try:
            importlib.import_module(module)
        except SystemExit as error:
            answer = ["left", f"SystemExit: {error.code}"[:MAX_TEXT]]
        except BaseException as error:
            answer = ["error", last_lines(error)]
        os.write(writer, json.dumps(answer).encode() + b"\n")
    os._exit(0)


def last_lines(error: BaseException) -> str:
    """The last lines of a traceback."""
    try:
        lines = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    except BaseException:
        lines = type(error).__name__
    return "\n".join(lines.strip().splitlines()[-MAX_LINES:])[-MAX_TEXT:]


def last_words(path: str) -> str:
    """The beginning of a crash as faulthandler tells it, else the last lines that were said."""
    try:
        with open(path, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - (1 << 16)))
            lines = file.read().decode("utf-8", "replace").strip().splitlines()
    except OSError:
        return ""
    for number, line in enumerate(lines):
        if line.startswith("Fatal Python error"):
            return "\n".join(lines[number : number + MAX_LINES])[:MAX_TEXT]
    return "\n".join(lines[-MAX_LINES:])[-MAX_TEXT:]


class Trials:
    """Imports what is planned, a few children at a time, each with the modules of one requirement."""

    def __init__(self, plan: list[tuple[str, list[str]]], asked: dict[str, Any]) -> None:
        self._waiting = [item for item in plan if item[1]]
        self._each, self._at_once = asked["each"], asked["at_once"]
        self._end = time.monotonic() + asked["seconds"]
        self._running: list[Child] = []
        self._tried: list[dict[str, Any]] = []
        self._count = 0

    def run(self) -> list[dict[str, Any]]:
        while self._running or self._waiting:
            while self._waiting and len(self._running) < self._at_once:
                self._start(*self._waiting.pop(0))
            readers = [child.reader for child in self._running]
            select.select(readers, [], [], POLL_SECONDS)
            for child in list(self._running):
                self._look_after(child)
        return self._tried

    def _start(self, requirement: str, modules: list[str]) -> None:
        if time.monotonic() >= self._end:
            self._tried += [
                {"requirement": requirement, "module": module, "kind": "untried", "text": ""}
                for module in modules
            ]
            return
        self._count += 1
        self._running.append(Child(requirement, modules, self._count))

    def _look_after(self, child: Child) -> None:
        child.hear()
        now = time.monotonic()
        if not child.ended and (now - child.began > self._each or now > self._end):
            child.too_slow = True
            child.kill()
        if child.ended:
            self._running.remove(child)
            self._tried += child.results
            if child.left:
                self._waiting.insert(0, (child.requirement, child.left))


if __name__ == "__main__":
    main()
