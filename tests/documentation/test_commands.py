"""Every block and every command of the documentation is one that can be called as it stands there."""

from __future__ import annotations

import ast
import json
import re
import subprocess

import hcl2
import pytest
import yaml
from django.core.management import get_commands

from tests.documentation.pages import PAGES, ROOT, Code, Page
from tests.documentation.programs import EVERYWHERE, PYTHON, RULES, Wrong, check, ran_by_exists
from tests.documentation.shell import commands
from tools import lifecycle_diagram

pytestmark = pytest.mark.slow

BLOCKS = [block for page in PAGES for block in page.blocks()]
# Of what was: nobody types these.
HISTORY = ("CHANGELOG.md", "docs/decisions/")
# Whose `>>>` and `$` are run, answers included.
EXAMPLES = {
    "sdk/README.md": "tests/sdk/test_examples.py",
    "sdk/docs/reference.md": "tests/sdk/test_examples.py",
}


def checked(where: Code, text: str) -> list[str]:
    """The programs that a piece of shell calls. Fails for a command that cannot be called so."""
    called = []
    for words in commands(text):
        try:
            check(words)
        except Wrong as error:
            pytest.fail(f"{where}: `{' '.join(words)}`: {error}")
        called.append(words[0])
    return called


def shell(block: Code) -> None:
    done = subprocess.run(
        ["bash", "-n"], input=block.text, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{block}: {done.stderr}"
    assert checked(block, block.text), f"{block}: no command"


def console(block: Code) -> None:
    """A session: what is typed stands after `$`."""
    assert block.page in EXAMPLES, f"{block}: no test runs this session"
    typed = re.findall(r"^\s*\$ (.*)$", block.text, re.MULTILINE)
    assert typed, f"{block}: nothing is typed"
    for line in typed:
        checked(block, line)


def python(block: Code) -> None:
    """An example is a session that is run; the reference shows signatures beside them."""
    if block.page.endswith("reference.md"):
        return
    if ">>>" in block.text:
        assert block.page in EXAMPLES, f"{block}: no test runs this example"
    else:
        ast.parse(block.text)
        pytest.fail(f"{block}: write it as a session, with >>>, so that it is run")


def hcl(block: Code) -> None:
    (module,) = hcl2.loads(block.text)["module"]
    (arguments,) = module.values()
    variables = (ROOT / "terraform/variables.tf").read_text(encoding="utf-8")
    given = {name for name in arguments if not name.startswith("__")} - {"source"}
    assert given <= set(re.findall(r'^variable "(\w+)"', variables, re.MULTILINE)), str(block)
    assert (ROOT / json.loads(arguments["source"])).is_dir(), str(block)


def text(block: Code) -> None:
    """A drawing or a listing; what is typed does not hide in one."""
    for line in block.text.splitlines():
        word, _, rest = line.strip().lstrip("$ ").partition(" ")
        assert word not in RULES or not rest or rest.startswith(" "), f"{block}: `{line}` is shell"


def diagram_of_states(block: Code) -> None:
    assert block.text.strip() == lifecycle_diagram.diagram(), f"{block}: run make docs"


LANGUAGES = {
    "sh": shell,
    "console": console,
    "python": python,
    "hcl": hcl,
    "json": lambda block: json.loads(block.text),
    "yaml": lambda block: yaml.safe_load(block.text),
    "text": text,
    "mermaid": diagram_of_states,
}


def test_the_pages_are_found() -> None:
    names = {page.name for page in PAGES}
    assert {
        "README.md", "docs/api.md", "sdk/README.md", "deploy/README.md", "terraform/README.md"
    } <= names  # fmt: skip
    assert len(BLOCKS) > 60


@pytest.mark.parametrize(
    "block",
    [
        # The parser of HCL takes seconds to be made.
        pytest.param(block, marks=pytest.mark.slow if block.language == "hcl" else ())
        for block in BLOCKS
    ],
    ids=str,
)
def test_a_block_can_be_called_as_it_stands(block: Code) -> None:
    assert block.language in LANGUAGES, (
        f"{block}: a block names its language, one of {', '.join(LANGUAGES)}"
    )
    LANGUAGES[block.language](block)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_command_in_a_sentence_can_be_called_as_it_stands(page: Page) -> None:
    for span in page.spans():
        word, _, rest = span.text.partition(" ")
        if not rest or word == "." or "…" in span.text:
            continue
        if page.name.startswith(HISTORY):
            name = rest.partition(" ")[0]
            assert word != "manage.py" or name in get_commands(), f"{span}: there is no {name}"
            continue
        assert word not in ("python", "pytest", "manage.py"), (
            f"{span}: `{span.text}`: in a checkout that is {PYTHON}, {PYTHON} manage.py or .venv/bin/pytest"
        )
        if word in RULES or word.startswith(".venv/"):
            checked(span, span.text)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_says_how_to_get_what_not_everybody_has(page: Page) -> None:
    called: set[str] = set()
    for block in page.blocks():
        if block.language == "sh":
            called |= {words[0] for words in commands(block.text)}
    for name in called & set(RULES):
        assert re.search(RULES[name].install, page.text), f"{page.name}: how does one get {name}?"


def test_every_rule_names_the_test_that_runs_it_or_the_reason_why_none_does() -> None:
    assert [name for name, rule in RULES.items() if not ran_by_exists(rule)] == []
    assert [path for path in EXAMPLES.values() if not (ROOT / path).is_file()] == []
    assert not EVERYWHERE & set(RULES)


# --- the checks themselves --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [
        "make coffee", "nosuchprogram --now", f"{PYTHON} manage.py doctor --hours 3",
        f"{PYTHON} manage.py nothing", f"{PYTHON} -m benchmarks.upgrades --colours 3",
        "ri-images nothing", "ri-images list --nothing",
        "docker compose up", "docker compose -f deploy/compose.yaml exec nobody true",
        "docker compose -f deploy/compose.yaml up --scale nobody=2",
        "curl -s http://127.0.0.1:8000/v1/nothing", "TOKEN=$(.venv/bin/python manage.py nothing)",
        f'skopeo copy --src-creds "AWS:$({PYTHON} manage.py nothing)"', "true && make coffee",
        "alias x='make coffee'",
    ],
)  # fmt: skip
def test_what_cannot_be_called_is_found(wrong: str) -> None:
    *_, last = (words for words in commands(wrong) if words[0] not in ("true", "skopeo"))
    with pytest.raises(Wrong):
        check(last)


def test_a_line_is_taken_apart_as_the_shell_would() -> None:
    text = "A=1 B=2 x --y 'a b' \\\n  $(z <number> | w) > out; v # a comment\nC=$(u ${D#http://})"
    assert commands(text) == [
        ["z", "placeholder"], ["w"], ["x", "--y", "a b", "$"], ["v"], ["u", "${D#http://}"]
    ]  # fmt: skip
