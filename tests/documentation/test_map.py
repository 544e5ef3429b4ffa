"""The tree of folders in CONTRIBUTING.md and README.md says what is there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.documentation.pages import PAGES, PRUNED, ROOT
from tools import code_map


def test_the_tree_is_that_of_the_folders() -> None:
    done = subprocess.run([sys.executable, "tools/code_map.py", "--check"], cwd=ROOT, check=False)
    assert done.returncode == 0, "Run: make docs"


def test_every_folder_with_code_has_a_line() -> None:
    """Not tests that mirror the source or their data, and no folder that only holds another one."""
    folders = {path.parent for top in ROOT.iterdir() if is_top(top) for path in top.rglob("*.py")}
    names = {path.relative_to(ROOT).as_posix() for path in folders if has_modules(path)}
    tests = {name for name in names if name.startswith("tests/")}
    across = {name for name in tests if not (ROOT / name.removeprefix("tests/")).is_dir()}
    expected = names - tests | {name for name in across if (ROOT / name / "__init__.py").is_file()}
    assert {"images/operations", "tests/api", "tools"} <= expected
    assert expected <= set(lines())


def test_every_line_names_a_folder_and_says_what_belongs_in_it() -> None:
    for name, words in lines().items():
        assert (ROOT / name).is_dir(), name
        assert len(words.split()) >= 2, name
        module = ROOT / name / "__init__.py"
        if module.is_file():
            assert module.read_text(encoding="utf-8").startswith(f'"""{words}'), name


def test_captions_are_kept_for_folders_that_are_there() -> None:
    assert [name for name in code_map.CAPTIONS if not (ROOT / name).is_dir()] == []


@pytest.mark.parametrize("title", ["Add a column", "Add a webhook event", "Add a base image"])
def test_the_way_of_a_change_names_files_that_are_there(title: str) -> None:
    section = contributing().split(f"### {title}")[1].split("\n#")[0]
    named = re.findall(r"`((?:images|templates|tests|docs)/[\w./]*)`", section)
    assert len(named) >= 3
    assert [path for path in named if not (ROOT / path).exists()] == []


def contributing() -> str:
    return next(page.text for page in PAGES if page.name == "CONTRIBUTING.md")


def lines() -> dict[str, str]:
    """Each folder of the tree with its caption, read from the page and not from the script."""
    tree = contributing().split(code_map.BEGIN)[1].split(code_map.END)[0]
    found: dict[str, str] = {}
    parents: list[str] = []
    for indent, name, words in re.findall(r"^( *)(\S+)/ +(.+)$", tree, re.MULTILINE):
        parents[len(indent) // 2 :] = [name]
        found["/".join(parents)] = words
    return found


def is_top(folder: Path) -> bool:
    return folder.is_dir() and not folder.name.startswith(".") and folder.name not in PRUNED


def has_modules(folder: Path) -> bool:
    return any(path.name != "__init__.py" for path in folder.glob("*.py"))
