"""Writing of the layers of a virtual environment: wheels, and the environment itself."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from pathlib import Path

from images.building.layers.bytecode import Compiler, interpreter_for
from images.building.layers.tar import Layer, LayerWriter
from images.building.layers.wheel import MANAGED_PREFIX, install_wheel, site_packages


def write_wheel_layer(
    wheels: Sequence[Path],
    python_version: str,
    destination: Path,
    *,
    bytecode: bool = True,
    prefix: str = MANAGED_PREFIX,
) -> Layer:
    """Install wheels into one layer file. Raises `WheelInvalid`; then no file is left."""
    interpreter = interpreter_for(python_version) if bytecode else None
    compiler = Compiler(interpreter) if interpreter else None
    writer = LayerWriter(destination)
    try:
        for wheel in wheels:
            install_wheel(wheel, writer, python_version, compiler, prefix)
        return writer.finish()
    except BaseException:
        writer.abandon()
        raise
    finally:
        if compiler:
            compiler.close()


def write_environment_layer(
    interpreter: str,
    python_version: str,
    destination: Path,
    *,
    prefix: str = MANAGED_PREFIX,
    below: Sequence[str] = (),
) -> Layer:
    """The virtual environment's own files (PEP 405), for a base whose Python is `interpreter`.

    `below` are library folders of the base that Python would not look into by itself; a `.pth` file
    (the `site` module's documentation) adds them after the environment's own.
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
    return writer.finish()
