"""Every case of pasted and uploaded files, read for Python 3.11 on x86_64."""

from __future__ import annotations

from pathlib import Path

import pytest

from images.requirement_files import Reading, SuppliedFile, read

CASES = Path(__file__).with_name("cases")
INDEXES = {"main": "https://main.example/simple"}

TAKEN = {
    "marker": ["numpy"],
    "via-comments": ["click==8.1.7"],
    "no-space-comment": ["numpy==1.26.4"],
    "fullwidth-comment": ["numpy"],
    "tabs": ["numpy==1.26.4"],
    "crlf": ["numpy", "pandas"],
    "bom-utf8": ["numpy==1.26.4"],
    "nbsp": ["numpy==1.26.4"],
    "emptylines-form-feed": ["numpy", "pandas"],
    "paren-spec": ["numpy>=1.20"],
    "name-with-space-eq": ["numpy==1.26.4"],
    "extras-odd-case": ["Uvicorn[Standard]"],
    "v-prefix": ["geopandas==v0.14.4"],
    "wildcard": ["librosa==0.10.0.*"],
    "epoch": ["foo==1!2.0"],
    "dashed-pre": ["foo==1.0-beta"],
    "date": ["certifi==2024.02.02"],
    "tilde": ["pydantic~=2.0"],
    "trailing-comma": ["numpy>=1.20"],
    "dup-same": ["numpy==1.26.4"],
    "dup-compatible": ["numpy<3,>=1.20"],
    "dup-extras": ["uvicorn[standard]"],
    "hash-continued": ["pyjokes==0.8.3"],
    "pre-option": ["numpy"],
    "prefer-binary": ["numpy"],
    "local": ["torch==2.2.0+cpu"],
    "stdlib-name": ["argparse==1.4.0"],
    "pip-line": ["pip==25.1.1", "setuptools", "wheel"],
}
# A part of the sentence; what else stands in the file is taken.
REFUSED = {
    "index-option": ("The platform has the index main", ["numpy"]),
    "extra-index": ("The platform has the index main", ["numpy"]),
    "find-links": ("The platform has the index main", ["numpy"]),
    "env-var": ("credentials", ["numpy"]),
    "trusted-host": ("The platform has the index main", ["numpy"]),
    "include": ("base.txt was not given along", ["numpy"]),
    "constraint": ("constraints.txt was not given along", ["mlflow==2.9.2"]),
    "name-at-url": ("name its released version, like en-core-web-sm==1.0", []),
    "bare-url": ("name its released version, like en-core-web-sm==1.0", []),
    "git": ("upload the wheel", []),
    "egg": ("like clip==1.0", []),
    "editable-dot": ("A folder is on your machine", ["numpy"]),
    "editable-extras": ("A folder is on your machine", []),
    "dot": ("A folder is on your machine", ["numpy"]),
    "local-wheel": ("like foo==1.0", []),
    "freeze-editable-comment": ("A folder is on your machine", []),
    "config-settings": ("leave --config-settings out", []),
    "bullet": ("write numpy", []),
    "single-eq": ("write numpy==1.26.4", []),
    "quotes": ("write numpy==1.26.4", []),
    "python-line": ("Python is chosen for the image", ["numpy"]),
    "conda-list-explicit": ("environment.yml", []),
    "ge-wildcard": ("write librosa>=0.10", []),
    "zero-width": ("write numpy==1.26.4", []),
}


def pasted(name: str, *others: SuppliedFile, **options: object) -> Reading:
    text = (CASES / f"{name}.txt").read_bytes().decode()
    file = SuppliedFile("requirements.txt", text)
    return read([file, *others], python_version="3.11", **{"indexes": INDEXES, **options})  # type: ignore[arg-type]


def test_every_case_has_its_row() -> None:
    assert {path.stem for path in CASES.iterdir()} == {*TAKEN, *REFUSED, "long-line"}


@pytest.mark.parametrize("name", TAKEN)
def test_what_pip_takes_is_taken(name: str) -> None:
    reading = pasted(name)
    assert reading.sentences == []
    assert [str(wanted) for wanted in reading.requirements] == TAKEN[name]


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_taken_says_what_to_do(name: str) -> None:
    part, others = REFUSED[name]
    reading = pasted(name)
    (problem,) = reading.refused
    assert part in problem.message
    assert problem.line
    assert problem.message.endswith(".")
    assert [str(wanted) for wanted in reading.requirements] == others


def test_a_library_with_eighty_extras_is_one_requirement() -> None:
    (wanted,) = pasted("long-line").requirements
    assert wanted.name == "apache-airflow"
    assert len(wanted.extras) > 60


