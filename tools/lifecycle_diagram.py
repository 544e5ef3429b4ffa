"""Write the diagram of an image's life in docs/reliability.md; with `--check`, only compare it.

It is made of the model in `tests/model/lifecycle.py`: each state that the model can reach, by what the pane
shows of it, and the events that lead from one to another.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.model.lifecycle import Row, State, reachable, step  # noqa: E402

PAGE = ROOT / "docs/reliability.md"
BEGIN, END = "<!-- begin states: made by make docs -->", "<!-- end states -->"
START = "[*]"


def appearance(state: State) -> str:
    """The name of a state as people see it."""
    if state.row is Row.NONE:
        return START
    return state.status if state.row is Row.THERE else state.row.value.upper()


def arrows() -> dict[tuple[str, str], set[str]]:
    """The events between two states that look different."""
    found: dict[tuple[str, str], set[str]] = defaultdict(set)
    for state in reachable():
        for event, after in step(state).items():
            if appearance(state) != appearance(after):
                found[appearance(state), appearance(after)].add(event)
    return found


def diagram() -> str:
    """A state diagram in the language of Mermaid, which forges draw."""
    lines = ["stateDiagram-v2"]
    for (before, after), events in sorted(arrows().items()):
        words = ", ".join(event.replace("_", " ") for event in sorted(events))
        lines.append(f"    {before} --> {after}: {words}")
    return "\n".join(lines)


def page() -> str:
    head, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n```mermaid\n{diagram()}\n```\n{END}{tail}"


def main(arguments: Sequence[str]) -> int:
    text = page()
    if "--check" in arguments:
        return int(PAGE.read_text(encoding="utf-8") != text)
    PAGE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
