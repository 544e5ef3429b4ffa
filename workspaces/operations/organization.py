"""Settings of the whole instance that administrators may change."""

from __future__ import annotations

from django.db import transaction

from ri_platform.errors import Invalid
from ri_platform.locks import hold_until_commit
from workspaces import audit
from workspaces.access import Action, Actor, require
from workspaces.middleware import zone_named
from workspaces.models import Organization


def change_time_zone(actor: Actor, time_zone: str) -> Organization:
    """Set the organization's time zone, a name of the tz database. Raises `Invalid` for another."""
    require(actor, Action.EDIT_ORGANIZATION)
    if zone_named(time_zone) is None:
        raise Invalid(f"There is no time zone {time_zone!r}.", field="time_zone")
    with transaction.atomic():
        hold_until_commit("organization")
        organization = Organization.get()
        before, organization.time_zone = organization.time_zone, time_zone
        if before != time_zone:
            organization.save()
            audit.record(
                "organization.edited",
                actor,
                object_type="organization",
                object_name="organization",
                details={"before": {"time_zone": before}, "time_zone": time_zone},
            )
    return organization
