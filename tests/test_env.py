from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from ri_platform.env import Env, read_env_file


def test_an_unreadable_value_names_its_variable() -> None:
    with pytest.raises(ImproperlyConfigured, match="RI_DEBUG cannot be read"):
        Env({"RI_DEBUG": "maybe"}).flag("RI_DEBUG", default=False, help="")
    with pytest.raises(
        ImproperlyConfigured, match="RI_SWEEP_SECONDS cannot be read: the least is 1"
    ):
        Env({"RI_SWEEP_SECONDS": "0"}).integer("RI_SWEEP_SECONDS", 5, minimum=1, help="")
    with pytest.raises(ImproperlyConfigured, match="RI_REGISTRY_URL cannot be read"):
        Env({"RI_REGISTRY_URL": "registry.example"}).url("RI_REGISTRY_URL", help="")


def test_the_database_must_be_postgresql() -> None:
    with pytest.raises(ImproperlyConfigured, match="DATABASE_URL cannot be read"):
        Env({"DATABASE_URL": "sqlite:///x.db"}).database("DATABASE_URL", "", help="")


def test_a_unix_socket_is_the_percent_encoded_host() -> None:
    config = Env({"DATABASE_URL": "postgres://me@%2Frun%2Fpg%20data/app"}).database(
        "DATABASE_URL", "", help=""
    )
    assert (config["HOST"], config["NAME"], config["USER"]) == ("/run/pg data", "app", "me")


def test_the_environment_wins_over_run_env(tmp_path: Path) -> None:
    (tmp_path / "run.env").write_text("# comment\n\nRI_AWS_REGION=eu-west-1\nPORT=8000\n")
    env = Env({"RI_AWS_REGION": "us-west-2"})
    env.fall_back_on(tmp_path / "run.env")
    assert (env.text("RI_AWS_REGION", help=""), env.text("PORT", help="")) == ("us-west-2", "8000")
    env.fall_back_on(tmp_path / "nothing-here")


def test_a_secret_may_stand_in_a_file_and_an_address_too(tmp_path: Path) -> None:
    key, database = tmp_path / "key", tmp_path / "database"
    key.write_text("correct horse battery\n")
    database.write_text("postgres://me:s%20cret-word@db/app\n")
    env = Env({"RI_SECRET_KEY_FILE": str(key), "DATABASE_URL_FILE": str(database)})
    assert env.secret("RI_SECRET_KEY", help="") == "correct horse battery"
    assert env.database("DATABASE_URL", "", help="")["PASSWORD"] == "s cret-word"
    assert set(env.secret_values()) == {"correct horse battery", "s%20cret-word", "s cret-word"}
    assert env.unknown_names() == []
    with pytest.raises(ImproperlyConfigured, match="RI_SECRET_KEY_FILE cannot be read: No such"):
        Env({"RI_SECRET_KEY_FILE": str(tmp_path / "gone")}).secret("RI_SECRET_KEY", help="")


def test_a_line_that_is_no_assignment_is_named(tmp_path: Path) -> None:
    path = tmp_path / "run.env"
    path.write_text("PORT=8000\nwhat is this\n")
    with pytest.raises(ImproperlyConfigured, match="Line 2"):
        read_env_file(path)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("smtp://mail", ("mail", 25, False, False, "", "")),
        ("smtp+tls://ann:p%40ss@mail", ("mail", 587, True, False, "ann", "p@ss")),
        ("smtp+ssl://ann:pass@mail:4650", ("mail", 4650, False, True, "ann", "pass")),
    ],
)
def test_a_mail_server_is_an_address(url: str, expected: tuple[object, ...]) -> None:
    found = Env({"EMAIL_URL": url}).mail_server("EMAIL_URL", help="")
    names = ("HOST", "PORT", "USE_TLS", "USE_SSL", "HOST_USER", "HOST_PASSWORD")
    assert tuple(found[f"EMAIL_{name}"] for name in names) == expected
    assert Env({}).mail_server("EMAIL_URL", help="") == {}


@pytest.mark.parametrize(
    "url", ["mail.example.org", "smtps://mail", "smtp://", "smtp://ann:secret-1@mail"]
)
def test_an_unsafe_mail_server_stops_the_start_without_its_password(url: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="EMAIL_URL cannot be read") as caught:
        Env({"EMAIL_URL": url}).mail_server("EMAIL_URL", help="")
    assert "secret-1" not in str(caught.value)
