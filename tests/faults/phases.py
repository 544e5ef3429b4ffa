"""The phases of a build: how each is made to last, and what the database says of one that is under way."""

from __future__ import annotations

from tests.faults.installation import Installation

WHEELS = r"GET .*\.whl"
# Which requests are made slow while a phase is looked for.
SLOW = {
    "resolve": ("index", r"GET /simple/.*"),
    "fetch": ("index", WHEELS),
    # One of two wheels comes at once, so that its layer is made while the other is awaited.
    "layers": ("index", WHEELS),
    "push": ("aws", r"P.* /v2/.*/blobs/uploads/.*"),
    "verify": ("aws", r"GET /v2/.*/manifests/build-.*"),
}
# Those that run other people's code or a package system upon a base image with a real Python
# (`tests/faults/test_sandboxes.py`).
IN_SANDBOXES = ("sources", "os_packages", "imports")


def is_under_way(installation: Installation, name: str, phase: str, attempt: int) -> bool:
    """Whether this attempt of an image's build, or a later one, is in the phase; several overlap."""
    found = installation.rows(
        "SELECT 1 FROM images_build b JOIN images_managedimage i ON i.id = b.image_id, "
        "jsonb_to_record(b.timings->%s) AS timing (started_at timestamptz, seconds float) "
        "WHERE i.name = %s AND b.state = 'running' AND b.attempts >= %s "
        "AND timing.started_at > b.started_at AND timing.seconds IS NULL",
        phase, name, attempt,
    )  # fmt: skip
    return bool(found)


def is_taken_over(installation: Installation, name: str) -> bool:
    found = installation.rows(
        "SELECT 1 FROM images_build b JOIN images_managedimage i ON i.id = b.image_id "
        "WHERE i.name = %s AND b.attempts > 1",
        name,
    )
    return bool(found)
