"""The simple commands of a shell block, with those inside of substitutions."""

from __future__ import annotations

import re
import shlex

ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")
COMMENT = re.compile(r"(?:^|\s)#.*$", re.MULTILINE)
# `<number>` stands for whatever the reader puts there.
PLACEHOLDER = re.compile(r"<[a-z][a-z ._-]*>")


def commands(text: str) -> list[list[str]]:
    """Each simple command as its words; assignments in front and redirections are left out.

    Knows `;`, `&&`, `||`, `|`, continued lines, comments and `$(…)`. Raises `ValueError` for an open quote.
    """
    text = PLACEHOLDER.sub("placeholder", COMMENT.sub("", text.replace("\\\n", " ")))
    found: list[list[str]] = []
    for line in text.splitlines():
        found += line_commands(line)
    return found


def line_commands(line: str) -> list[list[str]]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars="();<>|&")
    lexer.whitespace_split = True
    lexer.commenters = ""
    finished: list[list[str]] = []
    open_ones: list[list[str]] = [[]]
    skip = False
    for token in lexer:
        if skip:
            skip = False
        elif token in ("<", ">", ">>", "<<<"):
            skip = True
        elif token == "(":
            open_ones.append([])
        elif token == ")":
            finished.append(open_ones.pop())
        elif set(token) <= set(";|&"):
            finished.append(open_ones.pop())
            open_ones.append([])
        else:
            open_ones[-1].append(token)
            # Within quotes a substitution is a part of the word.
            for inner in re.findall(r"\$\((.+)\)", token):
                finished += line_commands(inner)
    return [words for words in map(program, finished + open_ones) if words]


def program(words: list[str]) -> list[str]:
    """A command without the variables that are set for it; empty if it only sets some."""
    while words and ASSIGNMENT.match(words[0]):
        words = words[1:]
    return words
