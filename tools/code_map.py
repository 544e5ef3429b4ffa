"""Write the tree of folders in CONTRIBUTING.md and README.md; with `--check`, only compare it.

A package's caption is the first line of its `__init__.py`. Folders without one have theirs in `CAPTIONS`.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BEGIN, END = "<!-- begin tree: made by make docs -->", "<!-- end tree -->"
# The top of the tree, in the order in which a newcomer needs it.
TOP = [
    "images", "workspaces", "ri_platform", "templates", "static", "sdk", "tests", "docs", "deploy",
    "terraform", "requirements", "tools", "benchmarks",
]  # fmt: skip
CAPTIONS = {
    "templates": "Templates of the console, in the folders of the views that render them.",
    "templates/account": "Signing in, passwords, sessions.",
    "templates/errors": "Pages and alerts of errors.",
    "templates/images": "The pane, an image's page, forms, and the words of the removal dialog.",
    "templates/layouts": "Frames of pages, and of a page that asks for confirmation.",
    "templates/mfa": "Second factors: one-time codes, passkeys, recovery codes.",
    "templates/ml_models": "A workspace's models and the picker of their images.",
    "templates/organization": "Accounts, all tokens, the audit log, the state of the registry.",
    "templates/parts": "What pages share: fields, dialogs, page numbers, polling.",
    "templates/socialaccount": "Single sign-on.",
    "templates/workspaces": "Workspaces, members, API access tokens.",
    "static": "Styles, icons and scripts of the console; `vendor/` holds Bootstrap.",
    "sdk": "The Python SDK and the command `ri-images`: a package of its own.",
    "docs": "Documentation; `decisions/` says why things are as they are.",
    "deploy": "The container image, compose.yaml for one host, kubernetes.yaml, Prometheus and its alerts.",
    "terraform": "The module with `image_registry_config`: IAM policies and roles, with tests.",
    "requirements": "Locks of the dependencies, written by `make lock`.",
    "tools": "Scripts of the Makefile and of releases.",
}
NOT_OURS = {"__pycache__", "build", "dist", "node_modules", "staticfiles", "test-results"}


def folders() -> list[str]:
    """Every folder that has a line, each below its parent."""
    found = []
    for top in TOP:
        packages = [path.parent for path in (ROOT / top).rglob("*.py")]
        inside = {path.relative_to(ROOT).as_posix() for path in packages if is_ours(path)}
        inside |= {name for name in CAPTIONS if name.startswith(f"{top}/")}
        found += [top, *sorted(name for name in inside - {top} if has_line(name))]
    return found


def is_ours(folder: Path) -> bool:
    parts = folder.relative_to(ROOT).parts
    return not any(part in NOT_OURS or part.startswith(".") for part in parts)


def has_line(name: str) -> bool:
    """Whether the tree names a folder: not one that only holds another, nor tests that mirror the source or
    their data."""
    modules = [path.name for path in (ROOT / name).glob("*.py")]
    if name.startswith("tests/"):
        mirrors = (ROOT / name.removeprefix("tests/")).is_dir()
        return "__init__.py" in modules and not mirrors
    return modules != ["__init__.py"]


def caption(name: str) -> str:
    module = ROOT / name / "__init__.py"
    if not module.is_file():
        return CAPTIONS[name]
    words = ast.get_docstring(ast.parse(module.read_text(encoding="utf-8"))) or ""
    return words.partition("\n")[0]


def tree(depth: int) -> str:
    """The folders down to `depth` below the top, one a line, indented by their parents in the tree."""
    shown: list[str] = []
    lines = []
    for name in folders():
        parents = [other for other in shown if name.startswith(f"{other}/")]
        if len(parents) > depth:
            continue
        shown.append(name)
        label = name.removeprefix(f"{parents[-1]}/") if parents else name
        lines.append((f"{'  ' * len(parents)}{label}/", caption(name)))
    width = max(len(label) for label, _ in lines) + 2
    return "\n".join(f"{label:{width}}{words}" for label, words in lines)


def page(path: Path, depth: int) -> str:
    head, _, rest = path.read_text(encoding="utf-8").partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n```text\n{tree(depth)}\n```\n{END}{tail}"


PAGES = {ROOT / "CONTRIBUTING.md": 9, ROOT / "README.md": 0}


def main() -> int:
    current = {path: page(path, depth) for path, depth in PAGES.items()}
    if "--check" in sys.argv:
        stale = [path for path, text in current.items() if path.read_text("utf-8") != text]
        return 1 if stale else 0
    for path, text in current.items():
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
