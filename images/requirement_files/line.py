"""The reader of one requirement in the notation of PEP 508, for all formats."""

from __future__ import annotations

import re
import sys
from collections.abc import Collection, Sequence
from urllib.parse import unquote, urlsplit

from packaging.markers import Marker, UndefinedComparison, UndefinedEnvironmentName
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    canonicalize_name,
    parse_sdist_filename,
    parse_wheel_filename,
)
from packaging.version import InvalidVersion, Version

from images.requirement_files.draft import Draft, Place
from images.requirement_files.explanations import explain_source, explain_text
from images.requirement_files.limits import MAX_NAME, MAX_PARENTHESES, MAX_REQUIREMENT
from images.requirement_files.values import ReadRequirement

_VARIABLE = re.compile(r"\$\{[A-Z0-9_]+\}")
_SOURCE = re.compile(r"(?:git|hg|svn|bzr)\+|[a-zA-Z][a-zA-Z0-9+.-]*:/|file:|[./~]|[A-Za-z]:[\\/]")
_ARCHIVE = re.compile(r"[^@;]*\.(?:whl|zip|tar\.gz|tar\.bz2|tgz)(?:\[[^\]]*\])?\s*(?:;.*)?")
_PATH = re.compile(r"[A-Za-z0-9._-]+[/\\][^;@]*")


def take_requirement(
    draft: Draft,
    text: str,
    place: Place,
    *,
    hashes: Sequence[str] = (),
    constraint: bool = False,
    extras: Collection[str] = (),
    index: str = "",
) -> None:
    """Write into the draft what becomes of one requirement; `extras` are those that its marker may name."""
    try:
        wanted = parse_requirement(text)
        if wanted.marker and not holds(draft, wanted.marker, extras):
            draft.leave_out(place, text, left_out_by_marker(draft, wanted.marker))
            return
        name = canonicalize_name(wanted.name)
        if name == "python":
            raise ValueError(
                "Python is chosen for the image and is no library; leave this line out."
            )
        specifier, url = str(wanted.specifier), ""
        if wanted.url:
            specifier, url, hashes = read_url(draft, wanted.name, wanted.url, hashes)
    except ValueError as error:
        draft.refuse(place, text, str(error))
        return
    if name in sys.stdlib_module_names:
        draft.hint(
            f"Python has a module {name} of its own, so the library {wanted.name} may not be needed."
        )
    found = ReadRequirement(
        name=wanted.name,
        file=place.file,
        line=place.line,
        specifier=specifier,
        extras=tuple(sorted(wanted.extras)),
        index=index,
        hashes=tuple(hashes),
        url=url,
    )
    (draft.constraints if constraint else draft.requirements).append(found)


def holds(draft: Draft, marker: Marker, extras: Collection[str]) -> bool:
    """Decide a marker. Raises `ValueError` with a sentence for a comparison that has no meaning."""
    try:
        return draft.target.holds(marker, extras)
    except (UndefinedComparison, UndefinedEnvironmentName) as error:
        raise ValueError(
            f"Its marker compares what cannot be compared, {marker}; mend it or leave it out."
        ) from error


def left_out_by_marker(draft: Draft, marker: Marker | str) -> str:
    target = draft.target
    return f"Its marker does not hold for Python {target.python_version} on {target.machine}: {marker}."


def parse_requirement(text: str) -> Requirement:
    """Raises `ValueError` with a sentence that says what to write instead."""
    if len(text) > MAX_REQUIREMENT or text.count("(") > MAX_PARENTHESES:
        raise ValueError(
            f"It is longer than {MAX_REQUIREMENT:,} characters or nested too deeply; write it shorter."
        )
    if _VARIABLE.search(text):
        raise ValueError(
            "Variables are not filled in, as they are the server's; write the value, and no secret."
        )
    if _SOURCE.match(text) or _ARCHIVE.fullmatch(text) or _PATH.fullmatch(text):
        raise ValueError(explain_source(text))
    try:
        wanted = Requirement(text)
    except (InvalidRequirement, RecursionError) as error:
        raise ValueError(explain_text(text)) from error
    # Its expressions ignore the case of all scripts, by which U+017F in a version is an s.
    if not f"{wanted.name}{wanted.specifier}".isascii():
        raise ValueError(explain_text(text))
    if len(wanted.name) > MAX_NAME:
        raise ValueError(f"Its name is longer than {MAX_NAME} characters; check the line.")
    for bound in wanted.specifier:
        if bound.operator == "===" and not is_version(bound.version):
            raise ValueError("No index has such a version; write a version of PEP 440 after ===.")
    return wanted


def is_version(text: str) -> bool:
    try:
        Version(text)
    except InvalidVersion:
        return False
    return True


def read_url(
    draft: Draft, name: str, url: str, hashes: Sequence[str]
) -> tuple[str, str, Sequence[str]]:
    """Specifier, address and hashes of `name @ url`. Raises `ValueError` with a sentence."""
    parts = urlsplit(url)
    file_name = unquote(parts.path.rsplit("/", 1)[-1])
    if parts.scheme == "file":
        version = version_of_file(name, file_name)
        if not version:
            raise ValueError(
                f"It was installed from a folder, whose path tells no version; write {name}==… instead."
            )
        draft.hint("Lines with @ file:// mean the versions that their paths tell.")
        return f"=={version}", "", hashes
    if parts.username or parts.password:
        raise ValueError("The address has credentials, which are not taken; name the version.")
    address = url.partition("#")[0]
    if not file_name.endswith(".whl") or not any(
        prefix and address.startswith(prefix) for prefix in draft.rules.allowed_urls
    ):
        raise ValueError(explain_source(url, name))
    version = version_of_file(name, file_name)
    if not version:
        raise ValueError(f"The address is not that of a wheel of {name}; check the file's name.")
    fragment = re.fullmatch(r"(?:.*&)?sha256=([0-9a-f]{64})(?:&.*)?", parts.fragment)
    return f"=={version}", address, hashes or ([f"sha256:{fragment[1]}"] if fragment else ())


def version_of_file(name: str, file_name: str) -> str:
    """The version that a wheel's or source distribution's name tells; `""` if it tells none of `name`."""
    try:
        if file_name.endswith(".whl"):
            found, version = parse_wheel_filename(file_name)[:2]
        else:
            found, version = parse_sdist_filename(file_name)
    except (InvalidWheelFilename, InvalidSdistFilename):
        return ""
    return str(version) if found == canonicalize_name(name) else ""
