"""Messages for lines that are no requirement: the probable intention, and what to write instead."""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import unquote, urlsplit

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import InvalidWheelFilename, parse_wheel_filename

_SINGLE_EQUALS = re.compile(r"([A-Za-z0-9._-]+(?:\[[^\]]*\])?)\s*=\s*(v?[0-9][A-Za-z0-9.*+!_-]*)")
_CONDA_BUILD = re.compile(r"[A-Za-z0-9._-]+=[A-Za-z0-9.!_]+=[A-Za-z0-9._]+")
_TWO_WORDS = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)\s+(v?[0-9][A-Za-z0-9.+!-]*)")
_WILDCARD = re.compile(r"([<>]=?|~=)(\s*[0-9A-Za-z.!]+)\.\*")


def explain_text(text: str) -> str:
    """The sentence for a line that is no requirement. Its suggestion is always one."""
    if strange := next((mark for mark in text if not (mark.isprintable() and mark.isascii())), ""):
        clean = "".join(mark for mark in text if mark.isprintable() and mark.isascii())
        name = unicodedata.name(strange, f"U+{ord(strange):04X}").lower()
        return f"It has a character that no name has, {name}; {suggestion(clean)}."
    if text.startswith("@EXPLICIT") or _CONDA_BUILD.fullmatch(text):
        return "This is a conda file; give the environment.yml that it was made from."
    if len(text) > 1 and text[0] in "\"'`" and text[-1].rstrip(",") in "\"'`,":
        return f"Quotes are a shell's; {suggestion(text.strip(chr(34) + chr(39) + '`,'))}."
    if bullet := re.fullmatch(r"[-*+]\s+(.+)", text):
        return f"A list has no marks here; {suggestion(bullet[1])}."
    if single := _SINGLE_EQUALS.fullmatch(text):
        return f"One equals sign is conda's; {suggestion(f'{single[1]}=={single[2]}')}."
    if words := _TWO_WORDS.fullmatch(text):
        return f"A version follows two equals signs; {suggestion(f'{words[1]}=={words[2]}')}."
    if _WILDCARD.search(text):
        plain = _WILDCARD.sub(r"\1\2", text)
        return f".* goes with == and != alone; {suggestion(plain)}."
    if re.search(r"=[<>]", text):
        turned = re.sub(r"=([<>])", r"\1=", text)
        return f"The operator is turned round; {suggestion(turned)}."
    if ";" in text and is_requirement(text.partition(";")[0]):
        return (
            "What follows the semicolon is not an environment marker, like python_version < '3.12'; "
            "mend it or leave it out."
        )
    return "It is not a library's name with an optional version; write it like numpy>=1.26."


def suggestion(text: str) -> str:
    return f"write {text}" if is_requirement(text) else "write it like numpy>=1.26"


def is_requirement(text: str) -> bool:
    try:
        Requirement(text)
    except (InvalidRequirement, RecursionError):
        return False
    return True


def explain_source(text: str, name: str = "") -> str:
    """The sentence for an address, a path or a repository. It repeats no credentials."""
    address = text.partition(" ")[0]
    known = name or name_of_source(address)
    instead = (
        f"name its released version, like {known}==1.0" if known else "name a released version"
    )
    if re.match(r"(?:git|hg|svn|bzr)\+", address):
        return f"A repository is not installed from; {instead}, or upload the wheel built of it."
    if re.match(r"https?://", address):
        return (
            f"Addresses are not installed from unless the operator allows them; {instead}, "
            "or upload the wheel to an index."
        )
    if address.split("[")[0].endswith((".whl", ".zip", ".tar.gz", ".tgz", ".tar.bz2")):
        return f"The file is on your machine, not on the server's; {instead}, or upload it to an index."
    return (
        "A folder is on your machine, not on the server's; "
        "name the released version, or upload the wheel built of it to an index."
    )


def name_of_source(address: str) -> str:
    """The library that an address or path tells, by `#egg=` or a wheel's name; `""` if neither."""
    parts = urlsplit(address.replace("git+", "", 1)) if "[" not in address else None
    if parts is None:
        return ""
    if egg := re.search(r"(?:^|&)egg=([A-Za-z0-9._-]+)", parts.fragment):
        return egg[1]
    try:
        return parse_wheel_filename(unquote(parts.path.rsplit("/", 1)[-1]))[0]
    except InvalidWheelFilename:
        return ""
