"""The OpenAPI document: the framework's, with additions.

Descriptions are at the fields (`ri_platform.api.Camel`), those of tags at the routers. Examples combine those
of the fields (`Field(examples=[…])`) with `ri_platform.openapi_examples`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ninja import NinjaAPI
from ninja.openapi.schema import OpenAPISchema
from ninja.operation import Operation

from ri_platform.api import TAGS
from ri_platform.errors import CHALLENGE
from ri_platform.openapi_examples import EXAMPLES, OF_FORMATS, PATH_PARAMETERS

# The error answers: name, meaning, code and an example message.
ERRORS: dict[int, tuple[str, str, int, str, str]] = {
    400: (
        "Invalid",
        "The request does not have the documented shape, or asks for what cannot be.",
        3, "invalid", "Name at least one library.",
    ),
    401: (
        "Unauthenticated",
        "The request brings no API access token, or one that is wrong, expired or revoked.",
        16, "unauthenticated", "The API access token is missing, wrong, expired or revoked.",
    ),
    403: (
        "NotAllowed",
        "The token's account lacks the privilege for this, or the token may not do it.",
        7, "not_allowed", "Only Organization Administrators can remove a managed image.",
    ),
    404: (
        "NotFound",
        "It does not exist, or the token's account may not know that it does.",
        5, "not_found", "There is no managed image named churn.",
    ),
    408: (
        "RequestTimeout",
        "The request's body did not arrive in time; nothing was done.",
        4, "request_timeout", "The request did not arrive in time.",
    ),
    409: (
        "Conflict",
        "It is in a state that this cannot start from, or a name is taken.",
        6, "conflict", "churn is being built already. Wait until that build has ended, or cancel it.",
    ),
    413: (
        "TooLarge",
        "The request is larger than what is taken; nothing was done.",
        3, "too_large", "The request is larger than 2.5 MB. Send less at once.",
    ),
    429: (
        "TooManyRequests",
        "Too many requests with a wrong token came from this address, or the account has as many builds "
        "waiting as it may have; nothing was done.",
        8, "too_many_requests",
        "Too many requests with a wrong API access token came from your address.",
    ),
    503: (
        "Unavailable",
        "What this needs is not there now, or is turned off; nothing was done.",
        14, "unavailable", "The Managed Image Registry is turned off on this instance.",
    ),
}  # fmt: skip
RETRY_AFTER = {"Retry-After": {
    "description": "Seconds after which it may be tried again, where that is known.",
    "schema": {"type": "integer"},
}}  # fmt: skip
HEADERS: dict[int, dict[str, Any]] = {
    401: {"WWW-Authenticate": {
        "description": "How to come again (RFC 6750), with `error` where a token came that does not count.",
        "schema": {"type": "string"},
        "example": CHALLENGE,
    }},
    429: RETRY_AFTER,
    503: RETRY_AFTER,
}  # fmt: skip
# The most used tags come first; the others follow in the order of routing.
LEADING_TAG = "Managed images"
# What a body may end in before an endpoint sees it; 503 where the web process holds too many of them already.
OF_BODIES = {408, 413, 503}
WRITES = {"post", "put", "patch", "delete"}


class Api(NinjaAPI):
    """The API. `refuses` tells whether a view's rule refuses some accounts."""

    def __init__(self, *, refuses: Callable[[Any], bool], **options: Any) -> None:
        super().__init__(**options)
        self.refuses = refuses
        self._documents: dict[str, OpenAPISchema] = {}

    def get_openapi_operation_id(self, operation: Operation) -> str:
        """The function's name. It must not change after a release: generated clients name methods by it."""
        return operation.view_func.__name__

    def get_openapi_schema(self, **options: Any) -> OpenAPISchema:
        """The document. It is cached: generating it takes half a second, and it is public."""
        key = repr(sorted(options.items()))
        if key not in self._documents:
            self._documents[key] = self.make_openapi_schema(**options)
        return self._documents[key]

    def make_openapi_schema(self, **options: Any) -> OpenAPISchema:
        document = super().get_openapi_schema(**options)
        schemas = document["components"]["schemas"]
        views = {
            self.get_openapi_operation_id(operation): operation.view_func
            for router in self._get_bound_routers()
            for path_view in router.path_operations.values()
            for operation in path_view.operations
        }
        used = []
        for path, methods in document["paths"].items():
            for method, operation in methods.items():
                used += [tag for tag in operation["tags"] if tag not in used]
                finish_parameters(operation, schemas)
                finish_body(operation, schemas)
                found = errors_of(path, method, self.refuses(views[operation["operationId"]]))
                if "requestBody" in operation:
                    found |= OF_BODIES
                finish_answers(operation, sorted(found), schemas)
        used.sort(key=lambda tag: tag != LEADING_TAG)
        document["tags"] = [{"name": tag, "description": TAGS[tag]} for tag in used]
        document["components"]["responses"] = {
            ERRORS[status][0]: error_answer(status) for status in ERRORS
        }
        return document


