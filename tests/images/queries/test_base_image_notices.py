"""A base image that is not there is told on the pages, in the log and at the prompt of `make run`."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from django.urls import reverse

from images.catalogue import catalogue
from images.errors import RegistryError, RegistryUnavailable
from images.jobs import base_image, repositories
from images.models import BaseImage
from images.models.lease import WorkState
from ri_platform import announcements, logs
from ri_platform.local.terminal import Terminal
from tests import factories
from tests.cast import Cast
from tests.log_lines import written

REASON = "mmdebstrap could not make Debian bookworm: No route to host"
HINT = "Look at the package mirror."


def failed(**values: Any) -> BaseImage:
    return factories.make_base_image(
        state=WorkState.FAILED,
        error_code="base_image_unusable",
        error_message=REASON,
        error_hint=HINT,
        platform_version="2026.11",
        manifest_digest="",
        **values,
    )


def page(cast: Cast, who: str, route: str = "images") -> str:
    address = reverse(route, kwargs={"workspace_id": cast.workspace.pk})
    return cast.client(getattr(cast, who)).get(address).content.decode()


# --- on the pages -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("route", ["images", "new_image"])
def test_a_failed_one_is_told_with_its_reason_and_what_to_do(cast: Cast, route: str) -> None:
    failed(source=catalogue().source("all", "3.11"))
    shown = page(cast, "admin", route)
    assert "The base image all for Python 3.11 could not be prepared" in shown
    assert f"{REASON}</p>" in shown
    assert f"No image can be built on it. {HINT} To try again, an operator runs:" in shown
    assert ">manage.py build_base_image all 3.11 --platform-version 2026.11</code>" in shown


@pytest.mark.parametrize("route", ["images", "new_image"])
def test_a_member_is_told_why_and_whom_to_ask(cast: Cast, route: str) -> None:
    failed()
    shown = page(cast, "member", route)
    assert f"{REASON}</p>" in shown
    assert "No image can be built on it. An administrator has to resolve this." in shown
    assert HINT not in shown
    assert "manage.py" not in shown


def test_beside_make_run_starting_it_again_is_what_to_do(cast: Cast, settings: Any) -> None:
    settings.DEMO = True
    failed()
    assert "It is tried again when make run is started again." in page(cast, "admin")


def test_one_that_was_imported_names_the_command_with_its_own_source(cast: Cast) -> None:
    failed(source="registry:quay.example/python:3.11")
    assert (
        "manage.py import_base_image --registry quay.example/python:3.11 --python-version 3.11 "
        "--image-type all --platform-version 2026.11" in page(cast, "admin")
    )


def test_while_its_version_before_is_there_images_are_built(cast: Cast, base: BaseImage) -> None:
    failed()
    shown = page(cast, "member")
    assert "notice-warning" in shown
    assert f"{REASON}</p>" in shown
    assert "Images are built on the version before it." in shown


@pytest.mark.parametrize("route", ["images", "new_image"])
@pytest.mark.slow
def test_none_at_all_is_told_to_each_in_their_words(cast: Cast, route: str) -> None:
    for who, words in (
        ("admin", ">manage.py build_base_image all 3.14</code>"),
        ("member", "An administrator has to provide one before images can be built."),
    ):
        shown = page(cast, who, route)
        assert "There is no base image to build on" in shown
        assert words in shown


def test_with_a_base_image_there_is_no_notice(cast: Cast, base: BaseImage) -> None:
    assert 'class="notice' not in page(cast, "admin")


# --- in the log and at the prompt ---------------------------------------------------------------------------


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [
        record.getMessage()
        for record in caplog.records
        if (record.name, record.levelno) == (announcements.logger.name, logging.WARNING)
    ]


def test_a_failed_import_is_a_warning_with_the_reason(
    db: None, caplog: pytest.LogCaptureFixture
) -> None:
    base = factories.make_base_image(
        state=WorkState.QUEUED, source="layout:/nowhere", manifest_digest=""
    )
    base_image.run(base.pk)
    base.refresh_from_db()
    assert base.state == WorkState.FAILED
    (told,) = warnings_of(caplog)
    assert told.startswith("The base image all for Python 3.11 could not be prepared: ")
    assert base.error_message in told
    assert (
        f"manage.py import_base_image --layout /nowhere --python-version {base.python_version}"
        in told
    )


@pytest.mark.parametrize(("error", "count"), [(RegistryError, 1), (RegistryUnavailable, 0)])
def test_a_repository_that_is_refused_for_good_is_told(
    db: None,
    caplog: pytest.LogCaptureFixture,
    error: type[RegistryError],
    count: int,
) -> None:
    base = factories.make_base_image(state=WorkState.QUEUED, manifest_digest="")
    repositories.record_base_repository_failure(base, error("AWS did not create the repository."))
    assert len(warnings_of(caplog)) == count


def test_news_is_shown_beneath_the_banner_and_nothing_else_is(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The log's own form is what the terminal reads, whatever a reason quotes."""
    with written(logs.TEXT) as stream:
        announcements.logger.info("The base image %s is ready.", "all for Python 3.11")
        announcements.logger.warning("It failed: \x1b[2Jtwo\nlines [images.x] a=1")
        logging.getLogger("images.x").info("Say [ri_platform.announcements] to everybody")
    terminal = Terminal()
    lines = stream.getvalue().splitlines()
    for line in lines[:1]:
        terminal.hear(line)
    assert capsys.readouterr().out == ""
    terminal.banner("The console is at …")
    for line in lines[1:]:
        terminal.hear(line)
    assert capsys.readouterr().out.splitlines() == [
        "The console is at …",
        "  The base image all for Python 3.11 is ready.",
        "  It failed:  [2Jtwo\\nlines [images.x] a=1",
    ]
