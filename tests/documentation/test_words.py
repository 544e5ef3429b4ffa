"""No page names what is not there: placeholders that were left, files, anchors, folders."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import unquote

import pytest

from ri_platform.settings import env
from tests.documentation.pages import PAGES, PRUNED, ROOT, Page

# `IMAGE_MB` and `CRASH_TABLE` once stood where a figure and a table belonged.
NAME = re.compile(r"(?<![\w-])[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+(?![\w-]|\.md)")
# Of the kernel: capabilities (capabilities(7)) and limits (getrlimit(2)).
ELSEWHERE = {
    "DAC_OVERRIDE",
    "NET_ADMIN",
    "RLIMIT_FSIZE",
    "RLIMIT_NPROC",
    "SYS_ADMIN",
    "SYS_CHROOT",
    "SYS_RESOURCE",
}
LEFT = re.compile(r"\b(?:TODO|FIXME|XXX|TBD|TKTK)\b")
WORDS = re.compile(rb"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+")
IGNORED = {*PRUNED, "documentation"}


def names_in_the_code() -> set[str]:
    """Every word of that form in a file that is no page: settings, values of the API, build arguments."""
    found: set[str] = set()
    for folder, folders, files in os.walk(ROOT):
        folders[:] = [name for name in folders if name not in IGNORED and not name.startswith(".")]
        for name in files:
            path = Path(folder, name)
            if (
                path.suffix not in (".md", ".pyc", ".png", ".lock")
                and path.stat().st_size < 1 << 20
            ):
                found |= {word.decode() for word in WORDS.findall(path.read_bytes())}
    return found


@pytest.fixture(scope="module")
def known() -> set[str]:
    variables = {name for name, variable in env.declared.items()}
    files = {f"{name}_FILE" for name, variable in env.declared.items() if variable.secret}
    return variables | files | names_in_the_code()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_placeholder_is_left_on_a_page(page: Page, known: set[str]) -> None:
    # What a page's own commands set is known there.
    set_here = set(re.findall(r"\b([A-Z][A-Z0-9_]+)=", page.text))
    unknown = set(NAME.findall(page.text)) - known - set_here - ELSEWHERE
    assert not unknown, (
        f"{page.name}: {', '.join(sorted(unknown))}: no variable or name of the code"
    )
    assert not LEFT.search(page.text), page.name


@pytest.mark.parametrize("left", ["IMAGE_MB", "CRASH_TABLE", "SOME_FIGURE_HERE"])
def test_a_placeholder_would_be_found(left: str, known: set[str]) -> None:
    assert NAME.findall(f"some {left} MB") == [left]
    assert left not in known


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Page) -> None:
    anchors = {other.path: other.anchors() for other in PAGES}
    for line, target in page.links():
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = unquote(target).partition("#")
        path = (page.path.parent / name).resolve() if name else page.path
        assert path.exists(), f"{page.name}:{line}: {target}"
        if anchor and path in anchors:
            assert anchor.replace("\\", "") in anchors[path], f"{page.name}:{line}: {target}"


def test_the_readme_says_where_things_are() -> None:
    readme = next(page for page in PAGES if page.name == "README.md")
    (tree,) = (block for block in readme.blocks() if block.language == "text")
    told: list[Path] = []
    parent = ROOT
    for line in tree.text.splitlines():
        indent = len(line) - len(line.lstrip())
        names = re.findall(r"(\S+)/(?=\s)", re.split(r"\s{2,}", line.strip())[0] + " ")
        for name in names:
            told.append((parent if indent else ROOT) / name)
        if not indent:
            parent = told[-1]
    assert [path for path in told if not path.is_dir()] == []
    ours = {
        path for path in ROOT.iterdir()
        if path.is_dir() and not path.name.startswith(".") and path.name not in PRUNED
    }  # fmt: skip
    # The locks are CONTRIBUTING.md's.
    assert ours - set(told) <= {ROOT / "requirements"}
    linked = {target.partition("#")[0].rstrip("/") for _, target in readme.links()}
    for page in PAGES:
        if page.path.parent in (ROOT, ROOT / "docs") and page.name != "README.md":
            assert page.name in linked, f"README.md does not lead to {page.name}"
