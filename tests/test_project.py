"""The repository as a project: its licence, one version, its CI, its forms and its docstrings."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from ri_platform.version import VERSION
from tests.order import LONGEST, TESTS

ROOT = Path(__file__).resolve().parents[1]
PROJECTS = [ROOT / "pyproject.toml", ROOT / "sdk/pyproject.toml"]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))


def metadata(path: Path) -> dict[str, Any]:
    project: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))["project"]
    return project


def minors(path: Path) -> list[str]:
    """The Python versions that a project's classifiers name."""
    found = [re.fullmatch(r".*:: (3\.\d+)", name) for name in metadata(path)["classifiers"]]
    return [match[1] for match in found if match]


@pytest.mark.parametrize("path", PROJECTS, ids=str)
def test_metadata_is_complete_and_names_nobody(path: Path) -> None:
    project = metadata(path)
    assert project["license"] == "Apache-2.0"
    assert project["license-files"] == ["LICENSE"]
    assert (path.parent / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
    assert {"description", "readme", "requires-python", "classifiers", "keywords"} <= set(project)
    assert not {"authors", "maintainers", "urls"} & set(project)
    assert "build-system" in tomllib.loads(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", PROJECTS, ids=str)
def test_the_version_stands_in_one_place(path: Path) -> None:
    told = tomllib.loads(path.read_text(encoding="utf-8"))
    assert "version" in told["project"]["dynamic"]
    module = path.parent / told["tool"]["hatch"]["version"]["path"]
    assert module.resolve() == ROOT / "ri_platform/version.py"
    assert f'VERSION = "{VERSION}"' in module.read_text(encoding="utf-8")


def test_ci_runs_the_makefiles_targets_on_every_supported_python() -> None:
    jobs = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))["jobs"]
    assert {"make check", "make test", "make test-long"} == {
        step["run"] for job in jobs.values() for step in job["steps"] if "run" in step
    }
    for job in jobs.values():
        for path in PROJECTS:
            assert job["strategy"]["matrix"]["python"] == minors(path)
    lowest = minors(ROOT / "pyproject.toml")[0]
    assert metadata(ROOT / "pyproject.toml")["requires-python"].startswith(f">={lowest}")


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_has_narrow_rights_and_calls_what_exists(path: Path) -> None:
    workflow = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert "permissions" in workflow
    for job in workflow["jobs"].values():
        if "uses" in job:
            assert (ROOT / job["uses"]).is_file()
            continue
        assert job["timeout-minutes"] <= 60
        for command in (step["run"] for step in job["steps"] if "run" in step):
            checked = subprocess.run(["bash", "-n"], input=command, text=True, check=False)
            assert checked.returncode == 0, command
            for target in re.findall(r"\bmake ([a-z-]+)", command):
                assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
            for script in re.findall(r"\btools/[\w.]+", command):
                assert (ROOT / script).is_file()


def test_forms_and_the_devcontainer_can_be_read() -> None:
    for path in (ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml"):
        form = yaml.safe_load(path.read_text(encoding="utf-8"))
        if path.name != "config.yml":
            assert form["name"]
            assert [item["id"] for item in form["body"] if item["type"] != "markdown"]
    told = json.loads((ROOT / ".devcontainer/devcontainer.json").read_text(encoding="utf-8"))
    assert told["postCreateCommand"] == "make install"


def test_a_line_of_a_template_fits_a_screen() -> None:
    long = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in (ROOT / "templates").rglob("*.html")
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if len(line) > 160
    ]
    assert not long


# An element of HTML without an end (WHATWG HTML, "void elements").
VOID = {"br", "hr", "img", "input", "link", "meta"}


def test_a_template_closes_each_element_that_it_opens() -> None:
    templates = sorted((ROOT / "templates").rglob("*.html"))
    assert len(templates) > 100
    for path in templates:
        tags = re.findall(r"<(/?)([a-z][a-z0-9]*)\b", path.read_text(encoding="utf-8"))
        opened = Counter(name for end, name in tags if not end and name not in VOID)
        assert opened == Counter(name for end, name in tags if end), path


# --- releases ---------------------------------------------------------------------------------------------


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    (tmp_path / "ri_platform").mkdir()
    (tmp_path / "ri_platform/version.py").write_text('VERSION = "0.1.0"\n')
    (tmp_path / "CHANGELOG.md").write_text(
        "# Changelog\n\n## Unreleased\n\n### Added\n- A thing.\n"
    )
    return tmp_path


def release(root: Path, *arguments: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "tools/release.py", "--root", str(root), *arguments],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def test_a_release_sets_the_version_and_dates_the_changelog(copy: Path) -> None:
    assert release(copy, "0.2.0")[0] == 0
    assert (copy / "ri_platform/version.py").read_text() == 'VERSION = "0.2.0"\n'
    assert re.search(
        r"## Unreleased\n\n## 0\.2\.0 - \d{4}-\d\d-\d\d\n\n### Added\n- A thing\.",
        (copy / "CHANGELOG.md").read_text(),
    )
    assert release(copy, "--check", "v0.2.0") == (0, "")
    assert release(copy, "--notes") == (0, "### Added\n- A thing.\n")
    code, said = release(copy, "--check", "v0.3.0")
    assert (code, said) == (1, "The tag v0.3.0 is not the version's, v0.2.0.\n")


