"""The JSON column of a spec."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.fields.json import KeyTransform

from images.spec import ImageSpec

if TYPE_CHECKING:
    SpecColumn = models.JSONField[ImageSpec, ImageSpec]
else:
    SpecColumn = models.JSONField


class SpecEncoder(DjangoJSONEncoder):
    def default(self, o: Any) -> Any:
        return o.as_json() if isinstance(o, ImageSpec) else super().default(o)


class SpecField(SpecColumn):
    """A JSON column whose value is an `ImageSpec`. A look-up of a key (`spec__allow_source`) sees the JSON.

    Migrations know it as the `JSONField` that it is in the database, so they depend on no class of ours.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **{**options, "encoder": SpecEncoder})

    def deconstruct(self) -> Any:
        name, _, args, options = super().deconstruct()
        del options["encoder"]
        return name, "django.db.models.JSONField", args, options

    def from_db_value(
        self, value: str | None, expression: Any, connection: BaseDatabaseWrapper
    ) -> Any:
        found = super().from_db_value(value, expression, connection)
        if found is None or isinstance(expression, KeyTransform):
            return found
        return ImageSpec.of_columns(found)

    def to_python(self, value: Any) -> Any:
        """The value of what a fixture holds."""
        return ImageSpec.of_columns(value) if isinstance(value, dict) else value

    def value_to_string(self, obj: models.Model) -> Any:
        """The value for a fixture."""
        return self.value_from_object(obj).as_json()
