"""What may be asked for: names and versions, and nothing that could mean anything else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from images.requirement_files.configured import (
    parse_pip_requirements,
    pip_requirements_of,
    read_typed,
)
from images.requirements import (
    NamedItem,
    OSPackage,
    PipRequirement,
    RequirementErrors,
    os_package,
    parse_os_packages,
    pip_requirement,
    pip_requirements,
)


def test_a_pasted_requirements_file_is_read() -> None:
    text = "# models\nnumpy>=2,<3\n\nPandas[parquet, excel]==2.3.3  # tables\r\nscikit_learn\n"
    assert [str(item) for item in parse_pip_requirements(text)] == [
        "numpy<3,>=2",
        "Pandas[excel,parquet]==2.3.3",
        "scikit_learn",
    ]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("https://example.org/x.whl", "Addresses"),
        ("pkg @ https://example.org/x.whl", "Addresses"),
        ("pkg @ file:///etc/passwd", "folder"),
        ("git+ssh://git@host/x", "repository"),
        ("./local", "folder"),
        ("/etc/passwd", "folder"),
        ("..\\windows", "folder"),
        ("~/x", "folder"),
        ("-r other.txt", "not given along"),
        ("-e .", "folder"),
        ("--index-url http://evil", "No index with this address"),
        ("numpy; rm -rf /", "environment marker"),
        ("numpy; remove", "marker"),
        ("numpy==1.0 --hash=sha256:00 --nothing", "not an option"),
        ("numpy && curl x", "not a library's name"),
        ("$(id)", "not a library's name"),
        ("`id`", "Quotes"),
        ("numpy | sh", "not a library's name"),
        ("num py", "not a library's name"),
        ("numpy==", "not a library's name"),
        ("numpy==one", "not a library's name"),
        ("numpy===$id", "PEP 440"),
        ("nümpy", "character"),
        ("num\u200bpy", "write numpy"),
        ("numpy==1.0.po\u017ft1", "character"),
        ("n" * 501, "longer than 200"),
        ("n" * 5_001, "longer than 4,000"),
    ],
)
def test_everything_else_is_refused_with_the_line_named(line: str, says: str) -> None:
    with pytest.raises(RequirementErrors, match="Line 2: ") as caught:
        parse_pip_requirements(f"requests\n{line}\n")
    assert says in str(caught.value)
    assert [problem.line_number for problem in caught.value.problems] == [2]


def test_control_characters_make_a_text_no_text() -> None:
    for character in "\0\x1b\x7f":
        with pytest.raises(RequirementErrors, match="not a text"):
            parse_pip_requirements(f"requests\nnumpy{character}\n")


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(RequirementErrors) as caught:
        parse_pip_requirements("numpy==1\n-e .\nNumPy>1\n")
    assert [problem.line_number for problem in caught.value.problems] == [2, 3]
    assert "contradicts numpy==1 on line 1" in str(caught.value)


def test_markers_are_decided_for_the_images_python() -> None:
    text = "numpy; python_version < '3.12'\npandas; sys_platform == 'win32'\n"
    assert parse_pip_requirements(text, "3.11") == [PipRequirement("numpy")]
    assert parse_pip_requirements(text, "3.12") == []


def test_options_about_all_libraries_leave_each_as_it_is() -> None:
    reading = read_typed("--pre\nnumpy\npandas==3.0rc1\n")
    assert reading.prereleases
    assert pip_requirements_of(reading) == [
        PipRequirement("numpy"),
        PipRequirement("pandas", "==3.0rc1"),
    ]


def test_they_are_refused_where_libraries_alone_are_taken() -> None:
    with pytest.raises(RequirementErrors, match="without options about indexes and pre-releases"):
        parse_pip_requirements("--pre\nnumpy\n")


def test_five_hundred_are_enough() -> None:
    with pytest.raises(RequirementErrors, match="at most 500"):
        parse_pip_requirements("\n".join(f"package{n}" for n in range(501)))


@given(st.text(max_size=40))
@pytest.mark.slow
def test_nothing_dangerous_ever_passes(text: str) -> None:
    try:
        found = parse_pip_requirements(text)
    except RequirementErrors:
        return
    for item in found:
        assert not set(str(item)) & set(" \t\r\n;|&$`'\"\\/@#()<{}") - {"<"}
        assert str(item).isascii()
        assert not str(item).startswith("-")


def test_a_bare_version_means_exactly_that_one() -> None:
    assert pip_requirement("numpy", "2.4.6") == PipRequirement("numpy", "==2.4.6")
    assert pip_requirement("numpy", ">=2") == PipRequirement("numpy", ">=2")
    assert pip_requirement("dask[array]", "") == PipRequirement("dask", "", ("array",))


@pytest.mark.parametrize(
    ("name", "specifier"),
    [("numpy\n-e .", ""), ("-e", ""), ("a;b", ""), ("numpy", "==1\n-e ."), ("numpy", "@ http://x")],
)
def test_the_two_field_form_is_as_strict(name: str, specifier: str) -> None:
    with pytest.raises(RequirementErrors, match="Item 2"):
        pip_requirements([NamedItem("fine"), NamedItem(name, specifier)])


def test_a_list_names_each_library_once() -> None:
    with pytest.raises(RequirementErrors, match="Item 3: numpy was named before"):
        pip_requirements(
            [NamedItem("numpy"), NamedItem("pandas", ">=2"), NamedItem("NumPy", "==2")]
        )


def test_os_packages_are_names_with_versions() -> None:
    assert parse_os_packages("libgomp1\ncurl=7.88.1-10+deb12u5\n") == [
        OSPackage("libgomp1"),
        OSPackage("curl", "7.88.1-10+deb12u5"),
    ]


@pytest.mark.parametrize("line", ["-y", "a b", "lib;id", "curl=", "curl=$(id)", "../x", "lib\tx"])
def test_os_packages_that_mean_something_else_are_refused(line: str) -> None:
    with pytest.raises(RequirementErrors, match="Line 1"):
        parse_os_packages(line)


def test_an_os_package_takes_no_option_for_a_name() -> None:
    with pytest.raises(ValueError, match="not the name"):
        os_package("--allow-unauthenticated")


def test_of_many_problems_the_first_ten_are_told_and_how_many_more_there_are() -> None:
    with pytest.raises(RequirementErrors) as caught:
        parse_pip_requirements("!\n" * 48)
    assert len(caught.value.sentences) == 11
    assert caught.value.sentences[0].startswith("Line 1: ")
    assert caught.value.sentences[-1] == "And 38 more."
    assert str(caught.value).endswith("And 38 more.")


def test_a_text_with_very_many_mistakes_is_not_read_to_its_end() -> None:
    with pytest.raises(RequirementErrors) as caught:
        parse_pip_requirements("!\n" * 49_000)
    assert len(caught.value.problems) == 501
    assert "Reading stops here" in caught.value.problems[-1].message
