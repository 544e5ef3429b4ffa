"""Runs in the environment of a public client, which has nothing of ours: lines of Python, each answered.

Its argument is the folder with the client's modules. Every line of the standard input is a JSON object with
`code` and the `names` that it may use. It runs as at Python's prompt: names stay, and the value of a last
expression is the answer, in JSON.
"""

from __future__ import annotations

import ast
import contextlib
import io
import json
import os
import sys
import warnings
from typing import Any


def evaluate(code: str, names: dict[str, Any]) -> Any:
    statements = ast.parse(code).body
    last = statements[-1]
    if isinstance(last, ast.Expr):
        del statements[-1]
    exec(compile(ast.Module(statements, []), "<test>", "exec"), names)  # noqa: S102
    if isinstance(last, ast.Expr):
        return eval(compile(ast.Expression(last.value), "<test>", "eval"), names)  # noqa: S307
    return None


def main() -> None:
    sys.path.insert(0, sys.argv[1])
    warnings.simplefilter("ignore")
    names: dict[str, Any] = {}
    answers = sys.stdout
    for line in sys.stdin:
        asked = json.loads(line)
        names.update(asked["names"])
        answer: dict[str, Any] = {}
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            try:
                answer["value"] = evaluate(asked["code"], names)
            except Exception as error:
                answer["raised"] = f"{type(error).__name__}: {error}"
        answer["printed"] = printed.getvalue()
        print(json.dumps(answer), file=answers, flush=True)
    # The clients join threads when they are destroyed, and an interpreter that ends (3.13 and later) has none
    # left that could be joined: it would wait for ever (docs/compatibility.md).
    os._exit(0)


if __name__ == "__main__":
    main()
