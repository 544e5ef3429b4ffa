"""The OpenAPI document is worth reading: all in it has words and examples, and what it says holds."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest
from django.test import Client

from images.models import BaseImage, BuildHost
from ri_platform.text import ONE_LINE
from ri_platform.urls import api
from tests import factories
from tests.api.ask import Ask
from tests.cast import Cast

DOCUMENT: dict[str, Any] = Client().get("/api/openapi.json").json()
SCHEMAS: dict[str, Any] = DOCUMENT["components"]["schemas"]
OPERATIONS: dict[str, tuple[str, str, dict[str, Any]]] = {
    operation["operationId"]: (method.upper(), path, operation)
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
}
WITH_BODIES = [name for name, (_, _, told) in OPERATIONS.items() if "requestBody" in told]


def body_of(name: str) -> dict[str, Any]:
    content: dict[str, Any] = OPERATIONS[name][2]["requestBody"]["content"]["application/json"]
    return content


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    if "anyOf" in schema:
        return resolved(schema["anyOf"][0])
    return SCHEMAS[schema["$ref"].rsplit("/", 1)[-1]] if "$ref" in schema else schema


def texts_in(schema: dict[str, Any], path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, Any]]:
    """(path, schema) of each free text that a body takes; of lists the first item."""
    found = resolved(schema)
    if found.get("type") == "object":
        for name, part in found.get("properties", {}).items():
            yield from texts_in(part, (*path, name))
    elif found.get("type") == "array":
        yield from texts_in(found["items"], (*path, 0))
    elif found.get("type") == "string" and not found.keys() & {"enum", "const", "format"}:
        yield path, found


TEXTS = [
    pytest.param(name, path, schema, id=f"{name} {'.'.join(map(str, path))}")
    for name in WITH_BODIES
    for path, schema in texts_in(body_of(name)["schema"])
]


def sent(
    ask: Ask, cast: Cast, name: str, put: tuple[tuple[Any, ...], Any] | None = None
) -> tuple[int, list[dict[str, str]]]:
    """What the example of an operation is answered with, another value put at a path: status and details."""
    method, path, told = OPERATIONS[name]
    values = {item["name"]: item["example"] for item in told["parameters"] if item["in"] == "path"}
    model = factories.make_model(cast.workspace)
    values |= {"workspace_id": cast.workspace.pk, "model_id": model.pk, "name": "churn"}
    body = body_of(name)["example"]
    if put is not None:
        body = with_value(body, *put)
    answer = ask(cast.admin, method, path.format(**values), body)
    details = answer.json().get("details", []) if answer.status_code != 200 else []
    return answer.status_code, details


def with_value(body: Any, path: tuple[Any, ...], value: Any) -> Any:
    """A copy of a body with another value at a path, what it does not have there begun."""
    if not path:
        return value
    first, rest = path[0], path[1:]
    if isinstance(first, int):
        return [with_value(body[0] if body else {}, rest, value)]
    return {**(body or {}), first: with_value((body or {}).get(first), rest, value)}


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_has_a_name_words_and_examples(name: str) -> None:
    _, _, told = OPERATIONS[name]
    assert re.fullmatch(r"[a-z]+(_[a-z]+)+", name)
    assert told["summary"]
    assert told["summary"] != name.title().replace("_", " ")
    assert told["description"].endswith(".")
    assert {"ApiKey", "Bearer"} == {scheme for item in told["security"] for scheme in item}
    # A token makes no tokens, so that address has errors alone.
    assert ("200" in told["responses"]) == (name != "create_token")
    for parameter in told["parameters"]:
        assert parameter["description"].endswith("."), parameter["name"]
        assert "examples" not in parameter
    for content in (
        *told.get("requestBody", {}).get("content", {}).values(),
        *told["responses"].get("200", {}).get("content", {}).values(),
    ):
        assert "example" in content
        jsonschema_rs.validate(
            {**content["schema"], "components": DOCUMENT["components"]}, content["example"]
        )


def test_names_of_operations_are_unique_and_those_of_the_views() -> None:
    counted = Counter(
        operation.view_func.__name__
        for router in api._get_bound_routers()
        for view in router.path_operations.values()
        for operation in view.operations
    )
    assert set(counted.values()) == {1}
    assert set(counted) == set(OPERATIONS)


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_schema_and_its_fields_are_described(name: str) -> None:
    assert SCHEMAS[name]["description"].endswith(".")
    for field, schema in SCHEMAS[name].get("properties", {}).items():
        assert schema["description"].strip().endswith("."), field


def test_tags_servers_and_errors_are_told() -> None:
    used = {tag for _, _, told in OPERATIONS.values() for tag in told["tags"]}
    assert {tag["name"] for tag in DOCUMENT["tags"]} == used
    assert all(tag["description"].endswith(".") for tag in DOCUMENT["tags"])
    assert DOCUMENT["tags"][0]["name"] == "Managed images"
    assert DOCUMENT["servers"] == [{"url": "/", "description": "This instance."}]
    schemes = DOCUMENT["components"]["securitySchemes"]
    assert (schemes["ApiKey"]["in"], schemes["ApiKey"]["name"]) == ("header", "rime-api-key")
    assert (schemes["Bearer"]["type"], schemes["Bearer"]["scheme"]) == ("http", "bearer")
    answers = DOCUMENT["components"]["responses"]
    assert "WWW-Authenticate" in answers["Unauthenticated"]["headers"]
    assert "Retry-After" in answers["TooManyRequests"]["headers"]
    assert "Retry-After" in answers["Unavailable"]["headers"]
    for answer in answers.values():
        content = answer["content"]["application/json"]
        jsonschema_rs.validate(SCHEMAS["Error"] | {"components": DOCUMENT["components"]},
                               content["example"])  # fmt: skip


def test_errors_are_documented_where_they_occur() -> None:
    def statuses(name: str) -> set[str]:
        return set(OPERATIONS[name][2]["responses"]) - {"200"}

    assert statuses("list_workspaces") == {"400", "401", "429"}
    assert statuses("get_image") == {"400", "401", "404", "429", "503"}
    assert statuses("list_removed_images") == {"400", "401", "403", "429", "503"}
    bodies = {"408", "413", "503"}
    assert statuses("create_workspace") == {"400", "401", "403", "404", "409", "429"} | bodies
    assert statuses("remove_image") == {"400", "401", "403", "404", "409", "429", "503"}


@pytest.mark.parametrize("name", WITH_BODIES)
def test_an_example_is_taken_as_it_stands(name: str, ask: Ask, cast: Cast, base: BaseImage) -> None:
    BuildHost.objects.create(name="able")
    factories.make_image("churn", base=base)
    status, details = sent(ask, cast, name)
    # It may meet nothing by its name, or find a name taken; but its shape and its values are good.
    assert status in (200, 404, 409), details


# --- limits -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "parameter"),
    [
        pytest.param(name, parameter, id=f"{name} {parameter['name']}")
        for name, (_, _, told) in OPERATIONS.items()
        for parameter in told["parameters"]
        if parameter["in"] == "query"
    ],
)
def test_a_query_parameter_has_limits(name: str, parameter: dict[str, Any]) -> None:
    schema = resolved(parameter["schema"])
    if schema.get("type") == "string":
        assert schema.keys() & {"maxLength", "format", "enum"}
    elif schema["type"] != "boolean":
        assert schema["type"] == "integer"
        assert {"minimum", "maximum"} <= schema.keys()


@pytest.mark.parametrize(("name", "path", "schema"), TEXTS)
def test_a_text_takes_what_its_column_takes_and_no_control_characters(
    name: str, path: tuple[Any, ...], schema: dict[str, Any], ask: Ask, cast: Cast, base: BaseImage
) -> None:
    """At its limit it is stored, or refused in a sentence; what is beyond is refused by the field's name."""
    factories.make_image("churn", base=base)
    most = schema["maxLength"]
    status, _ = sent(ask, cast, name, (path, "a" * most))
    assert status < 500
    refused = ["a" * (most + 1)]
    if schema.get("pattern") == ONE_LINE:
        refused += [f"a{character}b" for character in "\t\r\n\0\x7f\x85\u2028\u202e"]
    for value in refused:
        status, details = sent(ask, cast, name, (path, value))
        assert (status, details[0]["reason"]) == (400, "invalid_request"), value
        field = ".".join(map(str, path)).replace(".0", "[0]")
        assert field in [detail["field"] for detail in details]


def test_every_text_of_one_line_says_so() -> None:
    several = {"description", "requirements", "text"}
    for param in TEXTS:
        path, schema = param.values[1], param.values[2]
        if path[-1] not in {*several, "pageToken"}:  # type: ignore[index]
            assert schema.get("pattern") == ONE_LINE, param.id  # type: ignore[union-attr]
