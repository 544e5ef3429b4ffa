"""Putting manifests into an image's repository, so that none reaches the next image of the same name.

A worker that was paused looks like a dead one: its lease runs out, its image is removed, and a new image gets
the name and a repository. So who puts holds a lock of the database session, which outlives a pause and ends
with the process; a repository goes only while nobody holds it (docs/decisions/0027-what-ends-goes-on.md).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from images.jobs import put_pace
from ri_platform.locks import exclusive_if_free, share

KIND = "repository-writers"


@contextmanager
def putting(
    image_id: int, check: Callable[[], None], confirm: Callable[[], None], *, waits: bool = False
) -> Iterator[None]:
    """A turn to put one manifest, for which one that `waits` waits; the repository stays meanwhile.

    `check` is asked before and may raise. `confirm` asks the database whether the manifest is still wanted,
    and raises if not; that cannot change unnoticed any more then.
    """
    check()
    put_pace.take(check, waits=waits)
    with share(KIND, image_id):
        confirm()
        yield


def nobody_puts(image_id: int) -> AbstractContextManager[bool]:
    """Keep everybody from putting; the value is False, at once, if somebody is at it."""
    return exclusive_if_free(KIND, image_id)
