"""Optional abilities of builds and sources workers: each kind is tried with something trivial.

An installation may well do without any of it, so nothing here fails: what cannot be done is skipped, with the
reason and what it would take.
"""

from __future__ import annotations

from collections.abc import Iterator

from django.conf import settings

from images.building.bases import mmdebstrap, unpacked_debian
from images.building.containers import container
from images.doctor.findings import Finding, ok, skip

WHERE = "deploy/README.md says what a builds worker needs for it."


def abilities() -> Iterator[Finding]:
    """A builds worker's; source builds are a sources worker's."""
    yield os_packages()
    yield debian_bases()


def os_packages() -> Finding:
    what = "Builds worker: OS packages"
    if problem := container.problem():
        return skip(what, problem, f"If images are to have OS packages: {WHERE}")
    return ok(what, "It can install them: a command ran as package systems do.")


def source_builds() -> Finding:
    what = "Sources worker: source builds"
    if not settings.SOURCE_BUILDS_ALLOWED:
        return turned_off()
    if problem := container.confinement_problem():
        return skip(
            what, problem, f"If libraries without a wheel are to be built from source: {WHERE}"
        )
    return ok(what, "It can run them: a command ran as a library's build code does.")


def turned_off() -> Finding:
    return skip(
        "Sources worker",
        "Source builds are turned off.",
        "Nothing. RI_SOURCE_BUILDS turns them on.",
    )


def debian_bases() -> Finding:
    """The way of making a base image of a suite, which is needed where no registry is in reach."""
    what = "Builds worker: Debian bases"
    refused = mmdebstrap.problem()
    if refused is None:
        return ok(what, "mmdebstrap can make them.")
    if reason := unpacked_debian.problem():
        return skip(
            what,
            f"{refused.reason} {reason}",
            f"If base images are to be made of Debian, and not imported: {refused.to_do}",
        )
    return ok(what, f"They can be made of packages without mmdebstrap. ({refused.reason})")
