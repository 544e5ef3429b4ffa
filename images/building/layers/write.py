"""Writing of the layers of a virtual environment: wheels, and the environment itself."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from images.building.layers.bytecode import interpreter_for
from images.building.layers.compilers import Compilers
from images.building.layers.remembered_bytecode import Plain
from images.building.layers.tar import Layer, LayerWriter
from images.building.layers.wheel import (
    MANAGED_PREFIX,
    Environment,
    site_packages,
)
from images.building.layers.wheels import install_wheels
from images.building.user import User

# As pip's own console script (entry-points specification), for this environment's Python.
PIP = """\
#!{python}
import sys
from pip._internal.cli.main import main
sys.exit(main())
"""


def write_wheel_layer(
    wheels: Sequence[Path],
    python_version: str,
    destination: Path,
    *,
    bytecode: bool = True,
    prefix: str = MANAGED_PREFIX,
) -> Layer:
    """Install wheels into one layer file, in their order. Raises `WheelInvalid`; then no file is left."""
    interpreter = interpreter_for(python_version) if bytecode else None
    if interpreter is None:
        return write_layer(wheels, Environment(prefix, python_version, None), destination)
    compilers = Compilers(interpreter)
    try:
        with compilers.session() as session:
            environment = Environment(prefix, python_version, Plain(session))
            return write_layer(wheels, environment, destination)
    finally:
        compilers.close()


def write_layer(wheels: Sequence[Path], environment: Environment, destination: Path) -> Layer:
    """As `write_wheel_layer`, with compilers that are there."""
    writer = LayerWriter(destination)
    try:
        notes = install_wheels(wheels, environment, writer)
        return replace(writer.finish(), notes=notes)
    except BaseException:
        writer.abandon()
        raise


def write_environment_layer(
    interpreter: str,
    python_version: str,
    destination: Path,
    *,
    prefix: str = MANAGED_PREFIX,
    below: Sequence[str] = (),
    user: User | None = None,
    pip: bool = False,
) -> Layer:
    """The virtual environment's own files (PEP 405), for a base whose Python is `interpreter`.

    `below` are library folders of the base that Python would not look into by itself; a `.pth` file
    (the `site` module's documentation) adds them after the environment's own. `user` gets a home.
    With `pip`, the base's pip is a command of the environment: its own would not see what is in here.
    """
    writer = LayerWriter(destination)
    home = posixpath.dirname(interpreter)
    config = f"home = {home}\ninclude-system-site-packages = true\nversion = {python_version}\n"
    writer.add_bytes(f"{prefix}/pyvenv.cfg", config.encode("utf-8"))
    for name in ("python", "python3", f"python{python_version}"):
        writer.add_link(f"{prefix}/bin/{name}", interpreter)
    libraries = site_packages(prefix, python_version)
    writer.add_directory(libraries)
    if below:
        lines = "".join(f"{folder}\n" for folder in below)
        writer.add_bytes(f"{libraries}/_base_image.pth", lines.encode("utf-8"))
    for name in ("pip", "pip3") if pip else ():
        script = PIP.format(python=f"{prefix}/bin/python3")
        writer.add_bytes(f"{prefix}/bin/{name}", script.encode("utf-8"), executable=True)
    if user:
        writer.add_directory(user.home, owner=user.number)
    return writer.finish()
