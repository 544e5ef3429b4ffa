"""Images beside what pip installs on the same base, file by file: `python -m benchmarks.as_pip_does`.

Starts an instance of its own and builds sixty libraries in groups. Each image is pulled and unpacked.
Onto a copy of its base, pip installs the image's lock into an environment at the same path. Then the files
of the two environments are compared, and both interpreters import the same modules. Takes root, skopeo, and
about half an hour.

Left out of the comparison, since they record the installation and not the library: bytecode, `RECORD` (it
lists the bytecode), `INSTALLER`, `REQUESTED`, `direct_url.json`, and what belongs to the environment itself
(`pyvenv.cfg`, `activate`, the interpreter's links). Of an entry point's script, what it imports is compared.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pip

from benchmarks.instance import ROOT, instance
from benchmarks.pulled import unpack_image
from tools.bare_roots import host

if TYPE_CHECKING:
    from images.models import Build

PYTHON = "3.11"
ENVIRONMENT = "opt/managed"
# By kind of use; a name is as people write it in a requirements file.
GROUPS = {
    "numeric": "numpy scipy pandas scikit-learn statsmodels sympy numba networkx joblib",
    "plots": "matplotlib seaborn plotly bokeh altair",
    "tables": "pyarrow polars duckdb h5py tables xarray zarr openpyxl sqlalchemy",
    "trees": "xgboost lightgbm catboost optuna",
    "language": "transformers tokenizers sentencepiece safetensors nltk gensim spacy",
    "vision": "opencv-python-headless pillow scikit-image imageio onnx onnxruntime",
    "serving": "fastapi uvicorn[standard] gunicorn flask pydantic httpx requests aiohttp grpcio protobuf",
    "stores": "boto3 s3fs google-cloud-storage azure-storage-blob psycopg2-binary redis pymongo",
    "tracking": "mlflow-skinny dask[complete] jupyterlab",
}
ALL = [name for names in GROUPS.values() for name in names.split()]

# What an installation writes about itself.
OF_THE_INSTALLATION = {"RECORD", "INSTALLER", "REQUESTED", "direct_url.json"}
OF_THE_ENVIRONMENT = {
    "pyvenv.cfg",
    "bin/activate",
    "bin/activate.csh",
    "bin/activate.fish",
    "bin/Activate.ps1",
}

# The line of an entry point's script that imports what it calls.
ENTRY_POINT = re.compile(rb"^from \S+ import \S+$", re.MULTILINE)

# Runs in both environments: each module that a library's files begin with, in a process of its own.
IMPORTS = """
import importlib.metadata as metadata, json, re, subprocess, sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import PurePosixPath
names = json.loads(sys.argv[1])
modules = set()
for name in names:
    for file in metadata.distribution(name).files or ():
        parts = PurePosixPath(str(file)).parts
        first = parts[0]
        if len(parts) == 1 and first.endswith(".py"):
            modules.add(first[:-3])
        elif len(parts) == 2 and parts[1] == "__init__.py":
            modules.add(first)
modules = sorted(m for m in modules if m.isidentifier() and m not in {"tests", "test", "docs", "examples"})
def tried(module):
    done = subprocess.run([sys.executable, "-c", "import " + module], capture_output=True, text=True)
    said = done.stderr.strip().splitlines() or ["no words"]
    return module, "" if done.returncode == 0 else said[-1][:200]
with ThreadPoolExecutor(2) as pool:
    print(json.dumps(dict(pool.map(tried, modules))))
