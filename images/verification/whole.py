"""All checks at once, in one process that has both identities: for tests of faults.

`manage.py verify` and the platform's own looks do the same in slices (`images.jobs.verification`).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from images.registry import naming
from images.registry.distribution.client import RegistryClient
from images.registry.ecr.repositories import RepositoryControl
from images.verification import names, records
from images.verification.contents import Look, look_at_all
from images.verification.findings import Finding
from images.verification.pace import Pace
from images.verification.records import STUCK_AFTER
from images.verification.rows import promised_bases, promised_builds


def examine(
    client: RegistryClient,
    control: RepositoryControl,
    *,
    deep: bool = False,
    stuck_after: timedelta = STUCK_AFTER,
    per_second: float = 0,
) -> list[Finding]:
    """Every finding, sorted; `client` is the build jobs', `control` the registry server's.

    Raises `RegistryError` if either cannot look.
    """
    return sorted(everything(client, control, deep, stuck_after, Pace(per_second)), key=in_order)


def in_order(finding: Finding) -> tuple[str, str, int, str]:
    return (finding.code, finding.subject, finding.build or 0, finding.said)


def everything(
    client: RegistryClient,
    control: RepositoryControl,
    deep: bool,
    stuck_after: timedelta,
    pace: Pace,
) -> Iterator[Finding]:
    yield from records.findings(stuck_after=stuck_after)
    with Look(client, pace=pace, deep=deep) as look:
        yield from look_at_all(look, promised_builds().iterator())
        yield from look_at_all(look, promised_bases().iterator())
    prefix = naming.effective_prefix()
    for found in names.unknown_repositories(control, prefix, pace=pace):
        yield found.finding