# Endpoints whose query names what they are about.
NAMED_BY_QUERY = (":compare", "/firewall")


# What is not there where managed images are turned off.
TURNED_OFF = ("/images", "/libraries", "/base-images", "/models", "/unknown-repositories")


def errors_of(path: str, method: str, refuses: bool) -> set[int]:
    """The errors that an operation may answer, derived from its path and method."""
    found = {400, 401, 429}
    if refuses or method in WRITES:
        found.add(403)
    if "{" in path or method in WRITES or path.endswith(NAMED_BY_QUERY):
        found.add(404)
    if method in WRITES:
        found.add(409)
    if any(noun in path for noun in TURNED_OFF):
        found.add(503)
    return found


def error_answer(status: int) -> dict[str, Any]:
    _, description, code, reason, message = ERRORS[status]
    body = {"code": code, "message": message, "details": [{"reason": reason, "field": ""}]}
    schema = {"$ref": "#/components/schemas/Error"}
    answer: dict[str, Any] = {
        "description": description,
        "content": {"application/json": {"schema": schema, "example": body}},
    }
    if status in HEADERS:
        answer["headers"] = HEADERS[status]
    return answer


def finish_parameters(operation: dict[str, Any], schemas: dict[str, Any]) -> None:
    for parameter in operation["parameters"]:
        if parameter["in"] == "path":
            parameter["description"], parameter["example"] = PATH_PARAMETERS[parameter["name"]]
        else:
            # The framework copies a list of examples, where OpenAPI has a map with a name for each.
            parameter.pop("examples", None)
            if (example := example_of(parameter["schema"], schemas, parameter["name"])) != "":
                parameter["example"] = example


def finish_body(operation: dict[str, Any], schemas: dict[str, Any]) -> None:
    for content in operation.get("requestBody", {}).get("content", {}).values():
        content["example"] = example_of(content["schema"], schemas, "")


def finish_answers(operation: dict[str, Any], statuses: list[int], schemas: dict[str, Any]) -> None:
    answers = operation["responses"]
    for status in [status for status in answers if status in ERRORS]:
        del answers[status]
    contents = answers.get(200, {}).get("content", {})
    if len(contents) > 1:
        # A file, whose type an endpoint has put beside the one that the framework takes for granted.
        del contents["application/json"]
    elif contents:
        content = contents["application/json"]
        content["example"] = example_of(content["schema"], schemas, "")
        named = schemas[content["schema"]["$ref"].rsplit("/", 1)[-1]]
        answers[200]["description"] = named["description"]
    for status in statuses:
        answers[status] = {"$ref": f"#/components/responses/{ERRORS[status][0]}"}


def example_of(schema: dict[str, Any], schemas: dict[str, Any], name: str) -> Any:
    """An example of a schema; `name` is the field's. Raises `LookupError` where there is none for it."""
    for key in ("examples", "example", "const", "enum"):
        if key in schema:
            value = schema[key]
            return value[0] if key in ("examples", "enum") else value
    if "$ref" in schema:
        return example_of(schemas[schema["$ref"].rsplit("/", 1)[-1]], schemas, name)
    if "anyOf" in schema:
        return example_of(schema["anyOf"][0], schemas, name)
    if schema.get("type") == "object":
        return {
            key: example_of(value, schemas, key)
            for key, value in schema.get("properties", {}).items()
        }
    if schema.get("type") == "array":
        return [example_of(schema["items"], schemas, name)]
    if schema.get("format") in OF_FORMATS:
        return OF_FORMATS[schema["format"]]
    if schema.get("default") not in (None, ""):
        return schema["default"]
    if schema.get("type") == "boolean":
        return False
    if name in EXAMPLES:
        return EXAMPLES[name]
    if "default" in schema:
        return schema["default"]
    raise LookupError(f"The field {name} has no example.")
