"""The program inside a sandbox, for the base image's Python (3.8 or later) and its standard library.

    python -I inside.py compile ARGUMENTS…    uv; what is to lie there already is put where it writes
    python -I inside.py read                  unpack a source distribution, tell its pyproject.toml
    python -I inside.py requires SYSTEM       what its build backend asks for besides (PEP 517)
    python -I inside.py wheel SYSTEM          its wheel

SYSTEM is JSON: the backend and its path. The build environment consists of the given wheels and
nothing else: uv installs them offline, each by its hash, without asking what they depend on.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from typing import Any

GIVEN, OUT, UV = "/build/given", "/build/out", "/build/uv"
ENVIRONMENT, SOURCE = "/tmp/environment", "/tmp/source"  # noqa: S108 - the sandbox's own
PYTHON = ENVIRONMENT + "/bin/python"


def main(what: str, arguments: list[str]) -> None:
    if what == "compile":
        for name in ("pylock.toml", "annotated.txt"):
            if os.path.exists(os.path.join(GIVEN, name)):
                shutil.copyfile(os.path.join(GIVEN, name), os.path.join(OUT, name))
        os.execv(UV, [UV, *arguments])  # noqa: S606 - an argument list, no shell
    if what == "read":
        folder = unpack()
        if os.path.isfile(os.path.join(folder, "pyproject.toml")):
            shutil.copyfile(
                os.path.join(folder, "pyproject.toml"), os.path.join(OUT, "pyproject.toml")
            )
        return
    if what in ("requires", "wheel"):
        make_environment()
        os.environ["PATH"] = ENVIRONMENT + "/bin:" + os.environ["PATH"]
        os.environ["VIRTUAL_ENV"] = ENVIRONMENT
        os.chdir(unpack())
        os.execv(PYTHON, [PYTHON, __file__, "call", what, *arguments])  # noqa: S606
    if what == "call":
        call(arguments[0], json.loads(arguments[1]))


def make_environment() -> None:
    quiet = ["--quiet", "--no-config", "--offline", "--color", "never"]
    run([UV, "venv", *quiet, "--python", sys.executable, ENVIRONMENT])
    wanted = os.path.join(GIVEN, "requirements.txt")
    if os.path.getsize(wanted):
        run(
            [UV, "pip", "install", *quiet, "--no-index", "--find-links", GIVEN, "--no-deps",
             "--only-binary", ":all:", "--require-hashes", "--python", PYTHON, "-r", wanted]
        )  # fmt: skip


def run(command: list[str]) -> None:
    if subprocess.call(command) != 0:
        sys.exit("The build environment cannot be made.")


def unpack() -> str:
    """The folder of the source distribution's files."""
    path = os.path.join(GIVEN, "source")
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            archive.extractall(SOURCE)  # noqa: S202 - nothing is to be lost in here
    else:
        with tarfile.open(path) as archive:
            # Of PEP 706, where this Python has it.
            safely: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
            archive.extractall(SOURCE, **safely)  # noqa: S202 - nothing is to be lost in here
    found = [name for name in os.listdir(SOURCE) if os.path.isdir(os.path.join(SOURCE, name))]
    if len(found) != 1:
        sys.exit(f"A source distribution has one folder at its top; this one has {len(found)}.")
    return os.path.join(SOURCE, found[0])


def call(hook: str, system: dict[str, Any]) -> None:
    """Call the backend's hook as PEP 517 has it: in the source's folder, which is on no path."""
    sys.path[0:1] = [os.path.abspath(folder) for folder in system["backend_path"]]
    name, _, attribute = system["backend"].partition(":")
    __import__(name)
    backend = sys.modules[name]
    for part in attribute.split(".") if attribute else []:
        backend = getattr(backend, part)
    if hook == "requires":
        ask = getattr(backend, "get_requires_for_build_wheel", None)
        with open(os.path.join(OUT, "requires.json"), "w") as file:
            json.dump(list(ask({})) if ask else [], file)
    else:
        backend.build_wheel(OUT, {})


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
