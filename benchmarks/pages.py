"""Bytes and Lighthouse scores of pages: `python -m benchmarks.pages [--lighthouse COMMAND]`.

Starts a PostgreSQL and a web process as in production, fills in an instance in use (twenty-five images of
forty libraries), and opens the pages in Chromium: with an empty cache, and as somebody who has been at the
console before. Prints bytes over the wire, headers included, and the scores of the Lighthouse that `COMMAND`
runs: the median of some runs, since other work on the machine counts as the page's slowness.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import shlex
import statistics
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.locks import lock_text
from benchmarks.own_database import own_database
from ri_platform import processes
from ri_platform.local import services

IMAGES = 25
LIBRARIES = 40
PASSWORD = "a password for the benchmark"  # noqa: S105 - of an instance that lives for seconds
CATEGORIES = ("performance", "accessibility", "best-practices")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--lighthouse", default="", help="for example: npx lighthouse@12.8.2")
    parser.add_argument("--runs", type=int, default=3)
    wanted = parser.parse_args()
    with own_database(RI_SECRET_KEY=secrets.token_hex(32)) as folder:
        paths, cookie = fill()
        with web() as address:
            weigh(address, paths, cookie)
            if wanted.lighthouse:
                command = shlex.split(wanted.lighthouse)
                score(command, address, paths, cookie, folder, wanted.runs)


def fill() -> tuple[dict[str, str], str]:
    """The pages' paths by name, and the session cookie of an administrator."""
    import django

    django.setup()
    from django.conf import settings
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    call_command("collectstatic", interactive=False, verbosity=0)
    from django.test import Client

    from tests import factories
    from workspaces.models import InstanceRole

    admin = factories.make_user("admin", InstanceRole.ORGANIZATION_ADMINISTRATOR)
    base = factories.make_base_image()
    workspace = factories.make_workspace("Workspace 1")
    libraries = {f"library-{number}": f"{number}.0" for number in range(LIBRARIES)}
    for number in range(IMAGES):
        factories.make_image(
            f"image-{number}", base=base, libraries=libraries, created_by=admin,
            created_in=workspace, lock=lock_text(libraries),
        )  # fmt: skip
    client = Client()
    client.force_login(admin)
    pane = f"/workspaces/{workspace.pk}/settings/managed-images"
    paths = {
        "Sign-in": "/signin",
        "Workspaces": "/workspaces",
        "Managed Images": pane,
        "An image": f"{pane}/image/image-7",
        "Its libraries": f"{pane}/image/image-7/libraries",
        "Its revisions": f"{pane}/image/image-7/revisions",
    }
    name = settings.SESSION_COOKIE_NAME
    return paths, f"{name}={client.cookies[name].value}"


@contextmanager
def web() -> Iterator[str]:
    """The address of a web process."""
    port = services.free_port()
    process = subprocess.Popen(processes.web(port), stdout=subprocess.DEVNULL)
    try:
        assert services.wait_until_answers(f"http://127.0.0.1:{port}/healthz")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def weigh(address: str, paths: dict[str, str], cookie: str) -> None:
    from playwright.sync_api import sync_playwright

    from tests.chromium import FLAGS, chromium_path

    print(f"{'page':20}{'first load':>14}{'later':>10}  bytes")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=FLAGS)
        kept = browser.new_context(base_url=address)
        for name, path in paths.items():
            fresh = browser.new_context(base_url=address)
            for context in (fresh, kept):
                if path != "/signin":
                    key, _, value = cookie.partition("=")
                    context.add_cookies([{"name": key, "value": value, "url": address}])
            first = bytes_of(fresh, path)
            if name == "Sign-in":
                bytes_of(kept, path)  # Whoever comes to the others has been here.
            print(f"{name:20}{first:14,}{bytes_of(kept, path):10,}", flush=True)
            fresh.close()
        browser.close()


def bytes_of(context: Any, path: str) -> int:
    """The bytes that Chromium received for a page and its resources, headers included."""
    page = context.new_page()
    received = 0

    def count(event: dict[str, Any]) -> None:
        nonlocal received
        received += int(event["encodedDataLength"])

    session = context.new_cdp_session(page)
    session.send("Network.enable")
    session.on("Network.loadingFinished", count)
    answer = page.goto(path, wait_until="networkidle")
    assert answer.status == 200, (path, answer.status)
    assert page.url.endswith(path), (path, page.url)
    page.close()
    return received


def score(
    command: list[str],
    address: str,
    paths: dict[str, str],
    cookie: str,
    folder: Path,
    runs: int,
) -> None:
    """Desktop scores of Lighthouse, of 100."""
    from tests.chromium import FLAGS, chromium_path

    print("\n" + f"{'page':20}" + "".join(f"{name:>16}" for name in CATEGORIES))
    headers, report = folder / "headers.json", folder / "lighthouse.json"
    for name, path in paths.items():
        headers.write_text(json.dumps({"Cookie": cookie} if path != "/signin" else {}))
        scores: dict[str, list[float]] = {category: [] for category in CATEGORIES}
        for _ in range(runs):
            run_patiently(
                [
                    *command, f"{address}{path}", "--quiet", "--preset=desktop", "--output=json",
                    f"--output-path={report}", f"--extra-headers={headers}",
                    f"--only-categories={','.join(CATEGORIES)}",
                    f"--chrome-flags=--headless=new {' '.join(FLAGS)}",
                ],
                {**os.environ, "CHROME_PATH": chromium_path()},
            )  # fmt: skip
            found = json.loads(report.read_text())
            assert found["finalDisplayedUrl"].endswith(path), found["finalDisplayedUrl"]
            for category in CATEGORIES:
                scores[category].append(found["categories"][category]["score"] * 100)
        medians = (round(statistics.median(scores[category])) for category in CATEGORIES)
        print(f"{name:20}" + "".join(f"{median:16}" for median in medians), flush=True)
        for audit in found["audits"].values():
            if audit["score"] == 0 and audit["scoreDisplayMode"] == "binary":
                print(f"    {audit['id']}: {audit['title']}")


def run_patiently(command: list[str], environment: dict[str, str]) -> None:
    """Lighthouse now and then gets no trace of a page (NO_NAVSTART), and asks to be run again."""
    for attempt in range(4):
        if subprocess.run(command, check=attempt == 3, env=environment).returncode == 0:
            return


if __name__ == "__main__":
    main()
