"""docs/security.md's table names tests and modules that exist, and no page names a file that does not."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import groupby
from pathlib import Path

import pytest

from tests.documentation.pages import PAGES, ROOT, Page

SECURITY = next(page for page in PAGES if page.name == "docs/security.md")
COLUMNS = ["who", "attack", "how far it gets", "what stops it", "test"]
CODE = re.compile(r"`([^`]+)`")
FOLDERS = "|".join(
    path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith(".")
)
# A file of the repository, in a piece of code; `tests/x.py::test_y` is pytest's name of a test in it.
FILE = re.compile(
    rf"((?:{FOLDERS})(?:/[\w.-]+)*/[\w.-]+\.(?:html|lock|md|png|py|sh|tftpl|toml|ya?ml))(?:::(\w+))?"
)
# What was, is named as it was.
HISTORY = "CHANGELOG.md"


def table(page: Page) -> Iterator[list[str]]:
    """The rows of the page's table with these columns, its head first."""
    row: list[str] = []
    ours = False
    for token in page.tokens:
        if token.type == "tr_open":
            row = []  # What stands between tables is in none.
        elif token.type == "inline":
            row.append(token.content)
        elif token.type == "tr_close":
            ours = ours or row == COLUMNS
            if ours:
                yield row
            row = []
        elif token.type == "table_close":
            ours = False


HEAD, *ROWS = table(SECURITY)


@lru_cache
def names_of_tests(path: str) -> frozenset[str]:
    """The tests of a module, by the names of their functions."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    return frozenset(node.name for node in functions if node.name.startswith("test_"))


def missing(text: str) -> list[str]:
    """Of the files and tests that a Markdown text names as code, those that do not exist."""
    found = []
    for code in CODE.findall(text):
        match = FILE.fullmatch(code)
        if match is None:
            continue
        path, test = match.groups()
        if not (ROOT / path).is_file() or (test and test not in names_of_tests(path)):
            found.append(code)
    return found


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row[0]}: {row[1]}")
def test_a_row_says_who_how_far_what_stops_them_and_names_tests_that_exist(row: list[str]) -> None:
    assert all(row), "an empty cell"
    assert missing(" ".join(row)) == []
    named = CODE.findall(row[-1])
    assert named, "no test shows it"
    for name in named:
        match = FILE.fullmatch(name)
        assert match is not None, f"{name} is no file of tests"
        assert match[1].startswith("tests/"), name
        assert match[2], f"{name}: which of its tests?"


def test_the_rows_of_one_attacker_stand_together_and_no_attack_twice() -> None:
    """Rows that several people add end up anywhere, and twice."""
    attackers = [who for who, _ in groupby(row[0] for row in ROWS)]
    assert sorted(attackers) == sorted(set(attackers))
    attacks = [(row[0], row[1]) for row in ROWS]
    assert len(attacks) == len(set(attacks))
    assert len(attacks) > 70


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_names_no_file_that_does_not_exist(page: Page) -> None:
    if page.name != HISTORY:
        named = [f"`{span.text}`" for span in page.spans()]
        assert missing(" ".join(named)) == [], page.name


def test_what_does_not_exist_is_found(tmp_path: Path) -> None:
    here = "tests/documentation/test_threat_model.py"
    for name in ("images/nothing.py", "tests/test_nothing.py::test_x", f"{here}::test_nothing"):
        assert missing(f"by `{name}`, and `/tmp`") == [name]
    assert missing(f"`{here}::test_what_does_not_exist_is_found`") == []
    path = tmp_path / "page.md"
    columns = " | ".join(COLUMNS)
    path.write_text(
        f"| a |\n| - |\n| 1 |\n\n| {columns} |\n{'| - ' * 5}|\n| b | c | d | e | f |\n\nend\n"
    )
    assert list(table(Page(path))) == [COLUMNS, ["b", "c", "d", "e", "f"]]
