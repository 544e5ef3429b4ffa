"""The time limits of the phases of a build, read from the environment."""

from __future__ import annotations

from ri_platform.env import Env

# Building from source and imports have settings of their own, and so has the installation of OS packages,
# which is a part of its phase: the others move the base image and the layer.
PHASES = {
    "resolve": 300,
    "os_packages": 3_600,
    "fetch": 1_800,
    "layers": 1_800,
    "push": 1_800,
    "verify": 300,
}


def phase_seconds(env: Env) -> dict[str, int]:
    """Seconds by phase. Raises `ImproperlyConfigured` for what is no phase or no number."""

    def parse(text: str) -> dict[str, int]:
        given = {}
        for word in filter(None, (part.strip() for part in text.split(","))):
            phase, _, seconds = word.partition("=")
            if phase not in PHASES:
                raise ValueError(f"{phase!r} is no phase; use {', '.join(PHASES)}")
            if not seconds.isdecimal() or int(seconds) < 1:
                raise ValueError(f"{phase} takes a number of seconds from 1")
            given[phase] = int(seconds)
        return PHASES | given

    return env.parse_value(
        "RI_PHASE_SECONDS",
        parse,
        dict(PHASES),
        kind="phase=seconds, with commas",
        help="Seconds that a phase of a build may take, such as `fetch=600,push=600`. What is not named "
        "keeps its default.",
    )
