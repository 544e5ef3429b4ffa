"""Every variable is declared with its words, documented, and complained about in sentences."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core import checks
from django.core.checks import CheckMessage

from ri_platform import checks as platform_checks
from ri_platform.env import Env
from ri_platform.settings import env

ROOT = Path(__file__).resolve().parents[1]
# The tests' own.
NOT_OURS = {
    "RI_TEST_DATABASE_URL", "RI_TEST_FAULT_RUNS", "RI_TEST_FAULT_SEED", "RI_TEST_FUZZ_SECONDS",
    "RI_TEST_RABBITMQ_URL",
}  # fmt: skip


def tracked_files() -> list[Path]:
    told = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    paths = [ROOT / line for line in told.stdout.splitlines()]
    return [path for path in paths if path.is_file() and "tests" not in path.parts]


@pytest.mark.slow
def test_every_variable_that_the_project_names_is_declared() -> None:
    declared = {*env.declared, *(f"{v.name}_FILE" for v in env.declared.values() if v.secret)}
    named: dict[str, Path] = {}
    for path in tracked_files():
        if path.suffix in {".py", ".md", ".sh", ".yaml", ".toml", ".tf", ""}:
            text = path.read_text(encoding="utf-8")
            named |= dict.fromkeys(re.findall(r"\bRI_[A-Z][A-Z_]*[A-Z]\b", text), path)
    missing = {name: str(path) for name, path in named.items() if name not in declared | NOT_OURS}
    assert not missing
    assert len(declared) > 60


def test_every_variable_has_a_section_and_words_that_end() -> None:
    for variable in env.declared.values():
        assert variable.section, variable
        assert variable.help.endswith("."), variable
        assert variable.help[0].isupper() or variable.help[0] in "`", variable


@pytest.mark.slow
def test_the_documentation_is_current() -> None:
    done = subprocess.run(
        [sys.executable, "tools/configuration_reference.py", "--check"], cwd=ROOT, check=False
    )
    assert done.returncode == 0, "Run: make docs"
    table = (ROOT / "docs/configuration.md").read_text(encoding="utf-8")
    for name in env.declared:
        assert f"| `{name}`" in table, name


# --- manage.py check --------------------------------------------------------------------------------------


def said(**options: Any) -> dict[str, CheckMessage]:
    return {str(message.id): message for message in checks.run_checks(**options)}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "value", "identifier", "words"),
    [
        ("REPOSITORY_PREFIX", "Not_Like_This", "images.E001", "RI_REPOSITORY_PREFIX"),
        ("REPOSITORY_SEGMENT", "two/words", "images.E005", "RI_REPOSITORY_SEGMENT"),
        ("REPOSITORY_SEGMENT", "base", "images.E005", "is reserved"),
        (
            "REGISTRY_HOST",
            "123456789012.dkr.ecr.eu-west-1.amazonaws.com",
            "images.E002",
            "eu-west-1, but RI_AWS_REGION is us-east-1",
        ),
        ("PACKAGE_CA_FILE", "/nowhere/ca.pem", "images.E003", "/nowhere/ca.pem"),
        ("UPGRADES_PER_SECOND", 11, "images.W001", "ECR takes ten manifests"),
        ("CELERY_BROKER_URL", "sqla+sqlite:///x", "ri_platform.E002", "sqla://"),
        ("CELERY_BROKER_URL", "redis://cache/0", "ri_platform.W002", "Redis"),
        ("METRICS_TOKEN", "short", "ri_platform.W003", "can be guessed"),
        ("SSO_ROLES", {"x": "emperor"}, "workspaces.E001", "emperor"),
        (
            "SOCIALACCOUNT_PROVIDERS",
            {"openid_connect": {"APPS": [{"client_id": "", "secret": ""}]}},
            "workspaces.E002",
            "RI_OIDC_CLIENT_ID and RI_OIDC_CLIENT_SECRET",
        ),
        (
            "SOCIALACCOUNT_PROVIDERS",
            {"saml": {"APPS": [{"settings": {"idp": {"entity_id": "x", "sso_url": "y"}}}]}},
            "workspaces.E003",
            "RI_SAML_IDP_ENTITY_ID",
        ),
    ],
)
def test_what_does_not_fit_is_said_with_the_variables_name(
    name: str, value: object, identifier: str, words: str, settings: Any
) -> None:
    assert identifier not in said()
    setattr(settings, name, value)
    message = said()[identifier]
    assert words in message.msg
    assert str(message.hint).endswith((".", "32", ")"))


def test_a_mistyped_variable_is_told_with_the_one_that_was_meant(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mistyped = Env({"RI_ALLOWED_HOST": "x", "RI_SECRET_KEY_FILE": "/x", "RI_TEST_X": "1"})
    mistyped.declared = env.declared
    monkeypatch.setattr(platform_checks, "env", mistyped)
    message = said()["ri_platform.W001"]
    assert message.msg == "RI_ALLOWED_HOST is set, but nothing reads it."
    assert message.hint == "Did you mean RI_ALLOWED_HOSTS?"


def manage(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    # The browser tests set DJANGO_ALLOW_ASYNC_UNSAFE for the whole run, which no deployment may.
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("RI_", "DJANGO_ALLOW_ASYNC"))
    }
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT, env={**kept, "RI_STATE_DIR": "/nonexistent", **variables},
        capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.slow
def test_the_deployment_check_speaks_of_variables_and_falls_silent_when_all_is_well() -> None:
    bare = manage("check", "--deploy")
    assert bare.returncode == 1
    for words in (
        "RI_SECRET_KEY is not set",
        "RI_HTTPS is off",
        "RI_ALLOWED_HOSTS is not set",
        "RI_REGISTRY_HOST is not set",
    ):
        assert words in bare.stderr
    assert "SECURE_" not in bare.stderr
    whole = manage(
        "check", "--deploy", "--fail-level", "WARNING",
        RI_SECRET_KEY="x1" * 30 + "-unlike-itself", RI_HTTPS="true", RI_ALLOWED_HOSTS="console.example",
        RI_REGISTRY_HOST="123456789012.dkr.ecr.us-east-1.amazonaws.com",
        CELERY_BROKER_URL="amqp://u:p@broker//",
    )  # fmt: skip
    assert whole.returncode == 0, whole.stderr
    assert "no issues" in whole.stdout


@pytest.mark.slow
def test_a_value_that_cannot_be_read_is_one_sentence() -> None:
    done = manage("check", RI_LOG_LEVEL="LOUD")
    assert (done.returncode, done.stderr) == (
        1,
        "RI_LOG_LEVEL cannot be read: use DEBUG or INFO or WARNING or ERROR.\n",
    )
