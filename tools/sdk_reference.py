"""Write sdk/docs/reference.md from the SDK's docstrings; with `--check`, only compare it."""

from __future__ import annotations

import dataclasses
import inspect
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "sdk"))
PAGE = ROOT / "sdk/docs/reference.md"


def page() -> str:
    import ri_platform_sdk as sdk
    from ri_platform_sdk import errors

    parts = [
        "# Reference",
        "Made from the docstrings by `make docs`; every example runs in the tests.",
    ]
    for client in (sdk.Client, sdk.AsyncClient):
        parts += [f"## {client.__name__}", text_of(client)]
        for name, method in methods(client):
            parts += [
                f"### {client.__name__}.{name}",
                code(f"{name}{signature(method)}"),
                text_of(method),
            ]
    parts += ["## Without an instance"]
    for name in sdk.__all__:
        function = getattr(sdk, name)
        if inspect.isfunction(function):
            parts += [f"### {name}", code(f"{name}{signature(function)}"), text_of(function)]
    parts += ["## What is given and answered"]
    for name in sdk.__all__:
        model = getattr(sdk, name)
        if not dataclasses.is_dataclass(model):
            continue
        fields = "\n".join(f"{field.name}: {field.type}" for field in dataclasses.fields(model))
        parts += [f"### {name}", text_of(model), code(fields)]
    parts += ["## Errors", text_of(errors.RIPlatformError)]
    for name, error in vars(errors).items():
        if inspect.isclass(error) and error.__base__ is errors.RIPlatformError:
            parts.append(f"- `{name}`: {inspect.getdoc(error)}")
    return "\n\n".join(parts) + "\n"


def methods(client: type) -> Iterator[tuple[str, Any]]:
    """The public methods, those of each subject in the order of the code."""
    for kind in (*client.__mro__[1:], client):
        for name in vars(kind):
            if not name.startswith("_") and callable(getattr(client, name)):
                yield name, getattr(client, name)


def signature(method: Any) -> str:
    return (
        str(inspect.signature(method))
        .replace("'", "")
        .replace("(self, ", "(")
        .replace("(self)", "()")
    )


def text_of(thing: Any) -> str:
    """The docstring, its example as a code block."""
    words, _, example = (inspect.getdoc(thing) or "").partition("\nExample:\n")
    return words.strip() + (f"\n\n{code(textwrap.dedent(example))}" if example else "")


def code(text: str) -> str:
    return f"```python\n{text.rstrip()}\n```"


def main() -> int:
    if "--check" in sys.argv:
        return 0 if PAGE.read_text(encoding="utf-8") == page() else 1
    PAGE.write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
