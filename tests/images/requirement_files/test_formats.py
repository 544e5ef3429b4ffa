"""Each format, by a small file as its tool writes it."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import pytest

from images.requirement_files import Reading, SuppliedFile, files_of_zip, read

FILES = Path(__file__).with_name("files")


def supplied(*names: str, called: str = "") -> list[SuppliedFile]:
    return [SuppliedFile(called or name, (FILES / name).read_text("utf-8")) for name in names]


def read_files(*names: str, called: str = "", **options: Any) -> Reading:
    options = {
        "python_version": "3.11",
        "indexes": {"main": "https://index.example/simple"},
        **options,
    }
    return read(supplied(*names, called=called), **options)


def asked(reading: Reading) -> list[str]:
    assert reading.sentences == []
    return [str(wanted) for wanted in reading.requirements]


def test_a_project_with_an_extra_of_extras_and_a_group_of_groups() -> None:
    plain = read_files("pyproject.toml")
    assert asked(plain) == ["click>=8", "iniconfig"]
    assert [wanted.line for wanted in plain.requirements] == [6, 7]
    assert plain.groups == ("dev", "lint")
    assert plain.extras == ("serve", "all")
    chosen = read_files("pyproject.toml", extras=["all"], groups=["dev"])
    assert asked(chosen) == ["click>=8", "iniconfig", "h11", "pluggy>=1.5", "mccabe"]
    older = read_files("pyproject.toml", python_version="3.9")
    assert [entry.line for entry in older.left_out] == [7]


def test_a_group_that_no_file_has_is_refused_with_those_that_there_are() -> None:
    reading = read_files("pyproject.toml", groups=["test"])
    assert reading.sentences == ["No file has the group test; there are dev, lint."]


def test_a_project_for_another_python_is_refused() -> None:
    text = '[project]\nname = "churn"\nrequires-python = ">=3.12"\ndependencies = []\n'
    reading = read([SuppliedFile("pyproject.toml", text)], python_version="3.11")
    assert reading.refused[0].line == 3
    assert "choose another Python" in reading.refused[0].message


def test_an_index_of_uvs_sources_is_the_operators_by_its_address() -> None:
    text = """[project]
name = "churn"
dependencies = ["torch", "numpy"]
[tool.uv.sources]
torch = { index = "cpu" }
[[tool.uv.index]]
name = "cpu"
url = "https://torch.example/whl/cpu"
"""
    indexes = {"pytorch-cpu": "https://torch.example/whl/cpu/"}
    reading = read([SuppliedFile("pyproject.toml", text)], python_version="3.11", indexes=indexes)
    assert [wanted.index for wanted in reading.requirements] == ["pytorch-cpu", ""]
    unknown = read([SuppliedFile("pyproject.toml", text)], python_version="3.11")
    assert unknown.refused[0].line == 3


@pytest.mark.slow
def test_poetrys_tables() -> None:
    plain = read_files("poetry-pyproject.toml", called="pyproject.toml")
    assert [str(wanted) for wanted in plain.requirements] == [
        "numpy<2.0,>=1.26",
        "pandas[parquet]<2.3,>=2.2",
    ]
    assert [entry.line for entry in plain.left_out] == [9, 10]
    assert [problem.line for problem in plain.refused] == [11]
    chosen = read_files(
        "poetry-pyproject.toml", called="pyproject.toml", extras=["serve"], groups=["dev"]
    )
    assert [str(wanted) for wanted in chosen.requirements[2:]] == ["uvicorn>=0.30", "pytest==8.*"]


def test_hatchs_environments_are_chosen_like_groups() -> None:
    reading = read_files("hatch-pyproject.toml", called="pyproject.toml", groups=["notebook"])
    assert asked(reading) == ["numpy", "jupyterlab>=4"]
    assert reading.groups == ("notebook",)


def test_a_scripts_inline_metadata() -> None:
    reading = read_files("script.py")
    assert asked(reading) == ["httpx<1", "rich"]
    assert [wanted.line for wanted in reading.requirements] == [5, 6]


def test_a_notebooks_install_lines() -> None:
    reading = read_files("notebook.ipynb")
    assert asked(reading) == ["numpy<2,>=1.26", "pandas==2.2.2", "seaborn"]
    assert [wanted.line for wanted in reading.requirements] == [18, 18, 19]


def test_setup_cfg() -> None:
    reading = read_files("setup.cfg", extras=["serve"])
    assert asked(reading) == ["numpy>=1.26", "uvicorn[standard]"]
    assert [entry.line for entry in reading.left_out] == [8]


def test_pip_freeze_takes_the_version_that_a_path_tells() -> None:
    reading = read_files("freeze.txt")
    assert [str(wanted) for wanted in reading.requirements] == ["numpy==1.26.4", "pandas==2.2.2"]
    assert [problem.line for problem in reading.refused] == [1]


def test_an_environment_of_conda() -> None:
    reading = read_files("environment.yml", "more.txt")
    assert asked(reading) == [
        "numpy==1.26.*",
        "pandas==2.2.2",
        "torch<3,>=2.2",
        "scikit-learn==1.4.2",
        "click==8.1.7",
        "shap>=0.45",
    ]
    assert reading.python_version == "3.11"
    told = {entry.line: entry.reason for entry in reading.left_out}
    assert told[10] == "Name the OS package ffmpeg instead."
    assert "CUDA" in told[12]
    assert set(told) == {5, 10, 11, 12, 13, 16, 18}


def test_a_models_folder_also_as_a_zip() -> None:
    names = ("requirements.txt", "conda.yaml", "python_env.yaml")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name in names:
            archive.write(FILES / name, f"model/{name}")
        archive.writestr("model/MLmodel", "flavors: {}\n")
    folder = read(supplied(*names))
    assert [str(wanted) for wanted in folder.requirements if wanted.name != "pip"] == [
        "mlflow==2.9.2",
        "scikit-learn==1.3.2",
    ]
    assert folder.sentences == []
    assert folder.python_version == "3.10"
    assert {str(wanted) for wanted in read(files_of_zip(packed.getvalue())).requirements} == {
        str(wanted) for wanted in folder.requirements
    }


@pytest.mark.slow
def test_a_lock_of_uv_with_its_hashes() -> None:
    reading = read_files("uv.lock", "pyproject.toml", extras=["serve"], groups=["lint"])
    assert [wanted.name for wanted in reading.requirements] == [
        "click",
        "h11",
        "iniconfig",
        "mccabe",
    ]
    assert reading.refused == ()
    assert reading.locked == "uv.lock"
    assert reading.groups == ("dev", "lint")
    assert reading.lock
    assert all(package.files and package.line for package in reading.lock.packages)
    assert reading.lock.packages[0].index_url == "https://index.example/simple"
    older = read_files("uv.lock", python_version="3.9")
    newer = read_files("uv.lock", python_version="3.14")
    assert older.requirements[0].specifier != newer.requirements[0].specifier


def test_a_lock_of_pep_751() -> None:
    reading = read_files("pylock.toml")
    assert [wanted.name for wanted in reading.requirements] == ["click", "iniconfig"]
    assert reading.locked == "pylock.toml"
    assert all(wanted.hashes for wanted in reading.requirements)


def test_a_locks_groups_are_decided_by_its_markers() -> None:
    text = """lock-version = "1.0"