"""


@dataclass
class Outcome:
    """One group: how many libraries and files, and what differs."""

    group: str
    libraries: int = 0
    files: int = 0
    only_image: list[str] = field(default_factory=list)
    only_pip: list[str] = field(default_factory=list)
    different: list[str] = field(default_factory=list)
    imports: dict[str, str] = field(default_factory=dict)
    pip_imports: dict[str, str] = field(default_factory=dict)

    @property
    def row(self) -> str:
        imported = sum(not said for said in self.imports.values())
        by_pip = sum(not said for said in self.pip_imports.values())
        cells = [
            self.group,
            self.libraries,
            f"{self.files:,}",
            len(self.only_image),
            len(self.only_pip),
            len(self.different),
            f"{imported} of {len(self.imports)}",
            f"{by_pip} of {len(self.pip_imports)}",
        ]
        return f"| {' | '.join(map(str, cells))} |"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "groups", nargs="*", default=list(GROUPS), metavar="GROUP", help=", ".join(GROUPS)
    )
    chosen = parser.parse_args().groups
    with tempfile.TemporaryDirectory(prefix="bench-", dir=ROOT / "benchmarks") as folder:
        state = Path(folder, "state")
        with instance(state):
            outcomes = [compare_group(group, Path(folder), state) for group in chosen]
    print()
    print(
        "| group | libraries | files | only in the image | only by pip | different | imports | by pip |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for outcome in outcomes:
        print(outcome.row)


def compare_group(group: str, folder: Path, state: Path) -> Outcome:
    """Build one group, install it by pip, compare."""
    from django.conf import settings

    from images.models import InstalledLibrary
    from images.references import pull_reference

    begun = time.monotonic()
    build = build_group(f"as-pip-{group}", GROUPS[group].split())
    libraries = list(InstalledLibrary.objects.filter(build=build))
    ours, theirs = folder / f"{group}-image", folder / f"{group}-pip"
    unpack_image(pull_reference(build.image, build), ours, state)
    base = build.base_image
    repository = f"{settings.REGISTRY_HOST}/{base.repository}"
    unpack_image(f"{repository}@{base.manifest_digest}", theirs, state)
    install_by_pip(theirs, [f"{item.name}=={item.version}" for item in libraries if item.sha256])
    outcome = compare(group, ours, theirs)
    outcome.libraries = len(libraries)
    names = [name.partition("[")[0] for name in GROUPS[group].split()]
    outcome.imports, outcome.pip_imports = imports(ours, names), imports(theirs, names)
    tell(outcome, time.monotonic() - begun)
    shutil.rmtree(ours)
    shutil.rmtree(theirs)
    return outcome


def build_group(name: str, libraries: list[str]) -> Build:
    """A build of the libraries that succeeded."""
    from images.operations.images import create_image
    from images.requirement_files.configured import parse_pip_requirements
    from images.spec import ImageSpec
    from workspaces.access import Actor
    from workspaces.models import User

    actor = Actor(User.objects.get(username="admin"))
    wanted = parse_pip_requirements("\n".join(libraries))
    image = create_image(actor, name, ImageSpec("all", PYTHON, tuple(wanted)))
    build = image.builds.get()
    while build.is_active:
        time.sleep(0.2)
        build.refresh_from_db()
    assert build.state == "succeeded", f"{build.error_message} {build.error_hint}"
    return build


def install_by_pip(root: Path, pins: list[str]) -> None:
    """Install the pins as pip does, into an environment of the root's own Python."""
    host.copy_settings(root, root / "root")
    # pip stands outside of the environment, so that it is no part of the comparison.
    shutil.copytree(Path(pip.__file__).parent, root / "root/pip/pip")
    subprocess.run(
        ["/usr/sbin/chroot", root, "python3", "-m", "venv", "--system-site-packages", "--without-pip",
         f"/{ENVIRONMENT}"],
        check=True,
    )  # fmt: skip
    (root / "root/pins.txt").write_text("\n".join(pins))
    subprocess.run(
        ["/usr/sbin/chroot", root, f"/{ENVIRONMENT}/bin/python3", "-m", "pip", "install", "-qqq",
         "--no-cache-dir", "--only-binary", ":all:", "-r", "/root/pins.txt"],
        env={**host.variables(), "PATH": "/usr/bin:/bin", "HOME": "/root", "PYTHONPATH": "/root/pip"},
        check=True,
    )  # fmt: skip


def compare(group: str, ours: Path, theirs: Path) -> Outcome:
    """The files of the two environments by path, mode and content."""
    mine, pips = dict(files(ours / ENVIRONMENT)), dict(files(theirs / ENVIRONMENT))
    return Outcome(
        group,
        files=len(mine),
        only_image=sorted(mine.keys() - pips.keys()),
        only_pip=sorted(pips.keys() - mine.keys()),
        different=sorted(path for path in mine.keys() & pips.keys() if mine[path] != pips[path]),
    )


def files(root: Path) -> Iterator[tuple[str, str]]:
    """Each library's file by its path below `root`, with whether it can be run and what it holds."""
    for path in root.rglob("*"):
        name = str(path.relative_to(root))
        if (
            path.is_dir()
            or "__pycache__" in path.parts
            or path.name in OF_THE_INSTALLATION
            or name in OF_THE_ENVIRONMENT
            or name.startswith("bin/python")
        ):
            continue
        status = path.lstat()
        content = os.readlink(path).encode() if stat.S_ISLNK(status.st_mode) else path.read_bytes()
        if name.startswith("bin/") and (calls := ENTRY_POINT.search(content)):
            # Installers write a script's other lines in words of their own.
            content = calls[0]
        yield name, f"{bool(status.st_mode & 0o100)} {hashlib.sha256(content).hexdigest()}"


def imports(root: Path, names: list[str]) -> dict[str, str]:
    """Module → the last line of what its import said; empty if it could be imported."""
    # Some modules look at their own process, so there is a /proc of these processes alone.
    inside = [
        "unshare",
        "--mount",
        "--pid",
        "--fork",
        "--kill-child",
        f"--root={root}",
        "--mount-proc",
    ]
    done = subprocess.run(
        [*inside, f"/{ENVIRONMENT}/bin/python3", "-c", IMPORTS, json.dumps(names)],
        env={"PATH": f"/{ENVIRONMENT}/bin:/usr/bin:/bin", "HOME": "/root"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    found: Mapping[str, str] = json.loads(done.stdout)
    return dict(found)


def tell(outcome: Outcome, seconds: float) -> None:
    """Each difference by name, so that none hides in a number."""
    print(
        f"\n{outcome.group}: {outcome.libraries} libraries, {outcome.files:,} files, {seconds:.0f} s",
        flush=True,
    )
    for heading, found in (
        ("only in the image", outcome.only_image),
        ("only by pip", outcome.only_pip),
        ("different", outcome.different),
    ):
        for name in found[:40]:
            print(f"  {heading}: {name}")
        if len(found) > 40:
            print(f"  {heading}: and {len(found) - 40} more")
    for module, said in outcome.imports.items():
        if said or outcome.pip_imports.get(module):
            print(
                f"  import {module}: {said or 'works'}; by pip: {outcome.pip_imports.get(module) or 'works'}"
            )


if __name__ == "__main__":
    main()
