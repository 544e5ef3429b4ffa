"""Pages in Chromium, and the sizes of their windows."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from django.conf import settings
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page

from ri_platform.local.services import free_port
from tests.cast import Cast
from tests.web_process import web_process
from workspaces.models import User

# Playwright's sync API runs an event loop in this thread; Django would refuse its own queries there.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"

DESKTOP = {"width": 1280, "height": 800}
PHONE = {"width": 390, "height": 844}
DROP = """(place, files) => {
  const data = new DataTransfer();
  for (const [name, text] of files) data.items.add(new File([text], name));
  for (const type of ["dragover", "drop"])
    place.dispatchEvent(new DragEvent(type, { dataTransfer: data, bubbles: true, cancelable: true }));
}"""


def drop_files(page: Page, *files: tuple[str, str]) -> None:
    """Drop files, name and text each, on the form's libraries, and wait until they were read."""
    page.get_by_label("Libraries").evaluate(DROP, list(files))
    page.locator("summary", has_text=files[-1][0]).wait_for()


@pytest.fixture
def serve(transactional_db: None) -> Iterator[Callable[..., str]]:
    """Start a web process with more variables; its address. It ends after all pages have, whose polls it
    answers.
    """
    with ExitStack() as stack:
        yield lambda **variables: stack.enter_context(web_process(free_port(), **variables))


@pytest.fixture
def new_page(
    browser: Browser, web: str, serve: Callable[..., str], transactional_db: None
) -> Iterator[Callable[..., Page]]:
    """Open pages in contexts of their own; at the end no page may have complained of anything.

    A violation of the Content-Security-Policy is an error on the console, too. A page whose server is made to
    fail (`failing`) may say so.
    """
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def hear(message: ConsoleMessage) -> None:
        # A form that is sent back and a refusal answer with 4xx on purpose.
        expected = re.search(r"(status of|Status Error Code) 4\d\d", message.text)
        if message.type == "error" and not expected:
            complaints.append(message.text)

    def open_page(user: User | None = None, *, failing: bool = False, **options: object) -> Page:
        context = browser.new_context(**{"base_url": web, "viewport": DESKTOP, **options})  # type: ignore[arg-type]
        contexts.append(context)
        if user is not None:
            session = Cast.client(user).cookies[settings.SESSION_COOKIE_NAME].value
            context.add_cookies(
                [{"name": settings.SESSION_COOKIE_NAME, "value": session, "url": web}]
            )
        page = context.new_page()
        if not failing:
            page.on("console", hear)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.set_default_timeout(10_000)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []
