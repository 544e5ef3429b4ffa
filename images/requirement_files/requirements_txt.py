"""Reader of requirements.txt with pip's own parser.

No standard describes the format, so pip's functions join the lines, drop the comments and read the options.
The functions that open files or fill in environment variables are not used: both would be the server's.
"""

from __future__ import annotations

import optparse
import posixpath
import re
import shlex
from collections.abc import Iterator

from pip._internal.req.req_file import (
    OptionParsingError,
    break_args_options,
    build_parser,
    ignore_comments,
    join_lines,
)

from images.requirement_files.draft import Draft, Place
from images.requirement_files.explanations import explain_text
from images.requirement_files.limits import MAX_INCLUDES, MAX_REFUSED, MAX_REQUIREMENTS
from images.requirement_files.line import take_requirement
from images.requirement_files.options import apply_options
from images.requirement_files.values import SuppliedFile

# The only options of nearly all lines that have some; optparse takes 0.2 ms a line.
_HASHES = re.compile(r"--hash=sha256:[0-9a-f]{64}(?:\s+--hash=sha256:[0-9a-f]{64})*")
_OPTION = re.compile(r"(?:^| )-")


def read_requirements_txt(
    draft: Draft, file: SuppliedFile, *, constraint: bool = False, including: tuple[str, ...] = ()
) -> None:
    """Write a file's lines into the draft, and those of the files that it includes."""
    if (file.name, constraint) in draft.included and including:
        return
    draft.included.add((file.name, constraint))
    before = len(draft.refused)
    for number, line in logical_lines(file.text):
        if len(draft.refused) - before >= MAX_REFUSED or len(draft.requirements) > MAX_REQUIREMENTS:
            message = "Reading stops here, as there are too many lines; mend those above first."
            draft.refuse(Place(file.name, number), line, message)
            return
        if line.startswith("@EXPLICIT"):
            draft.refuse(Place(file.name, number), line, explain_text(line))
            return
        read_line(draft, Place(file.name, number), line, constraint, (*including, file.name))


def logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines as pip sees them, joined and without comments, under the numbers that an editor shows."""
    numbered = (
        (number, part)
        for number, line in enumerate(re.split(r"\r\n|\n|\r", text), start=1)
        for part in line.splitlines() or [""]
    )
    yield from ignore_comments(join_lines(numbered))


def read_line(
    draft: Draft, place: Place, line: str, constraint: bool = False, including: tuple[str, ...] = ()
) -> None:
    """One logical line: a requirement, an option, or a requirement with options."""
    if not _OPTION.search(line):
        take_requirement(draft, line, place, constraint=constraint)
        return
    wanted = line.partition(" --hash=")[0]
    written = line[len(wanted) :].strip()
    if wanted.strip() and _HASHES.fullmatch(written) and not _OPTION.search(wanted):
        hashes = written.replace("--hash=", "").split()
        take_requirement(draft, wanted.strip(), place, hashes=hashes, constraint=constraint)
        return
    if re.match(r"-\s", line):
        draft.refuse(place, line, explain_text(line))
        return
    try:
        wanted, options = parsed_options(line)
    except ValueError as error:
        draft.refuse(place, line, str(error))
        return
    if wanted and not options.editables:
        take_requirement_with_options(draft, wanted, options, place, constraint)
    elif options.requirements or options.constraints:
        include(draft, place, line, options, including)
    else:
        apply_options(draft, place, line, options)


def parsed_options(line: str) -> tuple[str, optparse.Values]:
    """A line's requirement and its options. Raises `ValueError` with a sentence."""
    wanted, written = break_args_options(line)
    # One parser a line: optparse collects into its defaults.
    parser = build_parser()
    parser.set_usage(optparse.SUPPRESS_USAGE)
    defaults = parser.get_default_values()
    # pip's default is the public index.
    defaults.index_url = None
    try:
        options, _ = parser.parse_args(shlex.split(written), defaults)
    except (OptionParsingError, ValueError) as error:
        option = written.split(" ")[0].partition("=")[0]
        raise ValueError(
            f"{option} is not an option that a requirements file takes in this form; leave it out."
        ) from error
    return wanted.strip(), options


def take_requirement_with_options(
    draft: Draft, wanted: str, options: optparse.Values, place: Place, constraint: bool
) -> None:
    if options.config_settings:
        message = "Settings for a library's build are not taken; leave --config-settings out."
        draft.refuse(place, wanted, message)
        return
    hashes = [
        f"{algorithm}:{digest}"
        for algorithm, digests in (options.hashes or {}).items()
        for digest in digests
    ]
    take_requirement(draft, wanted, place, hashes=hashes, constraint=constraint)


def include(
    draft: Draft, place: Place, line: str, options: optparse.Values, including: tuple[str, ...]
) -> None:
    """Read a file of `-r` or `-c`, if it was given along."""
    path = (options.requirements or options.constraints)[0]
    if re.match(r"(?:https?|file|ftp):", path):
        draft.refuse(place, line, "Files are not fetched; give that file along instead.")
        return
    found = file_of_path(draft, place.file, path)
    if found is None:
        draft.refuse(
            place, line, f"{path} was not given along; add that file, or write its lines here."
        )
    elif found.name in including or len(including) > MAX_INCLUDES:
        draft.refuse(place, line, f"{path} includes itself; leave this line out.")
    else:
        read_requirements_txt(
            draft, found, constraint=not options.requirements, including=including
        )


def file_of_path(draft: Draft, including: str, path: str) -> SuppliedFile | None:
    """The given file that a path means, seen from the including one; its name alone is enough."""
    relative = posixpath.normpath(posixpath.join(posixpath.dirname(including), path))
    if relative in draft.files:
        return draft.files[relative]
    same = [
        file
        for name, file in draft.files.items()
        if posixpath.basename(name) == posixpath.basename(path)
    ]
    return same[0] if len(same) == 1 else None
