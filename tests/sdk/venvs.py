"""Virtual environments with small wheels of our own, as people have them beside their notebooks."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from uv import find_uv_bin

from tests.images.building.wheelmaker import make_wheel

# Builds what is prepared already, so that nothing is fetched for it.
BACKEND = """
import shutil
from pathlib import Path

def build_editable(directory, settings=None, metadata=None):
    (wheel,) = Path(__file__).parent.glob("*.whl")
    shutil.copy(wheel, directory)
    return wheel.name
"""
PROJECT = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'


@dataclass(frozen=True)
class Venv:
    """A virtual environment, and a folder of wheels to install from."""

    folder: Path
    wheels: Path

    @classmethod
    def make(cls, folder: Path) -> Venv:
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], check=True)
        (folder / "wheels").mkdir()
        return cls(folder, folder / "wheels")

    @property
    def python(self) -> str:
        return str(self.folder / "venv/bin/python")

    def wheel(self, name: str, *requires: str, version: str = "1.0") -> Path:
        """Make a wheel to install. `requires` are its dependencies."""
        return wheel_with(self.wheels, name, *requires, version=version)

    def pip_install(self, *arguments: str | Path) -> None:
        self._run(sys.executable, "-m", "pip", "--python", self.python, "install", *arguments)

    def uv_install(self, *arguments: str) -> None:
        self._run(
            find_uv_bin(), "pip", "install", "--no-config", "--python", self.python, *arguments
        )

    def _run(self, *command: str | Path) -> None:
        offline = ("--quiet", "--no-index", "--find-links", str(self.wheels))
        subprocess.run([*map(str, command), *offline], check=True, cwd=self.folder)

    def develop(self, name: str, *requires: str) -> Path:
        """Install a project in place, from a source folder."""
        project = self.folder / name
        project.mkdir()
        (project / "pyproject.toml").write_text(
            f'{PROJECT}[project]\nname = "{name}"\nversion = "1.0"\n'
        )
        (project / "backend.py").write_text(BACKEND)
        wheel_with(project, name, *requires)
        self.pip_install("--no-build-isolation", "--editable", project)
        return project


def wheel_with(folder: Path, name: str, *requires: str, version: str = "1.0") -> Path:
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    for wanted in requires:
        lines.append(f"Requires-Dist: {wanted}")
        lines += [f"Provides-Extra: {extra}" for extra in re.findall(r"extra == '(\w+)'", wanted)]
    return make_wheel(folder, name, version, metadata=("\n".join(lines) + "\n").encode())
