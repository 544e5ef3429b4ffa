"""Notices on what keeps images from being built: another instance's mark, base images that are not ready.

The pane, the banner of `make run` and the log show the same notices.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.conf import settings

from images.catalogue import catalogue
from images.models import BaseImage, ImageType, Instance, PythonVersion
from images.models.base_source import Source
from images.models.instance import MarkState
from images.models.lease import WorkState
from ri_platform import announcements

INFO, WARNING, ERROR = "info", "warning", "error"


@dataclass(frozen=True)
class Notice:
    """`text` says what is the matter, `next` what follows and what to do; `next` and `title` may be empty.

    `command` is what an operator types, and empty for everybody else.
    """

    kind: str
    title: str
    text: str
    next: str = ""
    command: str = ""

    @property
    def is_moving(self) -> bool:
        return self.kind == INFO


def notices(offered: Iterable[BaseImage], *, administrator: bool) -> list[Notice]:
    """What to say of the base images that are current or were asked for, to one kind of reader.

    Everybody is told what cannot be built and why; what to do about it, administrators are told.
    """
    offered = list(offered)
    if not offered:
        return [missing_notice(administrator)]
    ready = {kind_of(base) for base in offered if base.is_current}
    found = []
    for base in offered:
        if base.state == WorkState.FAILED:
            found.append(failure_notice(base, kind_of(base) in ready, administrator))
        elif base.state != WorkState.SUCCEEDED:
            found.append(preparation_notice(base))
    return found


def kind_of(base: BaseImage) -> tuple[str, str]:
    return base.image_type, base.python_version


def instance_notices(*, administrator: bool) -> list[Notice]:
    """That nothing is built, where the registry carries another instance's mark."""
    instance = Instance.objects.seen()
    if not instance.is_refused:
        return []
    title = "The registry's repositories may be another instance's"
    if instance.state == MarkState.COPY:
        title = "This database was restored, copied or moved"
    refusal = instance.refusal
    if not administrator:
        to_do = "Nothing is built or deleted until an administrator has resolved this."
        return [Notice(ERROR, title, refusal.message, to_do)]
    return [Notice(ERROR, title, refusal.message, instance.way_out, instance.adoption)]


def missing_notice(administrator: bool) -> Notice:
    title = "There is no base image to build on"
    if not administrator:
        return Notice(
            ERROR, title, "An administrator has to provide one before images can be built."
        )
    python = PythonVersion.newest_first(catalogue().roots)[0]
    command = f"manage.py build_base_image {ImageType.ALL} {python}"
    return Notice(
        ERROR,
        title,
        "None has been requested yet. To request one, an operator runs:",
        command=command,
    )


def preparation_notice(base: BaseImage) -> Notice:
    text = (
        f"The base image {name_of(base)} is being prepared. You can create images now; they are built "
        f"as soon as it is ready. {base.error_message}"
    )
    return Notice(INFO, "", text.strip())


def failure_notice(base: BaseImage, is_ready: bool, administrator: bool) -> Notice:
    """Of a version that failed; `is_ready` tells that there is one before it."""
    title = f"The base image {name_of(base)} could not be prepared"
    goes_on = (
        "Images are built on the version before it." if is_ready else "No image can be built on it."
    )
    kind = WARNING if is_ready else ERROR
    if not administrator:
        to_do = "An administrator has to resolve this."
        return Notice(kind, title, base.error_message, f"{goes_on} {to_do}")
    to_do, command = retry_instruction(base)
    to_do = " ".join(f"{goes_on} {base.error_hint} {to_do}".split())
    return Notice(kind, title, base.error_message, to_do, command)


def retry_instruction(base: BaseImage) -> tuple[str, str]:
    """A sentence, and the command that it ends with, if any."""
    if settings.DEMO:
        return "It is tried again when make run is started again.", ""
    version = f"--platform-version {base.platform_version}"
    if base.source == catalogue_source(base):
        return (
            "To try again, an operator runs:",
            f"manage.py build_base_image {base.image_type} {base.python_version} {version}",
        )
    source = Source.parse(base.source)
    return (
        "To try again, an operator runs:",
        f"manage.py import_base_image --{source.kind.word} {source.name} "
        f"--python-version {base.python_version} --image-type {base.image_type} {version}",
    )


def catalogue_source(base: BaseImage) -> str:
    """Where the catalogue would take it from; empty for what it does not have."""
    known = catalogue()
    if base.image_type not in known.use_cases or base.python_version not in known.roots:
        return ""
    return known.source(base.image_type, base.python_version)


def name_of(base: BaseImage) -> str:
    return f"{base.image_type} for Python {base.python_version}"


def announce_ready(base: BaseImage) -> None:
    announcements.logger.info("The base image %s is ready.", name_of(base))


def announce_failure(base: BaseImage) -> None:
    """Say why, and what to do, where somebody who runs the instance reads it."""
    to_do, command = retry_instruction(base)
    announcements.logger.warning(
        "The base image %s could not be prepared: %s",
        name_of(base),
        " ".join(f"{base.error_message} {base.error_hint} {to_do} {command}".split()),
    )
