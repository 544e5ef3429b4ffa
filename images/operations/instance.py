"""Operation on the instance itself: adopting repositories that carry another instance's mark."""

from __future__ import annotations

from uuid import UUID

from django.db import transaction

from images import wake
from images.models import Instance
from images.models.instance import UNMARKED, MarkState
from images.queries.capabilities import require_enabled
from images.registry.naming import effective_prefix
from ri_platform.errors import Conflict, Invalid
from workspaces import audit


def adopt_registry(mark: str) -> None:
    """Have this instance own the repositories under its prefix from now on. For `manage.py` alone.

    `mark` is the id of the instance whose they are by now, or `UNMARKED`: the word that the refusal tells, so
    that nobody adopts what they have not seen. Raises `Invalid` for anything else, and `Conflict` if the
    repositories are not known to be another's.
    """
    require_enabled()
    if mark != UNMARKED:
        try:
            mark = str(UUID(mark))
        except ValueError:
            raise Invalid(f"{mark!r} is neither an instance's id nor {UNMARKED}.") from None
    with transaction.atomic():
        instance = Instance.objects.select_for_update().get(pk=Instance.objects.this().pk)
        if instance.in_place().state == MarkState.COPY:
            raise Conflict(instance.refusal.message, hint=str(instance.refusal.hint))
        if not instance.is_refused:
            raise Conflict(
                "No mark of another instance is known.",
                hint="manage.py doctor has a worker look.",
            )
        if mark != (instance.marked_by or UNMARKED):
            raise Invalid(
                f"The mark is not {mark}.", hint=f"To adopt what is there: {instance.adoption}"
            )
        instance.adopting = mark
        instance.save(update_fields=["adopting"])
        audit.record(
            "registry.adopted",
            None,
            object_type="registry",
            object_name=effective_prefix(),
            details={"mark": mark},
        )
        wake.after_commit(wake.Task.SEE_MARK, instance.pk)