def test_a_marker_is_decided_for_the_image() -> None:
    file = SuppliedFile(
        "requirements.txt", 'numpy; python_version >= "3.12"\nmkl; platform_machine == "x86_64"\n'
    )
    older = read([file], python_version="3.9", machine="aarch64")
    newer = read([file], python_version="3.14", machine="x86_64")
    assert older.requirements == ()
    assert [entry.line for entry in older.left_out] == [1, 2]
    assert [wanted.name for wanted in newer.requirements] == ["numpy", "mkl"]


def test_options_keep_their_meaning() -> None:
    assert pasted("pre-option").prereleases
    (preferred,) = pasted("prefer-binary").left_out
    assert preferred.reason.startswith("Wheels are always preferred")
    assert "argparse" in pasted("stdlib-name").hints[0]


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("extra-index", "https://torch.example/whl/cpu/"),
        ("find-links", "https://TORCH.example:443/whl/torch_stable.html"),
        ("index-option", "https://index.example/simple"),
    ],
)
def test_an_option_with_a_configured_address_means_the_index_by_name(
    name: str, address: str
) -> None:
    reading = pasted(name, indexes={**INDEXES, "torch": address})
    assert reading.refused == ()
    assert reading.indexes == ("torch",)
    assert reading.requirements[0].index == ("torch" if name == "index-option" else "")


def test_credentials_are_never_told_again() -> None:
    file = SuppliedFile(
        "r.txt",
        "--index-url https://me:secret@main.example/simple\nx @ https://u:secret@a.example/x.whl\n",
    )
    assert "secret" not in repr(read([file], python_version="3.11", indexes=INDEXES))


def test_variables_of_the_server_are_not_filled_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMPY_VERSION", "1.26.4")
    reading = read([SuppliedFile("r.txt", "numpy==${NUMPY_VERSION}\n")], python_version="3.11")
    assert "1.26.4" not in repr(reading)
    assert reading.refused[0].line == 1


def test_files_given_along_are_included() -> None:
    reading = pasted("include", SuppliedFile("base.txt", "pandas>=2\n-c limits/constraints.txt\n"),
                     SuppliedFile("limits/constraints.txt", "pandas<3\nidna==3.7\n"))  # fmt: skip
    assert [(str(wanted), wanted.file) for wanted in reading.requirements] == [
        ("pandas<3,>=2", "base.txt"),
        ("numpy", "requirements.txt"),
    ]
    assert [str(bound) for bound in reading.constraints] == ["idna==3.7"]


def test_a_file_that_includes_itself_is_refused() -> None:
    files = [SuppliedFile("a.txt", "-r b.txt\n"), SuppliedFile("b.txt", "-r a.txt\nnumpy\n")]
    reading = read(files, python_version="3.11")
    assert [str(wanted) for wanted in reading.requirements] == ["numpy"]
    assert reading.sentences == ["b.txt, line 1: a.txt includes itself; leave this line out."]


def test_contradicting_lines_are_refused_with_both_named() -> None:
    reading = read(
        [SuppliedFile("r.txt", "numpy==1.26.4\npandas\nNumPy>=2\n")], python_version="3.11"
    )
    assert reading.sentences == [
        "r.txt, line 3: NumPy>=2 contradicts numpy==1.26.4 on line 1; keep one of the two."
    ]


def test_ten_problems_are_told_and_how_many_more() -> None:
    reading = read([SuppliedFile("r.txt", "- numpy\n" * 48)], python_version="3.11")
    assert len(reading.sentences) == 11
    assert reading.sentences[-1] == "And 38 more."


def test_a_wheel_by_its_address_is_taken_where_the_operator_allows_it() -> None:
    reading = pasted("name-at-url", allowed_urls=["https://example.org/"])
    (wanted,) = reading.requirements
    assert wanted.url == "https://example.org/en_core_web_sm-3.7.0-py3-none-any.whl"
    assert wanted.specifier == "==3.7.0"


def test_hashes_throughout_are_a_lock_and_some_hashes_are_none() -> None:
    reading = pasted("hash-continued")
    assert reading.locked == "requirements.txt"
    assert reading.lock
    assert [len(package.files) for package in reading.lock.packages] == [1]
    partly = read(
        [SuppliedFile("r.txt", (CASES / "hash-continued.txt").read_text() + "numpy\n")],
        python_version="3.11",
    )
    assert partly.locked is None
    assert partly.requirements[0].hashes
