"""The OpenAPI document is worth reading: all in it has words and examples, and what it says holds."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jsonschema_rs
import pytest
from django.db import transaction
from django.test import Client

from images.models import BaseImage, BuildHost
from ri_platform.text import ONE_LINE
from ri_platform.urls import api
from tests import factories
from tests.api.ask import Ask
from tests.cast import Cast

pytestmark = pytest.mark.slow

# Made when the module is used, not when it is collected, for it takes a second and more.
DOCUMENT: dict[str, Any] = {}
SCHEMAS: dict[str, Any] = {}
OPERATIONS: dict[str, tuple[str, str, dict[str, Any]]] = {}


@pytest.fixture(scope="module", autouse=True)
def _document() -> None:
    DOCUMENT.update(Client().get("/api/openapi.json").json())
    SCHEMAS.update(DOCUMENT["components"]["schemas"])
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            OPERATIONS[operation["operationId"]] = (method.upper(), path, operation)


def names_with_bodies() -> list[str]:
    return [name for name, (_, _, told) in OPERATIONS.items() if "requestBody" in told]


@pytest.fixture
def ask_again(ask: Ask, cast: Cast) -> Ask:
    """`ask`, whose token is there before anything is undone."""
    ask(cast.admin, "GET", "/v1/users/me")
    return ask


@contextmanager
def undone() -> Iterator[None]:
    """What a block does to the database is taken back, so that the next one finds what this one found."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


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


def texts() -> Iterator[tuple[str, tuple[Any, ...], dict[str, Any]]]:
    """(operation, path, schema) of each free text of each body."""
    for name in names_with_bodies():
        for path, schema in texts_in(body_of(name)["schema"]):
            yield name, path, schema


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


def test_an_operation_has_a_name_words_and_examples(subtests: pytest.Subtests) -> None:
    for name, (_, _, told) in OPERATIONS.items():
        with subtests.test(name):
            assert_has_a_name_words_and_examples(name, told)


def assert_has_a_name_words_and_examples(name: str, told: dict[str, Any]) -> None:
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


def test_a_schema_and_its_fields_are_described(subtests: pytest.Subtests) -> None:
    for name, schema in SCHEMAS.items():
        with subtests.test(name):
            assert schema["description"].endswith(".")
            for field, part in schema.get("properties", {}).items():
                assert part["description"].strip().endswith("."), field


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


def test_an_example_is_taken_as_it_stands(
    subtests: pytest.Subtests, ask_again: Ask, cast: Cast, base: BaseImage
) -> None:
    BuildHost.objects.create(name="able")
    factories.make_image("churn", base=base)
    for name in names_with_bodies():
        with subtests.test(name), undone():
            status, details = sent(ask_again, cast, name)
            # It may meet nothing by its name, or find a name taken; but its shape and its values are good.
            assert status in (200, 404, 409), details


# --- limits -------------------------------------------------------------------------------------------------


def test_a_query_parameter_has_limits(subtests: pytest.Subtests) -> None:
    for name, (_, _, told) in OPERATIONS.items():
        for parameter in told["parameters"]:
            if parameter["in"] == "query":
                with subtests.test(f"{name} {parameter['name']}"):
                    assert_has_limits(resolved(parameter["schema"]))


def assert_has_limits(schema: dict[str, Any]) -> None:
    if schema.get("type") == "string":
        assert schema.keys() & {"maxLength", "format", "enum"}
    elif schema["type"] == "array":
        assert "maxItems" in schema
        assert_has_limits(resolved(schema["items"]))
    elif schema["type"] != "boolean":
        assert schema["type"] == "integer"
        assert {"minimum", "maximum"} <= schema.keys()


def test_a_text_takes_what_its_column_takes_and_no_control_characters(
    subtests: pytest.Subtests, ask_again: Ask, cast: Cast, base: BaseImage
) -> None:
    """At its limit it is stored, or refused in a sentence; what is beyond is refused by the field's name."""
    factories.make_image("churn", base=base)
    for name, path, schema in texts():
        with subtests.test(f"{name} {path}"), undone():
            most = schema["maxLength"]
            status, _ = sent(ask_again, cast, name, (path, "a" * most))
            assert status < 500
            refused = ["a" * (most + 1)]
            if schema.get("pattern") == ONE_LINE:
                refused += [f"a{character}b" for character in "\t\r\n\0\x7f\x85\u2028\u202e"]
            for value in refused:
                assert_refused(*sent(ask_again, cast, name, (path, value)), path, value)


def assert_refused(
    status: int, details: list[dict[str, str]], path: tuple[Any, ...], value: str
) -> None:
    assert (status, details[0]["reason"]) == (400, "invalid_request"), value
    field = ".".join(map(str, path)).replace(".0", "[0]")
    assert field in [detail["field"] for detail in details]


def test_every_text_of_one_line_says_so() -> None:
    several = {"description", "requirements", "text"}
    for name, path, schema in texts():
        if path[-1] not in {*several, "pageToken"}:
            assert schema.get("pattern") == ONE_LINE, f"{name} {path}"
