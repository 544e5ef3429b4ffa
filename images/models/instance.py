"""This instance as the registry knows it: its id, and whose mark its repositories carry."""

from __future__ import annotations

import uuid
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q, QuerySet
from django.db.models.expressions import RawSQL
from django.utils import timezone

from images.errors import AnotherDatabase, AnotherInstance
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
COPY_WAY_OUT = (
    "Nothing is built or deleted. If it is to be a second instance beside the former database, set "
    "RI_REPOSITORY_SEGMENT first, so that the two share no repository. An operator has the workers go on "
    "here by this command:"
)
RESTORED = "manage.py restored"

# What tells a database from its copies: another cluster, another database, or a table made anew in it.
DATABASE = RawSQL(
    "(SELECT system_identifier FROM pg_control_system()) || '/' || "
    "(SELECT oid FROM pg_database WHERE datname = current_database()) || '/' || images_instance.tableoid",
    (),
    output_field=models.CharField(),
)
# Counted up by each recovery to a point in time and each promotion of a standby, which can lose what was
# written last. https://www.postgresql.org/docs/current/continuous-archiving.html#BACKUP-TIMELINES
TIMELINE = RawSQL(
    "(SELECT timeline_id FROM pg_control_checkpoint())", (), output_field=models.IntegerField()
)
NOW = {"database_now": DATABASE, "timeline_now": TIMELINE}


class MarkState(models.TextChoices):
    """Whose mark the repositories carry. On what is `free`, this instance's is about to be written.

    `copy` is never stored: this database is not the one that has last acted, so what it says of the mark is
    the other's.
    """

    UNKNOWN = "unknown", "Not looked at yet"
    FREE = "free", "Not marked yet"
    OURS = "ours", "This instance's"
    FOREIGN = "foreign", "Another instance's"
    COPY = "copy", "That of the database that this one is a copy of"


def new_id() -> uuid.UUID:
    return uuid.uuid4()


def place() -> str:
    """The region and prefix that a state is about: after a change of either, nothing is known."""
    return f"{settings.AWS_REGION} {effective_prefix()}"


class InstanceManager(models.Manager["Instance"]):
    def get_queryset(self) -> QuerySet[Instance]:
        return super().get_queryset().annotate(**NOW)

    def this(self) -> Instance:
        """The one row, made if need be, with what is known of the prefix that is configured now."""
        if (instance := self.first()) is None:
            self.get_or_create(pk=1, defaults={"instance_id": new_id()})
            instance = self.get(pk=1)
        return instance.in_place()

    def seen(self) -> Instance:
        """The same for pages, which make nothing: an empty row until a worker has looked."""
        return (THE_ROW.first() or Instance()).in_place()


class Instance(models.Model):
    """The one row about the instance itself. The id comes and goes with the database, backups included.

    `marked_by` is the id in a mark that is another's, empty if that is not known. `adopting` is the id, or
    `UNMARKED`, that an operator has this instance take the repositories over from. `database` and `timeline`
    are those in which workers acted last, empty and 0 before they did.
    """

    instance_id = models.UUIDField()
    place = models.CharField(max_length=300, blank=True)
    state = models.CharField(max_length=16, choices=MarkState.choices, default=MarkState.UNKNOWN)
    marked_by = models.CharField(max_length=36, blank=True)
    adopting = models.CharField(max_length=36, blank=True)
    looked_at = models.DateTimeField(null=True, blank=True)
    database = models.CharField(max_length=60, blank=True)
    timeline = models.PositiveIntegerField(default=0)
    # Those of the connection, with each row that is read.
    database_now = ""
    timeline_now = 0

    objects = InstanceManager()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(pk=1), name="there_is_one_instance"),
            models.CheckConstraint(
                condition=Q(state__in=MarkState.values) & ~Q(state=MarkState.COPY),
                name="instance_state_is_known",
            ),
        ]

    def __str__(self) -> str:
        return str(self.instance_id)

    def in_place(self) -> Instance:
        """Itself, without what it knows of another place; a copy knows nothing."""
        if self.place != place():
            self.state, self.marked_by, self.adopting = MarkState.UNKNOWN, "", ""
        if self.database and self.database_now != self.database:
            self.state = MarkState.COPY
        return self

    @property
    def may_act(self) -> bool:
        """Whether workers may act on the registry: the mark under the configured prefix is ours."""
        return self.state == MarkState.OURS

    @property
    def is_refused(self) -> bool:
        return self.state in (MarkState.FOREIGN, MarkState.COPY)

    @property
    def adoption(self) -> str:
        """The command by which an operator has this instance take the repositories over."""
        if self.state == MarkState.COPY:
            return RESTORED
        return f"manage.py adopt_registry {self.marked_by or UNMARKED}"

    @property
    def way_out(self) -> str:
        """What an operator can do, up to the command."""
        return COPY_WAY_OUT if self.state == MarkState.COPY else WAY_OUT

    @property
    def refusal(self) -> AnotherInstance:
        """Why workers do nothing, where the mark is another's or the database a copy."""
        prefix = effective_prefix()
        if self.state == MarkState.COPY:
            return AnotherDatabase(
                f"This database is not the one that has last acted on the repositories under {prefix}/: "
                "it was restored from a backup, copied or moved.",
                hint=f"{self.way_out} {self.adoption}",
            )
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
        return AnotherInstance(said, hint=f"{self.way_out} {self.adoption}")

    def goes_on_here(self) -> None:
        """Have workers act in the database of this connection, and on its timeline, from now on."""
        self.database, self.timeline = self.database_now, self.timeline_now
        self.save(update_fields=["database", "timeline"])

    def saw(self, state: MarkState, marked_by: str = "") -> None:
        """Keep what was seen in the registry just now."""
        values: dict[str, Any] = {
            "place": place(), "state": state, "marked_by": marked_by, "looked_at": timezone.now(),
        }  # fmt: skip
        if state == MarkState.OURS:
            values["adopting"] = ""
        if not self.database:
            values |= {"database": self.database_now, "timeline": self.timeline_now}
        for name, value in values.items():
            setattr(self, name, value)
        self.save(update_fields=list(values))


THE_ROW: Ready[Instance] = Ready(lambda: Instance.objects.filter(pk=1)[:1])
