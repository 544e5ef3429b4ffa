"""Reader of setup.cfg: the requirements that setuptools reads from it."""

from __future__ import annotations

import configparser
from collections.abc import Iterator

from images.requirement_files.draft import Draft, Place
from images.requirement_files.line import take_requirement
from images.requirement_files.positions import line_of
from images.requirement_files.requirements_txt import file_of_path, read_requirements_txt
from images.requirement_files.values import SuppliedFile
from images.requirement_files.wants import note_wanted_python


def read_setup_cfg(draft: Draft, file: SuppliedFile) -> None:
    """Write `install_requires` and the chosen extras into the draft."""
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read_string(file.text)
    except configparser.Error as error:
        raise ValueError(f"It is no setup.cfg: {str(error).splitlines()[0]}.") from error
    if not parser.has_section("options"):
        raise ValueError("It has no [options] with install_requires; give pyproject.toml instead.")
    note_wanted_python(draft, file, parser.get("options", "python_requires", fallback=None))
    take_all(draft, file, parser.get("options", "install_requires", fallback=""))
    if parser.has_section("options.extras_require"):
        draft.offer(extras=parser.options("options.extras_require"))
        for extra in sorted(draft.rules.extras):
            take_all(draft, file, parser.get("options.extras_require", extra, fallback=""))


def take_all(draft: Draft, file: SuppliedFile, text: str) -> None:
    if text.strip().startswith("file:"):
        for name in text.strip().removeprefix("file:").split(","):
            place = Place(file.name, line_of(file.text, name.strip()))
            found = file_of_path(draft, file.name, name.strip())
            if found is None:
                draft.refuse(place, text, f"{name.strip()} was not given along; add that file.")
            else:
                read_requirements_txt(draft, found, including=(file.name,))
        return
    for wanted in wanted_lines(text):
        take_requirement(draft, wanted, Place(file.name, line_of(file.text, wanted)))


def wanted_lines(text: str) -> Iterator[str]:
    for line in text.splitlines():
        wanted = line.partition(" #")[0].strip()
        if wanted and not wanted.startswith("#"):
            yield wanted
