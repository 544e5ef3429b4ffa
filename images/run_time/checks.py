"""Checks of run-time settings, once, at the edge. Each raises `Invalid` with the field of the problem.

The configuration of an image can be read by everybody who can pull it, so nothing that looks like a secret
becomes part of it.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping, Sequence

from images.run_time.settings import Pairs, RunTime, pairs
from ri_platform.errors import Invalid

MAX_VARIABLES = 100
MAX_LABELS = 50
MAX_WORDS = 64
MAX_NAME = 128
MAX_VALUE = 4_096
# Of all names and values of one kind together, in bytes.
MAX_TOTAL = 32_768
MAX_PATH = 255
MAX_USER = 65
# Of the text in a form, before it is read.
MAX_TEXT = 40_000

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# Docker's object labels: ASCII letters, digits and . - _ /, a letter or digit at both ends.
_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._/-]*[A-Za-z0-9])?")
_USER = re.compile(
    r"(?:[a-z_][a-z0-9_-]{0,31}|[0-9]{1,10})(?::(?:[a-z_][a-z0-9_-]{0,31}|[0-9]{1,10}))?"
)
_LARGEST_ID = 2**31 - 2

# Python in the image would no longer start, or would not find its libraries.
BREAKING = frozenset(
    {"PATH", "VIRTUAL_ENV", "PYTHONHOME", "PYTHONPLATLIBDIR", "LD_PRELOAD", "LD_AUDIT"}
)
# Names that the platform, OCI and Docker keep for themselves.
RESERVED = (
    "org.opencontainers.",
    "ri-platform.",
    "com.docker.",
    "io.docker.",
    "org.dockerproject.",
)

_SECRET_WORDS = frozenset(
    {"SECRET", "TOKEN", "PASSWORD", "PASSWD", "PASSPHRASE", "CREDENTIALS", "APIKEY"}
)
_SECRET_ENDS = ("API_KEY", "ACCESS_KEY", "PRIVATE_KEY")
# A name such as DB_PASSWORD_FILE is of the place of a secret.
_PLACES = frozenset({"FILE", "PATH", "DIR", "NAME", "ARN"})
_SECRET_VALUES = (
    ("the id of an AWS key", re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b")),
    ("a private key", re.compile(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY")),
    ("a JSON web token", re.compile(r"\beyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]+")),
    (
        "an access token",
        re.compile(r"\b(?:gh[pousr]_|github_pat_|glpat-|hf_|xox[bpars]-)[\w-]{16,}"),
    ),
    ("an address with a password", re.compile(r"://[^/\s:@]*:[^/\s@]+@")),
)
SECRETS_HINT = (
    "Everybody who can pull an image reads its settings. Give secrets to the container instead."
)


def checked_run_time(
    env: Mapping[str, str],
    working_dir: str,
    user: str,
    entrypoint: Sequence[str],
    labels: Mapping[str, str],
) -> RunTime:
    """Settings that were given one by one. Raises `Invalid` for the first problem."""
    return RunTime(
        env=checked_variables(env),
        working_dir=checked_working_dir(working_dir),
        user=checked_user(user),
        entrypoint=checked_entrypoint(entrypoint),
        labels=checked_labels(labels),
    )


def checked_variables(env: Mapping[str, str]) -> Pairs:
    for name, value in limited_items(env, "env", MAX_VARIABLES, "variables"):
        if not _VARIABLE.fullmatch(name):
            raise Invalid(
                f"{quote(name)} cannot be a variable's name.",
                hint="Use letters, digits and _, and no digit at the start.",
                field="env",
            )
        if name in BREAKING:
            raise Invalid(
                f"{name} cannot be set: Python in the image would not start, or would miss its libraries.",
                hint="Leave it out; the platform sets it.",
                field="env",
            )
        if is_secret_name(name):
            raise Invalid(
                f"{name} looks like the name of a secret.", hint=SECRETS_HINT, field="env"
            )
        check_value(value, f"the variable {name}", "env")
    return pairs(env)


def checked_labels(labels: Mapping[str, str]) -> Pairs:
    for name, value in limited_items(labels, "labels", MAX_LABELS, "labels"):
        if not _LABEL.fullmatch(name):
            raise Invalid(
                f"{quote(name)} cannot be a label's name.",
                hint="Use letters, digits, and . - _ / between them.",
                field="labels",
            )
        if name.lower().startswith(RESERVED):
            raise Invalid(
                f"The label {name} is reserved.",
                hint="Begin it with a domain of yours, as in com.example.team.",
                field="labels",
            )
        check_value(value, f"the label {name}", "labels")
    return pairs(labels)


def limited_items(
    given: Mapping[str, str], field: str, most: int, what: str
) -> Iterable[tuple[str, str]]:
    """The items, if there are not too many. Raises `Invalid`."""
    if len(given) > most:
        raise Invalid(f"These are more than {most} {what}.", field=field)
    if (
        sum(len(text.encode("utf-8", "replace")) for item in given.items() for text in item)
        > MAX_TOTAL
    ):
        raise Invalid(f"The {what} have more than {MAX_TOTAL:,} bytes together.", field=field)
    for name in given:
        if len(name) > MAX_NAME:
            raise Invalid(f"A name of {what} has more than {MAX_NAME} characters.", field=field)
    return given.items()


def checked_working_dir(path: str) -> str:
    if not path:
        return ""
    if len(path) > MAX_PATH or not path.startswith("/") or ".." in path.split("/"):
        raise Invalid(
            f"{quote(path)} cannot be the working folder.",
            hint=f"Use an absolute path without .. and of at most {MAX_PATH} characters, such as /app.",
            field="working_dir",
        )
    check_value(path, "the working folder", "working_dir")
    return path


def checked_user(user: str) -> str:
    """A name, a number, or one of them with a group, as Docker's `USER` takes it."""
    if not user:
        return ""
    numbers = [int(part) for part in user.split(":") if part.isdigit() and part.isascii()]
    if not _USER.fullmatch(user) or any(number > _LARGEST_ID for number in numbers):
        raise Invalid(
            f"{quote(user)} cannot be the user.",
            hint="Use a name that the base image has or a number, such as 1000 or 1000:1000.",
            field="user",
        )
    return user


