"""Prepare a release: `python tools/release.py 0.2.0` sets the version and dates the changelog's entries.

`--check v0.2.0` fails unless the tag, the version and the changelog agree; `--notes` prints the newest
release's entries. docs/releasing.md has the steps around it. Nothing is committed, tagged or pushed here.
"""

from __future__ import annotations

import argparse
import datetime
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SECTION = re.compile(r"^## (?P<title>.+)$", re.MULTILINE)


def main() -> int:
    parser = argparse.ArgumentParser(description="Prepare a release, or look at one.")
    parser.add_argument("version", nargs="?", help="the new version, MAJOR.MINOR.PATCH")
    parser.add_argument(
        "--check", metavar="TAG", help="compare a tag with the version and the changelog"
    )
    parser.add_argument("--notes", action="store_true", help="print the newest release's entries")
    parser.add_argument("--root", type=Path, default=ROOT, help=argparse.SUPPRESS)
    options = parser.parse_args()
    try:
        if options.check:
            check(options.root, options.check)
        elif options.notes:
            print(notes(options.root))
        elif options.version:
            prepare(options.root, options.version, datetime.datetime.now(datetime.UTC).date())
        else:
            parser.error("name a version, a tag to check, or --notes")
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def prepare(root: Path, version: str, today: datetime.date) -> None:
    """Raises `ValueError` for a version that is none or not newer, and if there is nothing to release."""
    before = current(root)
    if not re.fullmatch(r"\d+\.\d+\.\d+", version) or numbers(version) < numbers(before):
        raise ValueError(f"{version} is no version of the form MAJOR.MINOR.PATCH from {before} on.")
    changelog = root / "CHANGELOG.md"
    text = changelog.read_text(encoding="utf-8")
    released = sections(text)
    if version in [title.partition(" ")[0] for title in released]:
        raise ValueError(f"{version} is in the changelog already.")
    if not released.get("Unreleased"):
        raise ValueError("There is nothing under Unreleased in CHANGELOG.md.")
    changelog.write_text(
        text.replace(
            "## Unreleased\n", f"## Unreleased\n\n## {version} - {today.isoformat()}\n", 1
        ),
        encoding="utf-8",
    )
    module = root / "ri_platform/version.py"
    module.write_text(
        module.read_text(encoding="utf-8").replace(f'"{before}"', f'"{version}"'), encoding="utf-8"
    )
    print(f"Now: git commit --all --message 'build: release {version}', then git tag v{version}")


def check(root: Path, tag: str) -> None:
    """Raises `ValueError` unless the tag is the version's and the changelog's newest release is that."""
    version = current(root)
    if tag != f"v{version}":
        raise ValueError(f"The tag {tag} is not the version's, v{version}.")
    newest = newest_release(root)
    if newest.partition(" ")[0] != version:
        raise ValueError(f"The changelog's newest release is {newest or 'none'}, not {version}.")


def notes(root: Path) -> str:
    return sections((root / "CHANGELOG.md").read_text(encoding="utf-8"))[newest_release(root)]


def newest_release(root: Path) -> str:
    titles = sections((root / "CHANGELOG.md").read_text(encoding="utf-8"))
    return next((title for title in titles if title != "Unreleased"), "")


def sections(text: str) -> dict[str, str]:
    """The changelog's sections by title, newest first."""
    parts = SECTION.split(text)
    return {title: body.strip() for title, body in zip(parts[1::2], parts[2::2], strict=True)}


def current(root: Path) -> str:
    found = re.search(
        r'^VERSION = "(.+)"$', (root / "ri_platform/version.py").read_text(), re.MULTILINE
    )
    if found is None:
        raise ValueError("ri_platform/version.py names no version.")
    return found[1]


def numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


if __name__ == "__main__":
    sys.exit(main())
