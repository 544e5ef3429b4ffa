"""Write docs/configuration.md's table from the settings; with `--check`, only compare it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs/configuration.md"
BEGIN, END = "<!-- begin: made by make docs -->", "<!-- end -->"


def table() -> str:
    """Every declared variable, in the settings' order, under the titles of their sections."""
    sys.path.insert(0, str(ROOT))
    # Nothing of this machine's configuration is read, which might be one that cannot be.
    for name in [name for name in os.environ if name.startswith("RI_")]:
        del os.environ[name]
    from ri_platform.settings import env

    rows = ["| variable | is | unless set | what it is for |", "| --- | --- | --- | --- |"]
    section = ""
    for variable in env.declared.values():
        if variable.section != section:
            section = variable.section
            rows.append(f"| **{section}** | | | |")
        name = f"`{variable.name}`" + (" ⌂" if variable.secret else "")
        default = f"`{variable.default}`" if variable.default else ""
        rows.append(f"| {name} | {variable.kind} | {default} | {variable.help} |")
    return "\n".join(rows)


def page() -> str:
    head, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n{table()}\n{END}{tail}"


def main() -> int:
    current = page()
    if "--check" in sys.argv:
        return 0 if PAGE.read_text(encoding="utf-8") == current else 1
    PAGE.write_text(current, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
