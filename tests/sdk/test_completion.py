"""Shell completion: scripts that real shells read where they are there, and names that complete."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete
from ri_platform_sdk.cli import completion, main

from images.models import BaseImage
from tests import factories
from tests.cast import Cast
from tests.sdk.prompt import Prompt

SDK = Path(__file__).resolve().parents[2] / "sdk"
LATE = pytest.mark.django_db(transaction=True)


def complete(prompt: Prompt, monkeypatch: pytest.MonkeyPatch, *words: str) -> list[str]:
    """What completes the last of the words."""
    for name, value in prompt.environment.items():
        monkeypatch.setenv(name, value) if value else monkeypatch.delenv(name, raising=False)
    shell = ShellComplete(main, {}, completion.PROGRAM, completion.VARIABLE)
    return [item.value for item in shell.get_completions(list(words[:-1]), words[-1])]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_a_script_that_it_can_read(shell: str, nobodys_prompt: Prompt) -> None:
    script = nobodys_prompt("completion", shell).stdout
    assert completion.VARIABLE in script
    if shutil.which(shell):
        subprocess.run([shell, "-n", "-c", script], check=True)
    assert nobodys_prompt("completion", "tcsh").exit_code == 2


@pytest.mark.slow
def test_bash_completes_commands(nobodys_prompt: Prompt, tmp_path: Path) -> None:
    command = tmp_path / "ri-images"
    command.write_text(
        f'#!/bin/sh\nPYTHONPATH={SDK} exec {sys.executable} -m ri_platform_sdk.cli "$@"\n'
    )
    command.chmod(0o755)
    script = nobodys_prompt("completion", "bash").stdout + (
        "COMP_WORDS=(ri-images re); COMP_CWORD=1; _ri_images_completion ri-images\n"
        'printf "%s\\n" "${COMPREPLY[@]}"\n'
    )
    path = f"{tmp_path}:{os.environ['PATH']}"
    answer = subprocess.run(
        ["bash", "-c", script], env={"PATH": path}, capture_output=True, text=True, check=True
    )
    assert answer.stdout.split() == ["rebuild", "repositories", "restore"]


@LATE
def test_names_of_images_complete(
    prompt_of: Callable[..., Prompt], cast: Cast, base: BaseImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("churn", "churn-2", "fraud"):
        factories.make_image(name, base=base)
    prompt = prompt_of(cast.viewer)
    assert complete(prompt, monkeypatch, "show", "chu") == ["churn", "churn-2"]
    assert complete(prompt, monkeypatch, "compare", "churn", "f") == ["fraud"]
    # More than one page of them.
    monkeypatch.setattr(completion, "NAMES", 2)
    assert complete(prompt, monkeypatch, "show", "fra") == ["fraud"]


def test_an_instance_that_cannot_be_asked_gives_no_names(
    nobodys_prompt: Prompt, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert complete(nobodys_prompt, monkeypatch, "show", "") == []
    away = Prompt(
        {**nobodys_prompt.environment, "RI_DOMAIN": "http://127.0.0.1:9", "RI_API_TOKEN": "x"}
    )
    assert complete(away, monkeypatch, "show", "") == []


def test_names_of_contexts_complete(
    nobodys_prompt: Prompt, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(str(nobodys_prompt.environment["XDG_CONFIG_HOME"])) / "ri-images"
    folder.mkdir(parents=True)
    item = '{"domain": "https://x.example", "token": "t", "user_name": "u"}'
    (folder / "contexts.json").write_text(f'{{"current": "", "contexts": {{"work": {item}}}}}')
    assert complete(nobodys_prompt, monkeypatch, "context", "use", "w") == ["work"]
    assert complete(nobodys_prompt, monkeypatch, "list", "--context", "") == ["work"]
