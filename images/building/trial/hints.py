"""Hints against imports that failed: a sentence, empty where nothing is known."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from django.conf import settings

from images.module_names import LIBRARIES

# Of the driver of a graphics processor, which the machine that runs the image brings.
DRIVERS = ("libcuda.so", "libnvidia-", "libcudadebugger.so")

_SONAME = re.compile(r"(lib[\w.+-]{1,80}): cannot open shared object file")
_MODULE = re.compile(r"No module named '([A-Za-z_][\w.]{0,100})'")
_NUMPY = re.compile(r"compiled using NumPy 1\.x|numpy\.dtype size changed|_ARRAY_API not found")
_NETWORK = re.compile(
    r"Temporary failure in name resolution|Network is unreachable|Name or service not known|"
    r"NewConnectionError"
)


def no_packages(soname: str) -> Sequence[str]:
    return ()


def hint_for(
    kind: str, message: str, packages_with: Callable[[str], Sequence[str]] = no_packages
) -> str:
    """The hint for a module that ended as `kind` (`images.building.trial.imports.Failure`) with `message`.

    `packages_with` gives the OS packages of the image's distribution that have a native library.
    """
    if kind in KINDS:
        return KINDS[kind]()
    if found := _SONAME.search(message):
        return native_hint(found[1], packages_with)
    if found := _MODULE.search(message):
        return module_hint(found[1])
    if "GLIBC_" in message and "not found" in message:
        return "It is built for a newer operating system: choose a newer base image or an older version."
    if _NUMPY.search(message):
        return "It is built for an older NumPy: add numpy<2, or choose a newer version of it."
    if _NETWORK.search(message):
        return "It asks for the network while it is imported, and the trial has none."
    return "It ran out of memory. " + memory_hint() if "MemoryError" in message else ""


def native_hint(soname: str, packages_with: Callable[[str], Sequence[str]]) -> str:
    if soname.startswith(DRIVERS):
        return (
            "It belongs to the driver of a graphics processor. Where the image runs with one, the import "
            "may succeed."
        )
    packages = packages_with(soname)
    if len(packages) > 1:
        return f"Add one of these OS packages: {', '.join(packages)}."
    return f"Add the OS package {packages[0] if packages else f'that brings {soname}'}."


def module_hint(module: str) -> str:
    top = module.partition(".")[0]
    if top == "pkg_resources":
        return "Add setuptools<81: later versions have no pkg_resources."
    if top in LIBRARIES:
        return f"Add {LIBRARIES[top]}, which brings the module {top}."
    return f"Add the library that brings the module {top}; often it has the same name."


def memory_hint() -> str:
    limit = settings.SOURCE_BUILD_MEMORY_BYTES / 1e6
    return f"A trial may have {limit:,.0f} MB (RI_SOURCE_BUILD_MEMORY_MB)."


def time_hint() -> str:
    return (
        f"All imports of an image have {settings.IMPORT_CHECK_SECONDS} seconds "
        "(RI_IMPORT_CHECK_SECONDS), and one of them half of that."
    )


KINDS: dict[str, Callable[[], str]] = {
    "signal 4": lambda: (
        "It takes instructions that this machine's processor does not have. Choose a build of it for "
        "older processors."
    ),
    "signal 9": lambda: "It was killed, most likely for its memory. " + memory_hint(),
    "slow": time_hint,
    "untried": time_hint,
    "absent": lambda: "Its files may have been removed by another library. Build the image again.",
}
