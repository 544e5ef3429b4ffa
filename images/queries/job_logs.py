"""Logs of builds at addresses that need no token, for as long as they last.

Such an address is signed, and names the account that asked for it, so it ends with the account, too.
"""

from __future__ import annotations

from django.core import signing

from images.models import Build
from images.queries.jobs import build_of_job
from ri_platform.errors import NotFound
from workspaces.models import User

LASTS_SECONDS = 3600
_SIGNER = signing.TimestampSigner(salt="images.job_logs")


def sign(build: Build, user: User) -> str:
    """The last part of an address for this build's log, which lasts `LASTS_SECONDS`."""
    return _SIGNER.sign_object([build.pk, user.pk])


def build_of_address(signed: str) -> Build:
    """The build that `sign` was given. Raises `NotFound` once it has expired, or for anything else."""
    try:
        build, user = _SIGNER.unsign_object(signed, max_age=LASTS_SECONDS)
    except signing.BadSignature as error:
        raise NotFound(
            "This address of a build's log has expired, or is incomplete.",
            hint="Ask for the job again: its answer has a new address.",
        ) from error
    asker = User.objects.filter(pk=user).first()
    if asker is None:
        raise NotFound("The account that asked for this log no longer exists.")
    return build_of_job(asker, str(build))


def whole_log(build: Build) -> str:
    return "".join(build.log_chunks.values_list("text", flat=True))
