"""This instance as the registry knows it: its id, and whose mark its repositories carry."""

from __future__ import annotations

import uuid
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from images.errors import AnotherInstance
from images.registry.naming import effective_prefix
from ri_platform.ready import Ready

# What an operator types in place of an id where repositories are older than marks.
UNMARKED = "unmarked"
# What follows, up to the command `Instance.adoption`.
WAY_OUT = (
    "Nothing is built or deleted. An operator must set RI_REPOSITORY_SEGMENT, or another "
    "RI_REPOSITORY_PREFIX. If that instance is no more, for example since its database was lost, "
    "an operator runs:"
)


class MarkState(models.TextChoices):
    """Whose mark the repositories carry. On what is `free`, this instance's is about to be written."""

    UNKNOWN = "unknown", "Not looked at yet"
    FREE = "free", "Not marked yet"
    OURS = "ours", "This instance's"
    FOREIGN = "foreign", "Another instance's"


def new_id() -> uuid.UUID:
    return uuid.uuid4()


def place() -> str:
    """The region and prefix that a state is about: after a change of either, nothing is known."""
    return f"{settings.AWS_REGION} {effective_prefix()}"


class InstanceManager(models.Manager["Instance"]):
    def this(self) -> Instance:
        """The one row, made if need be, with what is known of the prefix that is configured now."""
        instance, _ = self.get_or_create(pk=1, defaults={"instance_id": new_id()})
        return instance.in_place()

    def seen(self) -> Instance:
        """The same for pages, which make nothing: an empty row until a worker has looked."""
        return (THE_ROW.first() or Instance()).in_place()


class Instance(models.Model):
    """The one row about the instance itself. The id comes and goes with the database, backups included.

    `marked_by` is the id in a mark that is another's, empty if that is not known. `adopting` is the id, or
    `UNMARKED`, that an operator has this instance take the repositories over from.
    """

    instance_id = models.UUIDField()
    place = models.CharField(max_length=300, blank=True)
    state = models.CharField(max_length=16, choices=MarkState.choices, default=MarkState.UNKNOWN)
    marked_by = models.CharField(max_length=36, blank=True)
    adopting = models.CharField(max_length=36, blank=True)
    looked_at = models.DateTimeField(null=True, blank=True)

    objects = InstanceManager()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(pk=1), name="there_is_one_instance"),
            models.CheckConstraint(
                condition=Q(state__in=MarkState.values), name="instance_state_is_known"
            ),
        ]

    def __str__(self) -> str:
        return str(self.instance_id)

    def in_place(self) -> Instance:
        """Itself, without what it knows of another place."""
        if self.place != place():
            self.state, self.marked_by, self.adopting = MarkState.UNKNOWN, "", ""
        return self

    @property
    def may_act(self) -> bool:
        """Whether workers may act on the registry: the mark under the configured prefix is ours."""
        return self.state == MarkState.OURS

    @property
    def is_refused(self) -> bool:
        return self.state == MarkState.FOREIGN

    @property
    def adoption(self) -> str:
        """The command by which an operator has this instance take the repositories over."""
        return f"manage.py adopt_registry {self.marked_by or UNMARKED}"

    @property
    def refusal(self) -> AnotherInstance:
        """Why workers do nothing, where the mark is another's."""
        prefix = effective_prefix()
        if self.marked_by:
            said = (
                f"The repositories under {prefix}/ are marked as those of another instance, "
                f"{self.marked_by}."
            )
        else:
            said = (
                f"There are base images under {prefix}/ that this instance does not know, "
                "so the repositories there may be another instance's."
            )
        return AnotherInstance(
            said,
            hint=f"{WAY_OUT} {self.adoption}",
        )

    def saw(self, state: MarkState, marked_by: str = "") -> None:
        """Keep what was seen in the registry just now."""
        values: dict[str, Any] = {
            "place": place(), "state": state, "marked_by": marked_by, "looked_at": timezone.now(),
        }  # fmt: skip
        if state == MarkState.OURS:
            values["adopting"] = ""
        for name, value in values.items():
            setattr(self, name, value)
        self.save(update_fields=list(values))


THE_ROW: Ready[Instance] = Ready(lambda: Instance.objects.filter(pk=1)[:1])
