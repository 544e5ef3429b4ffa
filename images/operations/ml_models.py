"""What people do with models: one function a verb, each one transaction with its audit event.

Which image a model runs on is for `images.operations.swaps`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Prefetch, QuerySet

from images.models import Assignment, AssignmentState, MLModel, PythonVersion
from images.requirement_files.configured import parse_pip_requirements
from ri_platform.errors import Conflict, Invalid, NotFound
from workspaces.access import Action, Actor, require
from workspaces.audit import record_about
from workspaces.guard import locates
from workspaces.models import Workspace


@dataclass(frozen=True)
class EditModel:
    """What people say of a model; `requirements` is text, as in a requirements.txt."""

    name: str
    description: str
    python_version: str
    requirements: str

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
        parsed = parse_pip_requirements(
            self.requirements, self.python_version, field="requirements"
        )
        return {
            "name": name,
            "description": self.description,
            "python_version": self.python_version,
            "requirements": self.requirements,
            "pip_requirements": [item.as_json() for item in parsed],
        }


@locates("model_id", "model")
def visible_model(actor: Actor, model_id: UUID) -> MLModel:
    """The model, if `actor` sees its workspace. Raises `NotFound`."""
    found = (
        MLModel.objects.visible_to(actor).select_related("workspace").filter(pk=model_id).first()
    )
    if found is None:
        raise NotFound("There is no model at this address.")
    return found


def list_models(workspace: Workspace, search: str = "") -> QuerySet[MLModel]:
    """A workspace's models by name; `assignments` hold the current and the waiting one alone."""
    present = Assignment.objects.exclude(state=AssignmentState.PAST).with_image().order_by("state")
    models = MLModel.objects.filter(workspace=workspace, name__icontains=search).order_by("name")
    return models.prefetch_related(Prefetch("assignments", present))


def create_model(actor: Actor, workspace: Workspace, command: EditModel) -> MLModel:
    """Make a model, which runs on no image yet. Raises `Invalid`, or `Conflict` if the name is taken."""
    require(actor, Action.CREATE_MODEL, workspace)
    columns = command.columns()
    try:
        with transaction.atomic():
            model = MLModel.objects.create(workspace=workspace, created_by=actor.user, **columns)
            record_about("model.created", actor, model, workspace, **said_of(model))
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
            before = said_of(locked)
            for column, value in columns.items():
                setattr(locked, column, value)
            locked.save(update_fields=[*columns, "updated_at"])
            after = said_of(locked)
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


def said_of(model: MLModel) -> dict[str, str]:
    """What people say of a model, for the audit log."""
    columns = ("name", "description", "python_version", "requirements")
    return {column: getattr(model, column) for column in columns}


def name_taken_error(name: str) -> Conflict:
    return Conflict(
        f"There is a model named {name} in this workspace already.",
        hint="Choose another name.",
        field="name",
    )
