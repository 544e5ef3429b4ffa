"""Every Markdown page of the project, taken apart: fenced blocks, code in the text, links and headings."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).resolve().parents[2]
# What is made, installed or kept there is no page of the project's.
PRUNED = {"__pycache__", "dist", "node_modules", "staticfiles", "test-results"}


@dataclass(frozen=True)
class Code:
    """A fenced block, or a piece of code within a sentence, whose `language` is empty then."""

    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


@dataclass(frozen=True)
class Page:
    path: Path

    @property
    def name(self) -> str:
        return self.path.relative_to(ROOT).as_posix()

    @cached_property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def tokens(self) -> list[Token]:
        return MarkdownIt("commonmark").enable("table").parse(self.text)

    def blocks(self) -> Iterator[Code]:
        for token in self.tokens:
            if token.type in ("fence", "code_block"):
                yield Code(self.name, line_of(token), token.info.strip(), token.content)

    def spans(self) -> Iterator[Code]:
        for line, token in self._inline():
            if token.type == "code_inline":
                yield Code(self.name, line, "", token.content)

    def links(self) -> Iterator[tuple[int, str]]:
        for line, token in self._inline():
            target = token.attrGet("href") or token.attrGet("src")
            if target:
                yield line, str(target)

    def anchors(self) -> set[str]:
        """Of the headings as forges make them, and those that stand there as HTML."""
        found = set(re.findall(r'<a name="([^"]+)">', self.text))
        for number, token in enumerate(self.tokens):
            if token.type == "heading_open":
                words = "".join(
                    child.content for child in self.tokens[number + 1].children or []
                ).lower()
                found.add(re.sub(r"[^\w\- ]", "", words).replace(" ", "-"))
        return found

    def _inline(self) -> Iterator[tuple[int, Token]]:
        for token in self.tokens:
            for child in token.children or []:
                yield line_of(token), child


def line_of(token: Token) -> int:
    return token.map[0] + 1 if token.map else 0


def pages() -> list[Page]:
    found = []
    for folder, folders, files in os.walk(ROOT):
        folders[:] = [
            name
            for name in folders
            if name not in PRUNED and (not name.startswith(".") or name == ".github")
        ]
        found += [Page(Path(folder, name)) for name in files if name.endswith(".md")]
    return sorted(found, key=lambda page: page.name)


PAGES = pages()
