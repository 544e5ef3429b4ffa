"""Run-time settings are checked once, and nothing secret or breaking becomes part of an image."""

from __future__ import annotations

import pytest

from images.run_time import checks
from images.run_time.checks import checked_run_time, read_pairs, read_words
from images.run_time.settings import RunTime
from ri_platform.errors import Invalid


def env(**values: str) -> RunTime:
    return checked_run_time(values, "", "", (), {})


def test_equal_settings_are_equal_values_in_any_order() -> None:
    assert env(B="1", A="2") == env(A="2", B="1")
    given = checked_run_time(
        {"A": ""}, "/app", "1000:1000", ["python", "-m", "x y"], {"com.example.team": "a"}
    )
    assert RunTime.of_json(given.as_json()) == given
    assert RunTime().as_json() == {}
    assert given.by_title() == {
        "Variable A": '""',
        "Working folder": "/app",
        "User": "1000:1000",
        "Entry point": "python -m 'x y'",
        "Label com.example.team": "a",
    }


@pytest.mark.parametrize("name", ["", "1A", "A-B", "A B", "Ä", "A\n", "A=B"])
def test_what_is_no_name_of_a_variable_is_refused(name: str) -> None:
    with pytest.raises(Invalid, match="cannot be a variable's name"):
        checked_run_time({name: "x"}, "", "", (), {})


@pytest.mark.parametrize("name", ["PATH", "VIRTUAL_ENV", "PYTHONHOME", "LD_PRELOAD"])
def test_variables_that_break_the_environment_are_refused(name: str) -> None:
    with pytest.raises(Invalid, match="cannot be set"):
        env(**{name: "/x"})


@pytest.mark.parametrize(
    "name",
    ["HF_TOKEN", "DB_PASSWORD", "SECRET_KEY", "AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID",
     "openai_api_key"],
)  # fmt: skip
def test_names_of_secrets_are_refused(name: str) -> None:
    with pytest.raises(Invalid, match="looks like the name of a secret") as refused:
        env(**{name: "x"})
    assert refused.value.hint == checks.SECRETS_HINT


@pytest.mark.parametrize(
    "name", ["TOKENIZERS_PARALLELISM", "MAX_TOKENS", "DB_PASSWORD_FILE", "AWS_REGION", "KEYS"]
)
def test_names_that_only_resemble_those_of_secrets_are_taken(name: str) -> None:
    assert env(**{name: "x"}).env == ((name, "x"),)


@pytest.mark.parametrize(
    "value",
    [
        "AKIA" + "ABCDEFGHIJKLMNOP",
        "-----BEGIN RSA PRIVATE KEY-----",
        "eyJhbGciOiJI" + ".eyJzdWIiOiIx" + ".abc",
        "postgres://me:hunter2@db/x",
        "ghp_" + "a" * 36,
    ],
)
def test_values_that_look_like_secrets_are_refused_everywhere_and_not_repeated(value: str) -> None:
    nothing: dict[str, str] = {}
    for variables, words, labels in (
        ({"A": value}, [], nothing),
        (nothing, ["run", value], nothing),
        (nothing, [], {"com.example": value}),
    ):
        with pytest.raises(Invalid, match="looks like") as refused:
            checked_run_time(variables, "", "", words, labels)
        assert value not in str(refused.value)


@pytest.mark.parametrize("value", ["a\nb", "a\0b", "a\x1b[0m", "\ud800"])
def test_control_characters_are_refused(value: str) -> None:
    with pytest.raises(Invalid, match="control character"):
        env(A=value)
    with pytest.raises(Invalid, match="control character"):
        checked_run_time({}, "", "", ("x", value), {})


def test_there_are_limits() -> None:
    with pytest.raises(Invalid, match="more than 100 variables"):
        env(**{f"A{number}": "x" for number in range(101)})
    with pytest.raises(Invalid, match="bytes together"):
        env(**{f"A{number}": "x" * 4_000 for number in range(10)})
    with pytest.raises(Invalid, match=r"4,096 characters"):
        env(A="x" * 5_000)
    with pytest.raises(Invalid, match="64 words"):
        checked_run_time({}, "", "", ["x"] * 65, {})
    with pytest.raises(Invalid, match="128 characters"):
        env(**{"A" * 129: "x"})


@pytest.mark.parametrize("path", ["app", "./app", "/app/../etc", "/" + "x" * 300])
def test_a_working_folder_is_an_absolute_path(path: str) -> None:
    with pytest.raises(Invalid, match="cannot be the working folder"):
        checked_run_time({}, path, "", (), {})


@pytest.mark.parametrize(
    "user", ["Root", "a b", "1000:", ":1", "99999999999", "4294967295", "a:b:c"]
)
def test_what_is_no_user_is_refused(user: str) -> None:
    with pytest.raises(Invalid, match="cannot be the user"):
        checked_run_time({}, "", user, (), {})


def test_reserved_labels_are_refused() -> None:
    for name in ("org.opencontainers.image.title", "ri-platform.x", "com.docker.x"):
        with pytest.raises(Invalid, match="is reserved"):
            checked_run_time({}, "", "", (), {name: "x"})
    with pytest.raises(Invalid, match="cannot be a label's name"):
        checked_run_time({}, "", "", (), {"-a": "x"})


def test_texts_of_a_form_are_read_line_by_line() -> None:
    assert read_pairs("# one\nA=1=2\n\n B = x \n", "env") == {"A": "1=2", "B": "x"}
    with pytest.raises(Invalid, match="Line 2 is not NAME=value"):
        read_pairs("A=1\nB", "env")
    with pytest.raises(Invalid, match="Line 2 sets 'A' once more"):
        read_pairs("A=1\nA=2", "env")
    assert read_words("python -m 'a b'") == ("python", "-m", "a b")
    with pytest.raises(Invalid, match="not closed"):
        read_words("python 'a")
