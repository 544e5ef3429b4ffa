"""What may stand in a command of the documentation: how a program's arguments are checked, and who runs it.

A program without a rule fails `test_commands.py`: give it a rule here, with the test that runs it or the
reason why none does.
"""

from __future__ import annotations

import contextlib
import io
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
import yaml
from django.core.management import CommandError, get_commands, load_command_class
from django.urls import Resolver404, resolve
from ri_platform_sdk.cli import main as ri_images

from ri_platform import processes
from tests.documentation.pages import ROOT

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "deploy/compose.yaml").read_text(encoding="utf-8"))
PYTHON = ".venv/bin/python"
Words = list[str]


class Wrong(Exception):
    """Why a command cannot be called so."""


def require(truth: object, sentence: str) -> None:
    if not truth:
        raise Wrong(sentence)


# --- this project's own commands --------------------------------------------------------------------------


def make(words: Words) -> None:
    targets = re.findall(r"^([a-z_-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for word in words:
        require("=" in word or word in targets, f"The Makefile has no target {word}.")


def django(words: Words) -> None:
    """A command of Django, its arguments read by its own parser."""
    require(words, "Which command?")
    name, *arguments = words
    app = get_commands().get(name)
    require(app, f"There is no command {name}.")
    command = load_command_class(app, name) if isinstance(app, str) else app
    assert command is not None
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            command.create_parser("manage.py", name).parse_args(arguments)
    except (CommandError, SystemExit) as error:
        # `--help` ends well.
        require(getattr(error, "code", 2) == 0, f"{name}: {error} {said.getvalue()[-300:]}")


def platform(words: Words) -> None:
    """`ri-platform`: a process or a command."""
    if words and words[0] not in (processes.WEB, *processes.WORKERS, processes.SCHEDULER):
        django(words)


def python(words: Words) -> None:
    first, *rest = words
    if first == "manage.py":
        if rest:
            django(rest)
        return
    require(first != "-c", "Put it into a file.")
    path = ROOT / (words[1].replace(".", "/") + ".py" if first == "-m" else first)
    package = path.with_suffix("") / "__main__.py"
    require(path.is_file() or package.is_file(), f"There is no {path.relative_to(ROOT)}.")
    start = words[:2] if first == "-m" else words[:1]
    told = ""
    for option in (word for word in words[len(start) :] if word.startswith("--")):
        told = told or help_of(sys.executable, *start)
        require(option.partition("=")[0] in told, f"{' '.join(start)} has no option {option}.")


@lru_cache
def help_of(*command: str) -> str:
    done = subprocess.run(
        [*command, "--help"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    return done.stdout + done.stderr


def sdk(words: Words) -> None:
    """`ri-images`, its arguments read by its own commands; `COMMAND` stands for each of them."""
    if words[0] == "COMMAND":
        assert isinstance(ri_images, click.Group)
        for name in ri_images.commands:
            sdk([name, *words[1:]])
        return
    try:
        command: click.Command = ri_images
        context = command.make_context("ri-images", list(words), resilient_parsing=True)
        rest = [*context._protected_args, *context.args]
        while isinstance(command, click.Group) and rest and rest != ["--help"]:
            typed = rest[0]
            _, found, rest = command.resolve_command(context, rest)
            require(found, f"ri-images has no command {typed}.")
            assert found is not None
            command = found
            group = isinstance(command, click.Group)
            context = command.make_context(typed, rest, parent=context, resilient_parsing=group)
            if group:
                rest = [*context._protected_args, *context.args]
    except click.exceptions.Exit:
        return
    except click.UsageError as error:
        # A file that an example names need not be there.
        require("does not exist" in error.format_message(), error.format_message())


def script(words: Words) -> None:
    require((ROOT / words[0]).is_file(), f"There is no {words[0]}.")
    shell = "bash" if "bash" in (ROOT / words[0]).read_text().partition("\n")[0] else "sh"
    done = subprocess.run([shell, "-n", str(ROOT / words[0])], check=False, capture_output=True)
    require(done.returncode == 0, f"{words[0]} is no shell script.")


def pytest(words: Words) -> None:
    for word in words:
        require(word.startswith("-") or (ROOT / word).exists(), f"There is no {word}.")


def uv(words: Words) -> None:
    options = {word for word in words if word.startswith("--")}
    told = help_of(str(ROOT / ".venv/bin/uv"), words[0])
    require(all(option in told for option in options), f"uv {words[0]} takes no {options}.")


def pip(words: Words) -> None:
    """`pip install` of a project here, or of the wheel that an instance serves."""
    require(words[0] == "install", "Only installing is documented.")
    for word in words[1:]:
        local = (ROOT / word / "pyproject.toml").is_file()
        require(local or word.endswith(".whl") or word.startswith("-"), f"What is {word}?")


# --- other people's ---------------------------------------------------------------------------------------


def docker(words: Words) -> None:
    if words[0] == "compose":
        compose(words[1:])
    elif words[0] == "build":
        require((ROOT / words[words.index("-f") + 1]).is_file(), "There is no such Containerfile.")
        require(words[-1] == ".", "The project's folder is what the image is made of.")
    elif words[:2] == ["network", "connect"]:
        project, _, network = words[2].rpartition("_")
        require(project == COMPOSE["name"], f"The project is named {COMPOSE['name']}.")
        require(network in COMPOSE["networks"], f"There is no network {network}.")
    else:
        raise Wrong(f"docker {words[0]} has no rule.")


def compose(words: Words) -> None:
    require(words[:2] == ["-f", "deploy/compose.yaml"], "Name the file: -f deploy/compose.yaml.")
    words = words[2:]
    if words[:1] == ["--profile"]:
        profiles = {
            name for found in COMPOSE["services"].values() for name in found.get("profiles", [])
        }
        require(words[1] in profiles, f"There is no profile {words[1]}.")
        words = words[2:]
    verb, *rest = words
    known = ("up", "down", "exec", "run", "stop", "start", "restart", "logs", "build", "pull", "ps")
    require(verb in known, f"compose has no {verb}.")
    services = []
    while rest:
        word = rest.pop(0)
        if word == "--scale":
            services.append(rest.pop(0).partition("=")[0])
        elif not word.startswith("-"):
            services.append(word)
            if verb in ("exec", "run"):
                break
    for name in services:
        require(name in COMPOSE["services"], f"There is no service {name}.")
    if verb == "exec" and rest[:2] == ["python", "manage.py"]:
        if rest[2:]:
            django(rest[2:])
    elif verb == "run" and rest:
        platform(rest)


def curl(words: Words) -> None:
    """The address has to be one of the API's."""
    addresses = [word for word in words if re.match(r"https?://|<?\$", word)]
    require(addresses, "Which address?")
    for address in addresses:
        path = re.sub(r"\$\{?\w+\}?", "1", urlsplit(address).path)
        try:
            resolve(path)
        except Resolver404:
            raise Wrong(f"There is nothing at {path}.") from None


def terraform(words: Words) -> None:
    require(words[0] in ("init", "test", "validate", "plan", "apply"), f"What is {words[0]}?")


def git(words: Words) -> None:
    require(words[0] in ("clone", "commit", "push", "switch", "tag"), f"What is {words[0]}?")


def anything(words: Words) -> None:
    """Nothing to check without the program itself."""


@dataclass(frozen=True)
class Rule:
    """`ran_by` names a test that runs such commands, or says why none does; `install`, what has to
    stand on the page of a program that not everybody has."""

    check: Callable[[Words], None]
    ran_by: str
    install: str = ""


WALK = "tests/documentation/test_walk.py"
ENGINE = "It needs a Docker engine; tests/deploy/test_image.py does the same by buildah."
RULES = {
    "make": Rule(make, "They are what CI and tools/bare_roots run."),
    PYTHON: Rule(python, WALK),
    ".venv/bin/pytest": Rule(pytest, "It is what runs this."),
    ".venv/bin/uv": Rule(uv, "tests/test_wheels.py"),
    "manage": Rule(django, "tests/deploy/test_image.py"),
    "manage.py": Rule(django, "tests/deploy/test_image.py"),
    "ri-platform": Rule(platform, "tests/test_wheels.py"),
    "ri-images": Rule(sdk, "tests/sdk/test_examples.py"),
    "pip": Rule(pip, "tests/test_wheels.py"),
    "sh": Rule(script, "tests/deploy/test_compose.py"),
    "bash": Rule(script, "tests/deploy/test_compose.py"),
    "tools/lighthouse.sh": Rule(lambda words: script(["tools/lighthouse.sh"]), "It needs Node.", "Node"),
    "curl": Rule(curl, WALK, "apt-get install curl"),
    "skopeo": Rule(anything, WALK, "apt-get install skopeo"),
    "docker": Rule(docker, ENGINE, "Docker|docker|compose"),
    "terraform": Rule(terraform, "tests/terraform/test_module.py", "erraform"),
    "promtool": Rule(anything, "tests/deploy/test_alerts.py", "apt-get install prometheus"),
    "kubectl": Rule(anything, "It needs a cluster.", "Kubernetes"),
    "wapiti": Rule(anything, "It scans for hours; the page tells what it found.", "wapiti 3"),
    "apt-get": Rule(anything, "It changes the machine."),
    "sudo": Rule(anything, "It changes the machine."),
    "git": Rule(git, "It would change this repository."),
    "kill": Rule(anything, "tests/crashes.py"),
}  # fmt: skip
# Of the shell and of every Debian; what they do is seen when the block runs.
EVERYWHERE = {
    "set",
    ".",
    "export",
    "cd",
    "alias",
    "echo",
    "cat",
    "cp",
    "rm",
    "mkdir",
    "test",
    "python3",
}


def check(words: Words) -> None:
    """Raises `Wrong` for a command that cannot be called so, or that has no rule."""
    name, *arguments = words
    if name == "alias":
        for value in arguments:
            check(value.partition("=")[2].split())
        return
    if name in EVERYWHERE:
        return
    require(name in RULES, f"{name} has no rule in tests/documentation/programs.py.")
    if arguments or name in ("make",):
        RULES[name].check(arguments)


def ran_by_exists(rule: Rule) -> bool:
    named = rule.ran_by.startswith("tests/") and " " not in rule.ran_by
    return Path(ROOT, rule.ran_by).is_file() if named else rule.ran_by.endswith(".")
