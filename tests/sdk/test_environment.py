"""What is installed in an interpreter, as an image can have it."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import httpx
import pytest
from ri_platform_sdk import AsyncClient, Client, InvalidRequest, read_environment
from ri_platform_sdk.dependencies import Distribution, origin_of, top_level

from images.models import BaseImage, ManagedImage
from tests.cast import Cast
from tests.sdk.prompt import Instance, Prompt, in_a_thread
from tests.sdk.venvs import Venv

pytestmark = pytest.mark.slow

PromptOf = Callable[..., Prompt]
LATE = pytest.mark.django_db(transaction=True)
PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"


@pytest.fixture(scope="module")
def venv(tmp_path_factory: pytest.TempPathFactory) -> Venv:
    """pandas-like `frames` with its dependency, a wheel by path, and a project in place."""
    made = Venv.make(tmp_path_factory.mktemp("venv"))
    made.wheel("frames", "arrays>=1", "speed; extra == 'fast'", "winonly; sys_platform == 'win32'")
    for name in ("arrays", "speed", "scoring", "orphan", "winonly", "pip", "wheel"):
        made.wheel(name)
    made.pip_install("frames[fast]", "pip", "wheel")
    made.pip_install(made.wheel("given", version="2.0"))
    made.develop("churn", "scoring==1.0")
    return made


def test_top_level_is_what_was_asked_for_and_what_nothing_else_brings(venv: Venv) -> None:
    found = read_environment(interpreter=venv.python)
    # The extra's library and the project's are needed, and nothing that is taken brings them.
    assert found.requirements == ("frames==1.0", "scoring==1.0", "speed==1.0")
    assert found.others == ("arrays",)
    assert found.python_version == PYTHON


def test_freeze_is_everything_with_its_version(venv: Venv) -> None:
    found = read_environment("freeze", interpreter=venv.python)
    assert found.requirements == ("arrays==1.0", "frames==1.0", "scoring==1.0", "speed==1.0")
    assert found.others == ()


def test_what_no_index_has_is_left_out_with_the_reason_or_refused(venv: Venv) -> None:
    told = {item.name: item.reason for item in read_environment(interpreter=venv.python).left_out}
    assert set(told) == {"churn", "given", "pip", "wheel"}
    assert told["churn"].startswith("was installed in place from a source folder; release it")
    assert told["given"].startswith("was installed from a file or folder of the machine;")
    assert told["pip"] == "makes environments; the image has its own."
    with pytest.raises(InvalidRequest, match=r"churn 1\.0 was installed in .* given 2\.0 was"):
        read_environment(interpreter=venv.python, strict=True)
    found = read_environment(
        interpreter=venv.python, strict=True, without=["Churn", "given", "frames"]
    )
    # What only `frames` needs goes with it; what the project needs stays.
    assert found.requirements == ("scoring==1.0", "speed==1.0")
    with pytest.raises(InvalidRequest, match="nobody is not installed"):
        read_environment(interpreter=venv.python, without=["nobody"])


def test_the_file_tells_what_was_left_out_and_no_path(venv: Venv) -> None:
    file = read_environment(interpreter=venv.python).as_file()
    assert file.text.splitlines()[:2] == [
        f"# Installed in Python {PYTHON}.",
        "# Left out: churn 1.0.",
    ]
    assert str(venv.folder) not in file.text


def test_uv_marks_everything_as_asked_for_and_is_not_believed(tmp_path: Path) -> None:
    made = Venv.make(tmp_path)
    made.wheel("frames", "arrays>=1")
    made.wheel("arrays")
    made.uv_install("frames")
    found = read_environment(interpreter=made.python)
    assert (found.requirements, found.others) == (("frames==1.0",), ("arrays",))


def test_what_cannot_be_asked_is_refused(tmp_path: Path) -> None:
    no_python = tmp_path / "python"
    no_python.write_text("#!/bin/sh\nexit 1\n")
    no_python.chmod(0o755)
    for path in (no_python, tmp_path / "missing"):
        with pytest.raises(InvalidRequest, match="does not run as a Python"):
            read_environment(interpreter=str(path))
    with pytest.raises(InvalidRequest, match="is none of top-level, imported, freeze"):
        read_environment("all")  # type: ignore[arg-type]
    with pytest.raises(InvalidRequest, match="own imports"):
        read_environment("imported", interpreter=sys.executable)
    empty = Venv.make(tmp_path)
    with pytest.raises(InvalidRequest, match="Nothing that is installed"):
        read_environment(interpreter=empty.python)


def test_what_a_notebook_refers_to_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    notebook = ModuleType("__main__")
    notebook.web, notebook.request = httpx, httpx.Request("GET", "http://x")  # type: ignore[attr-defined]
    notebook._hidden, notebook.In = click, [click]  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "__main__", notebook)
    found = read_environment("imported")
    assert found.requirements == (f"httpx=={httpx.__version__}",)
    assert "Django" in found.others
    assert found.left_out == ()


# --- metadata as it is found ------------------------------------------------------------------------------


def distribution(name: str, *requires: str, **others: Any) -> dict[str, Any]:
    plain = {"version": "1.0", "installer": "pip", "requested": False}
    return {
        "name": name,
        "requires": requires,
        "directUrl": None,
        "inProject": False,
        **plain,
        **others,
    }


def roots(*items: dict[str, Any]) -> set[str]:
    return set(top_level(Distribution.of(item, "3.11") for item in items))


def test_libraries_that_need_each_other_are_covered_by_one() -> None:
    assert roots(distribution("a", "b"), distribution("b", "a"), distribution("c")) == {"a", "c"}


def test_an_extra_that_another_library_asks_for_brings_its_libraries() -> None:
    items = [
        distribution("app", "web[fast]>=1"),
        distribution("web", "speed; extra == 'fast'", "tests; extra == 'dev'"),
        distribution("speed"),
        distribution("tests", "not a requirement ==="),
    ]
    assert roots(*items) == {"app", "tests"}


def test_markers_are_decided_for_the_interpreter_that_is_asked() -> None:
    old = distribution("a", "b; python_version < '3.12'")
    assert roots(old, distribution("b")) == {"a"}


@pytest.mark.parametrize(
    ("others", "origin"),
    [
        ({}, ""),
        ({"directUrl": {"url": "file:///x", "dir_info": {"editable": True}}}, "in place"),
        (
            {"directUrl": {"url": "file:///home/conda/work", "dir_info": {}}, "installer": "conda"},
            "",
        ),
        (
            {"directUrl": {"url": "https://x/a.git", "vcs_info": {"vcs": "git"}}},
            "a source repository",
        ),
        ({"directUrl": {"url": "https://x/a.whl", "archive_info": {}}}, "a URL"),
        ({"directUrl": {}}, "a URL"),
        ({"inProject": True}, "in place"),
    ],
)
def test_where_a_library_came_from_is_told(others: dict[str, Any], origin: str) -> None:
    told = origin_of(distribution("a", **others))
    assert told.startswith("installed") == bool(origin)
    assert origin in told


def test_a_project_folder_on_the_path_is_not_an_installation(tmp_path: Path) -> None:
    made = Venv.make(tmp_path)
    made.wheel("arrays")
    made.pip_install("arrays")
    (tmp_path / "src/mine.egg-info").mkdir(parents=True)
    (tmp_path / "src/mine.egg-info/PKG-INFO").write_text("Name: mine\nVersion: 1.0\n")
    (tmp_path / "setup.py").write_text("")
    (site,) = (tmp_path / "venv/lib").glob("python*/site-packages")
    (site / "mine.pth").write_text(f"{tmp_path / 'src'}\n")
    found = read_environment(interpreter=made.python)
    assert [item.name for item in found.left_out] == ["mine"]


# --- against a served instance ----------------------------------------------------------------------------


@LATE
def test_both_clients_create_an_image_of_this_interpreter(
    instance: Instance, cast: Cast, base: BaseImage, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = instance.token_for(cast.member)

    def use() -> None:
        with Client(instance.domain, secret) as client:
            made = client.create_from_environment(
                "notebook", python_version="3.11", without=["pytest"]
            )
            assert made.image.requirements == made.environment.requirements

    async def use_async() -> None:
        async with AsyncClient(instance.domain, secret) as client:
            made = await client.create_from_environment(
                "frozen", "freeze", python_version="3.11", tell=False
            )
            assert len(made.image.requirements) > 50

    in_a_thread(use)
    assert "Left out: pytest " in capsys.readouterr().err
    in_a_thread(lambda: asyncio.run(use_async()))
    assert "Left out" not in capsys.readouterr().err
    kept = ManagedImage.objects.get(name="notebook").requirement_files
    assert kept is not None
    assert "# Left out: pytest " in kept.supplied.files[0].text


@LATE
def test_a_snapshot_says_what_it_leaves_out_before_and_in_the_answer(
    prompt_of: PromptOf, cast: Cast, base: BaseImage, venv: Venv
) -> None:
    run = prompt_of(cast.member)
    words = ("churn", "--interpreter", venv.python, "--python", "3.11")
    made = run("snapshot", *words, "--no-wait", "--json")
    assert made.exit_code == 0, made.output
    assert "Left out: churn 1.0 was installed in place" in made.stderr
    told = json.loads(made.stdout)
    assert [item["name"] for item in told["image"]["pipRequirements"]] == [
        "frames",
        "scoring",
        "speed",
    ]
    assert told["environment"]["leftOut"][0]["name"] == "churn"
    assert run("snapshot", *words, "--strict").exit_code == 2


def test_a_preview_asks_no_instance(nobodys_prompt: Prompt, venv: Venv) -> None:
    words = ("snapshot", "churn", "--interpreter", venv.python, "--preview")
    shown = nobodys_prompt(*words, "--freeze")
    assert shown.exit_code == 0
    rows = [line.split() for line in shown.stdout.splitlines()]
    assert ["taken", "arrays", "1.0"] in rows
    assert any(row[:4] == ["left", "out", "churn", "1.0"] for row in rows)
    assert nobodys_prompt.json(*words)["others"] == ["arrays"]


def test_another_environment_that_is_active_is_pointed_at(nobodys_prompt: Prompt) -> None:
    words = ("snapshot", "churn", "--preview")
    outside = {"VIRTUAL_ENV": None, "CONDA_PREFIX": None}
    assert "--interpreter" not in Prompt({**nobodys_prompt.environment, **outside})(*words).stderr
    told = nobodys_prompt(*words, VIRTUAL_ENV="/home/somebody/.venv").stderr
    assert "add --interpreter /home/somebody/.venv/bin/python" in told


@pytest.mark.slow
@pytest.mark.network
@LATE
def test_the_command_takes_the_environment_that_it_is_installed_in(
    instance: Instance, cast: Cast, base: BaseImage, tmp_path: Path
) -> None:
    sdk = Path(__file__).resolve().parents[2] / "sdk"
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    run = tmp_path / "venv/bin"
    subprocess.run(
        [run / "python", "-m", "pip", "install", "-q", sdk, "pyjokes==0.8.3"], check=True
    )
    known = {"RI_DOMAIN": instance.domain, "RI_API_TOKEN": instance.token_for(cast.member)}
    done = subprocess.run(
        [run / "ri-images", "snapshot", "jokes", "--python", "3.11", "--no-wait", "--json"],
        capture_output=True, text=True, check=True, env=known,
    )  # fmt: skip
    told = json.loads(done.stdout)["environment"]
    assert told["requirements"] == ["pyjokes==0.8.3"]
    assert {item["name"]: item["reason"] for item in told["leftOut"]}[
        "ri-platform-sdk"
    ] == "is this client."
