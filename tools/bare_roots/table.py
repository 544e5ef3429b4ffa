"""The results as a table, one row for each root and user."""

from __future__ import annotations

from typing import Any

VERSIONS = {
    "bullseye": "Debian 11",
    "bookworm": "Debian 12",
    "trixie": "Debian 13",
    "forky": "Debian testing",
}
NAMES = {
    "root": "root",
    "user": "ordinary user",
    "prepared": "ordinary user, after `make packages` by root",
}
HEAD = (
    "root file system", "user", "`make run` answers", "base image ready", "Ctrl-C", "left", ".venv",
    "`make test`", "took",
)  # fmt: skip


def table(results: list[dict[str, Any]]) -> str:
    """GitHub's table of cells as `tools.bare_roots` saves them."""
    rows: dict[tuple[str, str, str], dict[str, dict[str, Any]]] = {}
    for result in results:
        key = (result["suite"], result["user"], result["place"])
        rows.setdefault(key, {})[result["what"]] = result
    lines = [HEAD, ("---",) * len(HEAD)]
    for (suite, user, place), cells in sorted(rows.items()):
        where = VERSIONS.get(suite, suite) + (", chroot" if place == "chroot" else "")
        run, test = run_columns(cells.get("run")), test_columns(cells.get("test"))
        lines.append((where, NAMES[user], *run, *test))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def run_columns(result: dict[str, Any] | None) -> tuple[str, ...]:
    if result is None:
        return ("",) * 5
    if "broken" in result:
        return (result["broken"], "", "", "", "")
    if result["answers"] is None:
        return ("it did not", "", seconds(result["stop"]), leftovers(result), megabytes(result))
    made = result["base_said"] == "succeeded"
    base = seconds(result["base"]) if made else result["base_said"]
    return (
        seconds(result["answers"]), base, seconds(result["stop"]), leftovers(result), megabytes(result),
    )  # fmt: skip


def test_columns(result: dict[str, Any] | None) -> tuple[str, str]:
    if result is None:
        return ("", "")
    if "broken" in result:
        return (result["broken"], "")
    told = ", ".join(f"{count} {kind}" for kind, count in result["counts"].items())
    if not told:
        told = f"ended with status {result['status']} before the tests"
    if result.get("pytest"):
        told += f" (of {' '.join(result['pytest'])})"
    return (told, seconds(result["seconds"]))


def leftovers(result: dict[str, Any]) -> str:
    return ", ".join([*result["left"], *result["untracked"]]) or "nothing"


def megabytes(result: dict[str, Any]) -> str:
    return f"{result['venv_mb']:.0f} MB"


def seconds(value: float) -> str:
    return f"{value:.0f} s"
