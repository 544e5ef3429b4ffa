"""The common parts of all REST endpoints: JSON in camelCase, and one error format, rendered in one place.

Errors are `{"code": <google.rpc.Code>, "message": …, "details": […]}` with the matching HTTP status, and
hold strings and numbers only, since the public client reads them as a Python literal.
"""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from ninja import NinjaAPI, Router, Schema
from ninja.errors import HttpError, ValidationError
from ninja.schema import DjangoGetter
from pydantic import (
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    StringConstraints,
    ValidationInfo,
    model_validator,
)
from pydantic.alias_generators import to_camel

from ri_platform.errors import DomainError, Invalid
from ri_platform.middleware import error_response
from ri_platform.pages import Columns, place_of, read_place, rows_from, unknown_token
from ri_platform.text import ONE_LINE, REFUSALS, SEVERAL_LINES

# Kinds of text, whose length is the field's own to limit (`Field(max_length=…)`), mostly by `column_length`.
Line = Annotated[str, StringConstraints(pattern=ONE_LINE)]
Lines = Annotated[str, StringConstraints(pattern=SEVERAL_LINES)]


M = TypeVar("M", bound=Model)


class Camel(Schema):
    """A schema of snake_case fields here and camelCase outside; the text below a field describes it."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, use_attribute_docstrings=True
    )

    @model_validator(mode="wrap")
    @classmethod
    def _run_root_validator(
        cls, values: Any, handler: ModelWrapValidatorHandler[Any], info: ValidationInfo
    ) -> Any:
        """In place of the framework's own, which looks up each field of each object in Python.

        A dictionary needs that only for `resolve_…` methods; a page of images has a thousand without.
        """
        if isinstance(values, dict) and not cls._ninja_resolvers:
            return handler(values)
        if cls.model_config.get("extra") == "forbid":
            handler(values)
        return handler(DjangoGetter(values, cls, info.context))


class ErrorDetail(Camel):
    """A detail of an error."""

    reason: str = Field(examples=["conflict"])
    """A stable code, which never changes."""
    field: str = Field(examples=["name"])
    """The field of the request; empty if it is about none."""


class Error(Camel):
    """An error in the format of google.rpc.Status."""

    code: int = Field(examples=[6])
    """A google.rpc.Code."""
    message: str = Field(examples=["There is a managed image named churn already."])
    """What is wrong and what to do, in sentences."""
    details: list[ErrorDetail]
    """The reason, and of a malformed request each field with a problem."""


# The errors that every endpoint may answer.
ERRORS = dict.fromkeys((400, 401, 403, 404, 409, 429, 503), Error)


class InvalidRequest(Invalid):
    """The request does not match the documented schema. The error lists all problems."""

    code = "invalid_request"

    def __init__(self, problems: list[tuple[str, str]]) -> None:
        self.problems = problems
        super().__init__(" ".join(f"{field}: {message}." for field, message in problems))

    @property
    def details(self) -> list[dict[str, str]]:
        return [{"reason": self.code, "field": field} for field, _ in self.problems]


class PageIn(Camel):
    """The page of a list to return."""

    page_token: str = Field("", max_length=1000)
    """The `nextPageToken` of the previous page; empty for the first page."""
    page_size: int = Field(1000, ge=1, le=1000)
    """The largest number of items to return."""


class PageOut(Camel):
    """A page of a list."""

    next_page_token: str
    """The token of the next page. On the last page it equals the token of the request."""


def page_of(
    rows: QuerySet[M], columns: Columns, size: int, token: str, *, descending: bool = False
) -> tuple[list[M], str]:
    """The page after the row that `token` names, in the order of `columns`, and the token of the next page.

    On the last page the token is `token`, the request's own, as the clients expect. Raises `Invalid` for one
    that this list did not give out.
    """
    place = read_place(rows.model, token, columns)
    if token and place is None:
        raise unknown_token()
    found = rows_from(rows, columns, place, descending, size + 1)
    shown = found[:size]
    return shown, place_of(shown[-1], columns) if len(found) > size else token


# Descriptions by tag, for the documentation.
TAGS: dict[str, str] = {}


def router(tag: str, description: str) -> Router:
    """A router whose endpoints have the tag `tag`, with its description for the documentation."""
    TAGS[tag] = description
    return Router(tags=[tag], by_alias=True, exclude_none=True)


def install_error_handlers(api: NinjaAPI) -> None:
    """Render the framework's own errors in our error format."""

    def invalid(request: HttpRequest, error: ValidationError) -> HttpResponse:
        problems = [(field_of(item["loc"]), refusal_of(item)) for item in error.errors]
        return error_response(request, InvalidRequest(problems[:20]))

    def unreadable(request: HttpRequest, error: HttpError) -> HttpResponse:
        return error_response(request, InvalidRequest([("body", str(error).rstrip("."))]))

    def ours(request: HttpRequest, error: DomainError) -> HttpResponse:
        return error_response(request, error)

    api.exception_handler(ValidationError)(invalid)
    api.exception_handler(HttpError)(unreadable)
    api.exception_handler(DomainError)(ours)


def refusal_of(problem: dict[str, Any]) -> str:
    """The problem of a value, without the full stop; a pattern has its own text."""
    pattern = problem.get("ctx", {}).get("pattern", "")
    return REFUSALS.get(pattern, str(problem["msg"]).rstrip("."))


def field_of(location: tuple[str | int, ...]) -> str:
    """The field of a problem, such as `pipRequirements[0].name`, without the framework's own levels."""
    path = ""
    for part in location[2:] if location[0] == "body" else location[1:]:
        path += f"[{part}]" if isinstance(part, int) else f".{part}"
    return path.lstrip(".") or str(location[0])
