"""Operations on models, one function each: one transaction with its audit event.

`images.operations.swaps` changes the image of a model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Prefetch, QuerySet

from images.models import Assignment, AssignmentState, MLModel, PythonVersion
from images.requirement_files.configured import indexes_of, pip_requirements_of, read_typed
from images.run_time.request import RunRequest
from ri_platform.errors import Conflict, Invalid, NotFound
from workspaces.access import Action, Actor, require
from workspaces.audit import record_about
from workspaces.guard import Place
from workspaces.models import Workspace


@dataclass(frozen=True)
class EditModel:
    """The fields of a model that users edit; `requirements` is text, as in a requirements.txt.

    `asks` of None leaves what its runs ask for as it is.
    """

    name: str
    description: str
    python_version: str
    requirements: str
    asks: RunRequest | None = None

    def columns(self) -> dict[str, Any]:
        """The row's. Raises `Invalid` for what cannot be taken, `RequirementErrors` naming the lines."""
        if self.python_version not in PythonVersion.values:
            raise Invalid(
                f"{self.python_version!r} is not a Python version that images are made for.",
                hint=f"Choose from {', '.join(PythonVersion.values)}.",
                field="python_version",
            )
        name = self.name.strip()
        if not name:
            raise Invalid("A model needs a name.", field="name")
        reading = read_typed(self.requirements, self.python_version)
        parsed = pip_requirements_of(reading, field="requirements")
        return {
            "name": name,
            "description": self.description,
            "python_version": self.python_version,
            "requirements": self.requirements,
            "pip_requirements": [item.as_json() for item in parsed],
            "indexes": list(indexes_of(reading)),
            "allow_prereleases": reading.prereleases,
            **({} if self.asks is None else {"run_request": self.asks.as_json()}),
        }


def visible_model(actor: Actor, model_id: UUID) -> MLModel:
    """The model, if `actor` sees its workspace. Raises `NotFound`."""
    found = (
        MLModel.objects.visible_to(actor).select_related("workspace").filter(pk=model_id).first()
    )
    if found is None:
        raise NotFound("There is no model at this address.")
    return found


def model_in(workspace: Workspace, model_id: UUID) -> MLModel:
    """A model of this workspace. Raises `NotFound`."""
    found = MLModel.objects.filter(workspace=workspace, pk=model_id).first()
    if found is None:
        raise NotFound(f"{workspace.name} has no such model.")
    return found


MODEL = Place("model_id", "model", UUID, visible_model)


# The order of a workspace's models: no two have the same name.
ORDER = ("name",)


def list_models(workspace: Workspace, search: str = "") -> QuerySet[MLModel]:
    """A workspace's models; `assignments` hold the current and the waiting one alone."""
    present = Assignment.objects.exclude(state=AssignmentState.PAST).with_image().order_by("state")
    models = MLModel.objects.filter(workspace=workspace, name__icontains=search)
    return models.prefetch_related(Prefetch("assignments", present))


def create_model(actor: Actor, workspace: Workspace, command: EditModel) -> MLModel:
    """Make a model without an image of its own. Raises `Invalid`, or `Conflict` if the name is taken."""
    require(actor, Action.CREATE_MODEL, workspace)
    columns = command.columns()
    try:
        with transaction.atomic():
            model = MLModel.objects.create(workspace=workspace, created_by=actor.user, **columns)
            record_about("model.created", actor, model, workspace, **model_details(model))
    except IntegrityError as error:
        raise name_taken_error(command.name) from error
    return model


def edit_model(actor: Actor, model: MLModel, command: EditModel) -> MLModel:
    """Change what a model is and needs; its image stays. Raises as `create_model`."""
    require(actor, Action.EDIT_MODEL, model.workspace)
    columns = command.columns()
    try:
        with transaction.atomic():
            locked = MLModel.objects.lock(model)
            before = model_details(locked)
            for column, value in columns.items():
                setattr(locked, column, value)
            locked.save(update_fields=[*columns, "updated_at"])
            after = model_details(locked)
            changed = [column for column in after if after[column] != before[column]]
            record_about(
                "model.edited",
                actor,
                locked,
                model.workspace,
                before={column: before[column] for column in changed},
                after={column: after[column] for column in changed},
            )
    except IntegrityError as error:
        raise name_taken_error(command.name) from error
    return locked


def remove_model(actor: Actor, model: MLModel) -> None:
    """Remove a model with its history; images stay. Removing one that is gone is harmless."""
    require(actor, Action.REMOVE_MODEL, model.workspace)
    with transaction.atomic():
        locked = MLModel.objects.select_for_update().filter(pk=model.pk).first()
        if locked is None:
            return
        record_about("model.removed", actor, model, model.workspace)
        locked.delete()


def model_details(model: MLModel) -> dict[str, Any]:
    """A model's editable fields, for the audit log."""
    columns = ("name", "description", "python_version", "requirements", "run_request")
    return {column: getattr(model, column) for column in columns}


def name_taken_error(name: str) -> Conflict:
    return Conflict(
        f"There is a model named {name} in this workspace already.",
        hint="Choose another name.",
        field="name",
    )
