"""The tables in terraform/README.md, from the module's files, by terraform-docs' conventions.

`python -m tools.terraform_docs` writes them; a test compares.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import hcl2

MODULE = Path(__file__).resolve().parents[1] / "terraform"
BEGIN, END = "<!-- BEGIN_TF_DOCS -->", "<!-- END_TF_DOCS -->"


def blocks(kind: str) -> dict[str, dict[str, Any]]:
    """All blocks of a kind in the module, by their labels joined with a dot, in the order of names."""
    found: dict[str, dict[str, Any]] = {}
    for path in sorted(MODULE.glob("*.tf")):
        for block in parse(path.read_text(encoding="utf-8")).get(kind, []):
            labels = []
            while not block.get("__is_block__"):
                ((label, block),) = block.items()
                labels.append(unquote(label))
            found[".".join(labels)] = block
    return dict(sorted(found.items()))


@cache
def parse(text: str) -> dict[str, Any]:
    """A file of HCL, which takes its parser long, so each text is parsed once."""
    return hcl2.loads(text)


def unquote(value: str) -> str:
    """A string of HCL as Python has it: the parser keeps quotes, and `${}` around expressions."""
    if value.startswith('"'):
        return str(json.loads(value))
    return value[2:-1] if value.startswith("${") and value.endswith("}") else value


def documentation() -> str:
    """The text between the markers."""
    (terraform,) = blocks("terraform").values()
    (providers,) = terraform["required_providers"]
    aws = unquote(providers["aws"]["version"])
    resources = [(name, "resource") for name in blocks("resource")]
    resources += [(name, "data source") for name in blocks("data")]
    return "\n\n".join(
        [
            table(
                "Requirements",
                ["Name", "Version"],
                [
                    [anchor("requirement", "terraform"), unquote(terraform["required_version"])],
                    [anchor("requirement", "aws"), aws],
                ],
            ),
            table("Providers", ["Name", "Version"], [[anchor("provider", "aws"), aws]]),
            "## Modules\n\nNo modules.",
            table(
                "Resources",
                ["Name", "Type"],
                [[f"`{name}`", kind] for name, kind in resources],
            ),
            table(
                "Inputs",
                ["Name", "Description", "Type", "Default", "Required"],
                [
                    [
                        anchor("input", name),
                        unquote(variable["description"]),
                        f"`{unquote(variable['type'])}`",
                        default(variable),
                        "no" if "default" in variable else "yes",
                    ]
                    for name, variable in blocks("variable").items()
                ],
            ),
            table(
                "Outputs",
                ["Name", "Description"],
                [
                    [anchor("output", name), unquote(output["description"])]
                    for name, output in blocks("output").items()
                ],
            ),
        ]
    )


def table(title: str, columns: list[str], rows: list[list[str]]) -> str:
    lines = [columns, [":---:" if name == "Required" else "---" for name in columns], *rows]
    return f"## {title}\n\n" + "\n".join("| " + " | ".join(line) + " |" for line in lines)


def anchor(kind: str, name: str) -> str:
    escaped = name.replace("_", r"\_")
    return f'<a name="{kind}_{name}"></a> [{escaped}](#{kind}\\_{escaped})'


def default(variable: dict[str, Any]) -> str:
    if "default" not in variable:
        return "n/a"
    value = variable["default"]
    return f"`{json.dumps(unquote(value) if isinstance(value, str) else value)}`"


def add_documentation(readme: str) -> str:
    before, _, rest = readme.partition(BEGIN)
    return f"{before}{BEGIN}\n{documentation()}\n{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    path = MODULE / "README.md"
    path.write_text(add_documentation(path.read_text(encoding="utf-8")), encoding="utf-8")