@pytest.mark.parametrize(
    ("version", "sentence"),
    [("0.0.9", "from 0.1.0 on"), ("2.0", "MAJOR.MINOR.PATCH"), ("v1.0.0", "MAJOR.MINOR.PATCH")],
)
def test_a_version_that_is_none_is_refused(copy: Path, version: str, sentence: str) -> None:
    code, said = release(copy, version)
    assert code == 1
    assert sentence in said
    assert "## Unreleased\n\n### Added" in (copy / "CHANGELOG.md").read_text()


def test_there_has_to_be_something_to_release(copy: Path) -> None:
    assert release(copy, "0.2.0")[0] == 0
    assert release(copy, "0.3.0") == (1, "There is nothing under Unreleased in CHANGELOG.md.\n")


@dataclass(frozen=True)
class Facts:
    """What the tests below ask of a module; of its functions, the lines of each, and the names at its top."""

    docstring: str
    named: list[str]
    lines: dict[str, int]
    imported: list[str]


@cache
def facts_of(path: Path) -> Facts:
    """Syntax trees take seconds to make and are large, so each is looked at once and not kept."""
    tree = ast.parse(path.read_text("utf-8"))
    every = list(ast.walk(tree))
    return Facts(
        docstring=ast.get_docstring(tree) or "",
        named=[node.name for node in tree.body if isinstance(node, ast.FunctionDef)],
        lines={
            f"{path}:{node.name}": (node.end_lineno or 0) - node.lineno + 1
            for node in every
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        },
        imported=list(imported_modules(every)),
    )


def imported_modules(nodes: list[ast.AST]) -> Iterator[str]:
    """The modules and the names that a module imports, with their packages."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{name.name}" for name in node.names)


FOLDERS = ("images", "workspaces", "ri_platform", "sdk", "tools", "benchmarks")


def test_a_modules_docstring_says_what_it_is_and_asks_no_question() -> None:
    """A module is described by a noun, not by "What …" or "Who …"."""
    question = re.compile(r"(Which|How|What|Who|Whose|Where|When|Why|Whether)\b")
    modules = [path for folder in FOLDERS for path in ROOT.glob(f"{folder}/**/*.py")]
    assert len(modules) > 300
    assert not [path for path in modules if question.match(facts_of(path).docstring)]


def test_a_function_is_named_by_a_verb_or_a_noun_and_not_by_a_participle_alone() -> None:
    """Methods may be adjectives, as a queryset's `waiting`. `guarded` is one of what it decorates."""
    allowed = {"guarded", "listed"}
    participle = re.compile(
        r"(?!(embed|feed|need|proceed|seed|succeed)$)[a-z]+ed|one|told|said|shown|known|own|held|made|built"
        r"|(what|who|why|how|said|told|those)_\w+|\w+_(described|told)"
    )
    named = [
        f"{path.relative_to(ROOT)}: {name}"
        for folder in FOLDERS
        for path in ROOT.glob(f"{folder}/**/*.py")
        for name in facts_of(path).named
        if participle.fullmatch(name) and name not in allowed
    ]
    assert not named


def test_no_module_imports_from_a_test_or_a_conftest() -> None:
    """What several tests use lies in a module of its own name, as tests/cast.py and tests/builds.py."""
    wrong = [
        f"{path.relative_to(ROOT)}: {module}"
        for path in ROOT.glob("tests/**/*.py")
        for module in facts_of(path).imported
        if module.startswith("tests.") and re.search(r"\.(conftest|test_\w+)(\.|$)", module)
    ]
    assert not wrong


# --- size ---------------------------------------------------------------------------------------------------

APPS = [
    path for app in ("images", "workspaces", "ri_platform") for path in ROOT.glob(f"{app}/**/*.py")
]


def test_no_module_is_longer_than_350_lines() -> None:
    """All but the settings, which are read from top to bottom as one list."""
    modules = [path for path in APPS if path != ROOT / "ri_platform/settings.py"]
    assert len(modules) > 200
    lengths = {str(path): len(path.read_text("utf-8").splitlines()) for path in modules}
    assert not {path: length for path, length in lengths.items() if length > 350}


def test_no_function_is_longer_than_50_lines() -> None:
    lengths = {name: lines for path in APPS for name, lines in facts_of(path).lines.items()}
    assert len(lengths) > 1_000
    assert not {name: length for name, length in lengths.items() if length > 50}


def test_the_files_that_begin_first_are_there() -> None:
    assert not [name for name in LONGEST if not (TESTS / name).exists()]