created-by = "hand"
dependency-groups = ["dev"]
default-groups = []
[[packages]]
name = "attrs"
version = "25.1.0"
marker = "'dev' in dependency_groups"
index = "https://index.example/simple"
wheels = [{ url = "https://files.example/attrs-25.1.0-py3-none-any.whl", hashes = { sha256 = "%s" } }]
""" % ("a" * 64)
    file = SuppliedFile("pylock.toml", text)
    assert read([file], python_version="3.11").requirements == ()
    chosen = read([file], python_version="3.11", groups=["dev"])
    assert asked(chosen) == ["attrs==25.1.0"]


@pytest.mark.parametrize("name", ["poetry.lock", "pdm.lock"])
def test_locks_of_poetry_and_pdm(name: str) -> None:
    plain = read_files(name)
    assert asked(plain) == ["click==8.1.8"]
    assert plain.locked == name
    chosen = read_files(name, extras=["serve"], groups=["dev"])
    assert asked(chosen) == ["click==8.1.8", "h11==0.14.0", "pluggy==1.5.0"]
    assert all(wanted.hashes and wanted.line for wanted in chosen.requirements)


def test_a_lock_of_pipenv() -> None:
    reading = read_files("Pipfile.lock", groups=["develop"])
    assert asked(reading) == ["click==8.1.8", "pluggy==1.5.0"]
    assert reading.python_version == "3.11"
    assert reading.lock
    assert reading.lock.packages[0].index_url == "https://index.example/simple"
    other = read_files("Pipfile.lock", python_version="3.12")
    assert "choose another Python" in other.sentences[0]


def test_an_exported_list_with_hashes_throughout_is_a_lock() -> None:
    reading = read_files("hashed.txt", called="requirements.txt")
    assert [wanted.name for wanted in reading.requirements] == ["click", "iniconfig"]
    assert reading.locked == "requirements.txt"


def test_a_pasted_text_is_told_by_what_stands_in_it() -> None:
    assert asked(read_files("pyproject.toml", called="requirements.txt")) == [
        "click>=8",
        "iniconfig",
    ]
    assert read_files("uv.lock", called="requirements.txt").locked == "requirements.txt"
    assert read_files("environment.yml", "more.txt").python_version == "3.11"


def test_two_locks_are_one_too_many() -> None:
    reading = read_files("uv.lock", "poetry.lock")
    assert reading.sentences == [
        "poetry.lock: uv.lock and poetry.lock are locks both; give one of them."
    ]
