from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from ri_platform.env import Env, read_env_file


def test_an_unreadable_value_names_its_variable() -> None:
    with pytest.raises(ImproperlyConfigured, match="RI_DEBUG cannot be read"):
        Env({"RI_DEBUG": "maybe"}).flag("RI_DEBUG", default=False)
    with pytest.raises(
        ImproperlyConfigured, match="RI_SWEEP_SECONDS cannot be read: the least is 1"
    ):
        Env({"RI_SWEEP_SECONDS": "0"}).integer("RI_SWEEP_SECONDS", 5, minimum=1)
    with pytest.raises(ImproperlyConfigured, match="RI_REGISTRY_URL cannot be read"):
        Env({"RI_REGISTRY_URL": "registry.example"}).url("RI_REGISTRY_URL")


def test_the_database_must_be_postgresql() -> None:
    with pytest.raises(ImproperlyConfigured, match="DATABASE_URL cannot be read"):
        Env({"DATABASE_URL": "sqlite:///x.db"}).database("DATABASE_URL", "")


def test_a_unix_socket_is_the_percent_encoded_host() -> None:
    config = Env({"DATABASE_URL": "postgres://me@%2Frun%2Fpg%20data/app"}).database(
        "DATABASE_URL", ""
    )
    assert (config["HOST"], config["NAME"], config["USER"]) == ("/run/pg data", "app", "me")


def test_the_environment_wins_over_run_env(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "run.env").write_text("# comment\n\nRI_AWS_REGION=eu-west-1\nPORT=8000\n")
    monkeypatch.setenv("RI_AWS_REGION", "us-west-2")
    env = Env.load(tmp_path)
    assert (env.text("RI_AWS_REGION"), env.text("PORT")) == ("us-west-2", "8000")


def test_a_line_that_is_no_assignment_is_named(tmp_path: Path) -> None:
    path = tmp_path / "run.env"
    path.write_text("PORT=8000\nwhat is this\n")
    with pytest.raises(ImproperlyConfigured, match="Line 2"):
        read_env_file(path)
