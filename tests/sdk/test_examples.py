"""Every example of the SDK's README and reference runs, and the reference is what the docstrings say."""

from __future__ import annotations

import asyncio
import doctest
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ri_platform_sdk import AsyncClient, Client, RequirementFile, read_environment
from ri_platform_sdk.cli import main

from tests.cast import Cast
from tests.sdk.prompt import Instance, Prompt, in_a_thread

ROOT = Path(__file__).resolve().parents[2]
PROJECT = """[project]
name = "churn"
dependencies = ["pyjokes==0.8.3", "colorama; os_name == 'nt'"]
[dependency-groups]
serve = ["six"]
"""
# What changes the image comes after what only looks at it.
CHANGING = ["rebuild_managed_image", "update_managed_image", "create_managed_image"]


@pytest.mark.slow
def test_the_reference_is_what_the_docstrings_say() -> None:
    command = [sys.executable, "tools/sdk_reference.py", "--check"]
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == 0, (
        "Run: python tools/sdk_reference.py"
    )


def run_example(text: str, name: str, known: dict[str, Any]) -> None:
    test = doctest.DocTestParser().get_doctest(text, known, name, None, None)
    failures: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    in_a_thread(lambda: runner.run(test, out=failures.append, clear_globs=False))
    known.update(test.globs)
    assert runner.summarize(verbose=False).failed == 0, "".join(failures)


@pytest.mark.slow
@pytest.mark.network
@pytest.mark.django_db(transaction=True)
def test_the_references_examples_run(instance: Instance, cast: Cast, building: None) -> None:
    api_key = instance.token_for(cast.admin)
    known: dict[str, Any] = {
        "AsyncClient": AsyncClient, "Client": Client, "asyncio": asyncio,
        "RequirementFile": RequirementFile, "read_environment": read_environment,
        "domain": instance.domain, "api_key": api_key,
    }  # fmt: skip
    run_example(Client.__doc__ or "", "Client", known)
    client = known["client"] = Client(instance.domain, api_key)
    run_example(AsyncClient.__doc__ or "", "AsyncClient", known)
    run_example(read_environment.__doc__ or "", "read_environment", known)
    methods = [name for name in dir(Client) if not name.startswith("_")]
    ran = 0
    for name in [*(name for name in methods if name not in CHANGING), *CHANGING]:
        text = getattr(Client, name).__doc__ or ""
        if ">>>" in text:
            client.wait_for_managed_image("hello", progress=False)
            run_example(text, name, known)
            ran += 1
    assert ran >= 10


@pytest.mark.slow
@pytest.mark.network
@pytest.mark.django_db(transaction=True)
def test_the_readmes_examples_run(
    instance: Instance, cast: Cast, building: None, nobodys_prompt: Prompt,
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    monkeypatch.chdir(tmp_path)
    api_key = instance.token_for(cast.admin)
    readme = (ROOT / "sdk/README.md").read_text(encoding="utf-8")
    here = instance.domain.removeprefix("http://")
    ran = set()
    for block in re.findall(r"```console\n(.*?)```", readme, re.DOTALL):
        for command, expected in commands(block.replace("127.0.0.1:8000", here)):
            if command[0] == "ri-images":
                answer = nobodys_prompt(*command[1:], stdin=api_key)
                assert answer.exit_code == 0, answer.output
                assert is_shown(expected, answer.stdout), (expected, answer.stdout)
                ran.add(command[1])
    assert {"login", "create", "check", "snapshot", "alter", "rollback", "restore", "audit"} <= ran
    known = {"domain": instance.domain, "api_key": api_key}
    for number, block in enumerate(re.findall(r"```python\n(.*?)```", readme, re.DOTALL)):
        run_example(block, f"README block {number}", known)


def test_the_readme_names_every_command() -> None:
    readme = (ROOT / "sdk/README.md").read_text(encoding="utf-8")
    table = readme.partition("| command |")[2].partition("\n\n")[0]
    named = set(re.findall(r"[a-z]+", " ".join(re.findall(r"`([^`]*)`", table))))
    assert set(main.commands) <= named


def commands(block: str) -> list[tuple[list[str], list[str]]]:
    """Each command of a console block with the lines that it is shown to print."""
    found: list[tuple[list[str], list[str]]] = []
    for raw in block.splitlines():
        line = raw.strip()
        if line.startswith("$ "):
            found.append((shlex.split(line[2:]), []))
        elif line:
            found[-1][1].append(line)
    return found


def is_shown(expected: list[str], output: str) -> bool:
    """The lines in their order; `…` stands for anything."""
    pattern = ".*".join(
        r"\s+".join(re.escape(word) for word in part.split())
        for part in "\n".join(expected).split("…")
    )
    return re.search(pattern, output, re.DOTALL) is not None
