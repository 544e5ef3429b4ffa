"""The libraries that bring a module, by its name: known exceptions, else the name itself. A pure table."""

from __future__ import annotations

import re
import sys

# Libraries whose module has another name, each with the versions that have it.
LIBRARIES = {
    "Crypto": "pycryptodome",
    "OpenSSL": "pyopenssl",
    "PIL": "pillow",
    "attr": "attrs",
    "bs4": "beautifulsoup4",
    "cv2": "opencv-python-headless",
    "dateutil": "python-dateutil",
    "distutils": "setuptools",
    "docx": "python-docx",
    "dotenv": "python-dotenv",
    "fitz": "pymupdf",
    "jwt": "pyjwt",
    "magic": "python-magic",
    "pkg_resources": "setuptools<81",
    "serial": "pyserial",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
    "zmq": "pyzmq",
}

# The message of `ModuleNotFoundError`, or the dotted name alone.
_NAME = r"[A-Za-z_][\w]*(?:\.[A-Za-z_][\w]*)*"
MISSING = re.compile(rf"No module named '({_NAME})'")
_ALONE = re.compile(_NAME, re.ASCII)
LONGEST = 200


def module_in(text: str) -> str:
    """The module that an error's text, or a name alone, is about; empty if there is none."""
    found = MISSING.search(text)
    name = found[1] if found else text.strip().strip("'\"")
    return name if len(name) <= LONGEST and _ALONE.fullmatch(name) else ""


def is_of_python(module: str) -> bool:
    """Whether it belongs to Python itself, so that no library brings it."""
    top = module.partition(".")[0]
    return top in sys.stdlib_module_names and not is_listed(module)


def is_listed(module: str) -> bool:
    """Whether the table has the module, so that its library is known."""
    return module.partition(".")[0] in LIBRARIES


def requirements_for(module: str) -> list[str]:
    """Requirements that may bring a module, the likeliest first.

    A dotted name may be of a namespace, whose libraries are named after it: google.cloud.storage is brought
    by google-cloud-storage.
    """
    top = module.partition(".")[0]
    if top in LIBRARIES:
        return [LIBRARIES[top]]
    if is_of_python(module):
        return []
    parts = [part.strip("_") for part in module.split(".")[:4]]
    names = ["-".join(parts[:count]) for count in range(len(parts), 0, -1)]
    return [name.replace("_", "-") for name in names if name and all(parts)]
