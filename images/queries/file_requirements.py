"""Files that people give for an image, read for the Python that it will have."""

from __future__ import annotations

from images.queries.base_images import newest_python
from images.reading import read_supplied
from images.requirement_files import Reading, Supplied


def read_for_image(
    supplied: Supplied, image_type: str, python_version: str = ""
) -> tuple[str, Reading]:
    """The image's Python and what the files say for it.

    Without a Python it is the one that the files name, else the newest. Raises `Invalid`.
    """
    if not python_version:
        python_version = read_supplied(supplied).python_version or newest_python(image_type)
    return python_version, read_supplied(supplied, python_version)