def checked_entrypoint(words: Sequence[str]) -> tuple[str, ...]:
    if len(words) > MAX_WORDS:
        raise Invalid(
            f"The entry point has more than {MAX_WORDS} words.",
            hint="Put the commands in a script of a library.",
            field="entrypoint",
        )
    for word in words:
        check_value(word, "the entry point", "entrypoint")
    if words and not words[0]:
        raise Invalid("The entry point begins with an empty word.", field="entrypoint")
    return tuple(words)


def check_value(value: str, of: str, field: str) -> None:
    """Raises `Invalid` for a value that is too long, has control characters, or looks like a secret."""
    if len(value) > MAX_VALUE:
        raise Invalid(f"The value of {of} has more than {MAX_VALUE:,} characters.", field=field)
    if not value.isprintable():
        raise Invalid(
            f"The value of {of} has a line break or another control character.", field=field
        )
    for what, pattern in _SECRET_VALUES:
        if pattern.search(value):
            raise Invalid(f"The value of {of} looks like {what}.", hint=SECRETS_HINT, field=field)


def is_secret_name(name: str) -> bool:
    upper = name.upper()
    words = upper.split("_")
    if words[-1] in _PLACES:
        return False
    return bool(
        _SECRET_WORDS & set(words)
        or upper.endswith(_SECRET_ENDS)
        or (words[0] == "AWS" and "KEY" in words)
    )


def read_pairs(text: str, field: str) -> dict[str, str]:
    """Lines of `NAME=value`; empty lines and those that begin with # do not count. Raises `Invalid`."""
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, equals, value = line.partition("=")
        name = name.strip()
        if not equals or not name:
            raise Invalid(f"Line {number} is not NAME=value.", field=field)
        if name in found:
            raise Invalid(f"Line {number} sets {quote(name)} once more.", field=field)
        found[name] = value.strip()
    return found


def read_words(text: str) -> tuple[str, ...]:
    """The words of a command, as a shell splits them. Raises `Invalid`."""
    try:
        return tuple(shlex.split(text))
    except ValueError as error:
        raise Invalid(
            "The entry point has a quotation mark that is not closed.", field="entrypoint"
        ) from error


def quote(text: str) -> str:
    return ascii(text[:80])
