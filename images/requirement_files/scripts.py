"""Reader of requirements in programs: the block of PEP 723, and `%pip install` in notebooks."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from itertools import takewhile

from images.requirement_files.draft import Draft, Place
from images.requirement_files.limits import MAX_REFUSED, MAX_REQUIREMENT, json_values, toml_tables
from images.requirement_files.line import take_requirement
from images.requirement_files.positions import line_of
from images.requirement_files.requirements_txt import read_line
from images.requirement_files.values import SuppliedFile
from images.requirement_files.wants import note_wanted_python, texts

_INSTALL = re.compile(
    r"^\s*(?:[%!]\s*)(?:uv\s+)?(?:(?:\S*python3?|\{sys\.executable\})\s+-m\s+)?pip3?\s+install\s+(.+)$"
)
# Options of `pip install` that say nothing about what is installed; those of the second kind have a value.
_IDLE = {
    "-q", "-qq", "-qqq", "-U", "-v", "-I", "--quiet", "--upgrade", "--user", "--no-cache-dir",
    "--force-reinstall", "--verbose", "--ignore-installed", "--system", "--no-input",
    "--disable-pip-version-check",
}  # fmt: skip
_LINE_OPTIONS = {
    "-r", "--requirement", "-c", "--constraint", "-e", "--editable", "-i", "--index-url",
    "--extra-index-url", "-f", "--find-links", "--trusted-host",
}  # fmt: skip


def read_script(draft: Draft, file: SuppliedFile) -> None:
    """Write a script's inline metadata (PEP 723) into the draft."""
    tables = toml_tables(metadata_block(file.text))
    note_wanted_python(draft, file, tables.get("requires-python"))
    for wanted in texts(tables, "dependencies"):
        take_requirement(draft, wanted, Place(file.name, line_of(file.text, wanted)))


def metadata_block(text: str) -> str:
    """The TOML in the comments from `# /// script` to the last `# ///`. Raises `ValueError` with a sentence.

    The specification's own expression takes time with the square of the lines.
    """
    lines = text.splitlines()
    starts = [number for number, line in enumerate(lines) if line == "# /// script"]
    if len(starts) == 1:
        comments = list(
            takewhile(lambda line: line == "#" or line.startswith("# "), lines[starts[0] + 1 :])
        )
        if "# ///" in comments:
            end = len(comments) - 1 - comments[::-1].index("# ///")
            return "\n".join(line[2:] for line in comments[:end])
    raise ValueError(
        "It has no one block of script metadata, # /// script; add one or give a requirements.txt."
    )


def read_notebook(draft: Draft, file: SuppliedFile) -> None:
    """Write what a notebook's `%pip install` lines ask for into the draft."""
    notebook = json_values(file.text)
    if not isinstance(notebook, dict) or not isinstance(notebook.get("cells"), list):
        raise ValueError("It is no notebook of format 4; save it again with a current Jupyter.")
    found = 0
    for line in code_lines(notebook["cells"]):
        if install := _INSTALL.match(line[:MAX_REQUIREMENT]):
            found += 1
            if found > MAX_REFUSED:
                raise ValueError(
                    f"It has more than {MAX_REFUSED} %pip lines; give a requirements.txt."
                )
            escaped = line.strip().replace("\\", "\\\\").replace('"', '\\"')
            place = Place(file.name, line_of(file.text, escaped[:200]))
            take_install(draft, place, install[1])
    if not found:
        draft.hint(f"{file.name} has no %pip install line, so nothing is read of it.")


def code_lines(cells: list[object]) -> Iterator[str]:
    for cell in cells:
        if not isinstance(cell, dict) or cell.get("cell_type") != "code":
            continue
        source = cell.get("source") or ""
        text = "".join(map(str, source)) if isinstance(source, list) else str(source)
        yield from text.replace("\\\n", " ").split("\n")


def take_install(draft: Draft, place: Place, arguments: str) -> None:
    """The arguments of one `pip install`, each as a line of a requirements.txt."""
    try:
        words = shlex.split(arguments, comments=True)
    except ValueError:
        message = "Its quotes are not closed; close them or give a requirements.txt."
        draft.refuse(place, arguments, message)
        return
    while words:
        word = words.pop(0)
        if word in _IDLE:
            continue
        if word in _LINE_OPTIONS and words:
            word = f"{word} {shlex.quote(words.pop(0))}"
        elif word in ("&&", ";", "|", "||", ">", ">>"):
            break
        if "{" in word and word.startswith(("{", "$")):
            message = "It is a variable of the notebook; write the name and version."
            draft.refuse(place, word, message)
            continue
        read_line(draft, place, word, including=(place.file,))
