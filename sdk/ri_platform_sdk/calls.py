"""Each call as data: what to ask, and how to read the answer. Both clients send these; neither knows more."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Generic, TypeVar
from urllib.parse import quote

from ri_platform_sdk import answers, models
from ri_platform_sdk.files import Files
from ri_platform_sdk.readings import Reading, reading_of
from ri_platform_sdk.specs import Spec

T = TypeVar("T")


@dataclass(frozen=True)
class Call(Generic[T]):
    """A request. `safe` ones may be sent again even when nobody knows whether they arrived."""

    method: str
    path: str
    read: Callable[[Any], T]
    body: dict[str, Any] | None = None
    query: dict[str, Any] | None = None
    safe: bool = False
    text: bool = False


def path_of(name: str, rest: str = "") -> str:
    return f"/v1/images/{quote(name, safe='')}{rest}"


def one_image(body: Any) -> models.Image:
    return answers.image_of(body["image"])


def create(name: str, spec: Spec) -> Call[models.Image]:
    return Call("POST", "/v1/images", one_image, {"name": name, **spec.body()})


def update(name: str, spec: Spec) -> Call[models.Image]:
    return Call("PATCH", path_of(name), one_image, spec.body())


def preview(name: str, spec: Spec) -> Call[models.Alteration]:
    return Call("POST", path_of(name, ":preview"), one_alteration, spec.body())


def one_alteration(body: Any) -> models.Alteration:
    return answers.alteration_of(body["alteration"])


def alteration(name: str, number: int) -> Call[models.Alteration]:
    return Call("GET", path_of(name, f"/alterations/{number}"), one_alteration, safe=True)


def build_alteration(name: str, number: int) -> Call[models.Image]:
    return Call("POST", path_of(name, f"/alterations/{number}:build"), one_image)


def get(name: str) -> Call[models.Image]:
    return Call("GET", path_of(name), one_image, safe=True)


def delete(name: str) -> Call[None]:
    return Call("DELETE", path_of(name), lambda body: None)


def verb(name: str, what: str, body: dict[str, Any] | None = None) -> Call[models.Image]:
    return Call("POST", path_of(name, f":{what}"), one_image, body)


def roll_back(name: str, build: int) -> Call[models.Image]:
    return verb(name, "rollBack", {"build": build})


def page(
    filters: Iterable[Any], token: str, size: int, *, search: str = "", status: str = ""
) -> Call[models.Page[models.Image]]:
    body: dict[str, Any] = {"pageToken": token, "pageSize": size}
    # They count with the first page; the token carries them on.
    if not token:
        body["pipLibraries"] = [wire_filter(item) for item in filters]
        body["search"] = search
        if status:
            body["status"] = f"STATUS_{status}"

    read = page_reader("images", answers.image_of)
    return Call("POST", "/v1/images/list", read, body, safe=True)


def wire_filter(item: Any) -> dict[str, str]:
    """A library filter: `"numpy"`, `"numpy==2.4.6"`, a pair, or what `Client.pip_library_filter` gives."""
    if isinstance(item, str):
        name, _, version = item.partition("==")
        return {"name": name.strip(), "version": version.strip()}
    if isinstance(item, Mapping):
        return {"name": item["name"], "version": item.get("version") or ""}
    name, version = item
    return {"name": name, "version": version}


def match(spec: Spec, limit: int) -> Call[tuple[models.Match, ...]]:
    def read(answer: Any) -> tuple[models.Match, ...]:
        return tuple(answers.match_of(item) for item in answer["matches"])

    return Call("POST", "/v1/images:match", read, {**spec.body(), "limit": limit}, safe=True)


def read_requirements(
    files: Files, python_version: str | None, groups: Iterable[str], extras: Iterable[str]
) -> Call[Reading]:
    spec = Spec(python_version=python_version, files=files, groups=groups, extras=extras)
    return Call("POST", "/v1/requirements:read", reading_of, spec.body(), safe=True)


def list_models(workspace_id: str) -> Call[tuple[models.Model, ...]]:
    def read(answer: Any) -> tuple[models.Model, ...]:
        return tuple(answers.model_of(item) for item in answer["models"])

    path = f"/v1/workspace/{quote(str(workspace_id), safe='')}/models"
    return Call("GET", path, read, safe=True)


def swap_model_image(model_id: str, name: str, build: int | None) -> Call[models.Model]:
    body: dict[str, Any] = {"managedImageName": name}
    if build is not None:
        body["build"] = build
    return Call(
        "PUT",
        model_path(model_id, "/image"),
        lambda answer: answers.model_of(answer["model"]),
        body,
    )


def resolve_model_image(model_id: str) -> Call[models.ModelImage]:
    return Call("GET", model_path(model_id, "/image"), answers.model_image_of, safe=True)


def model_path(model_id: str, rest: str) -> str:
    return f"/v1/models/{quote(str(model_id), safe='')}{rest}"


def builds(name: str, token: str, size: int) -> Call[models.Page[models.Build]]:
    read = page_reader("builds", answers.build_of)
    return Call("GET", path_of(name, "/builds"), read, query=paged(token, size), safe=True)


def page_reader(key: str, read: Callable[[Any], T]) -> Callable[[Any], models.Page[T]]:
    """How a page is read whose items stand under `key`."""

    def read_page(answer: Any) -> models.Page[T]:
        return models.Page(tuple(read(item) for item in answer[key]), answer["nextPageToken"])

    return read_page


def paged(token: str, size: int) -> dict[str, Any]:
    return {"pageToken": token, "pageSize": size} if token else {"pageSize": size}


def log(name: str, number: int, after: int) -> Call[models.LogPiece]:
    def read(answer: Any) -> models.LogPiece:
        return models.LogPiece(answer["text"], answer["offset"], answer["done"])

    path = path_of(name, f"/builds/{number}/log")
    return Call("GET", path, read, query={"after": after}, safe=True)


def lock(name: str, build: int | None) -> Call[str]:
    return Call("GET", path_of(name, "/lock"), str, query=of_build(build), safe=True, text=True)


def sbom(name: str, build: int | None) -> Call[dict[str, Any]]:
    return Call("GET", path_of(name, "/sbom"), dict, query=of_build(build), safe=True)


def provenance(name: str, build: int | None) -> Call[dict[str, Any]]:
    return Call("GET", path_of(name, "/provenance"), dict, query=of_build(build), safe=True)


def of_build(number: int | None) -> dict[str, Any] | None:
    return None if number is None else {"build": number}


def compare(left: str, right: str) -> Call[models.Comparison]:
    query = {"left": left, "right": right}
    return Call("GET", "/v1/images:compare", answers.comparison_of, query=query, safe=True)


def removed(token: str, size: int) -> Call[models.Page[models.RemovedImage]]:
    read = page_reader("images", answers.removed_of)
    return Call("GET", "/v1/images:removed", read, query=paged(token, size), safe=True)


def restore(name: str) -> Call[models.Image]:
    return verb(name, "restore")


def audit_events(
    filters: Mapping[str, str | date | None], token: str, size: int
) -> Call[models.Page[models.AuditEvent]]:
    """`filters` are by the API's names; empty ones count as none."""
    given = {name: str(value) for name, value in filters.items() if value}
    read = page_reader("events", answers.audit_event_of)
    return Call("GET", "/v1/audit-events", read, query=given | paged(token, size), safe=True)


def base_images(everything: bool) -> Call[tuple[models.Image, ...]]:
    def read(answer: Any) -> tuple[models.Image, ...]:
        return tuple(answers.image_of(item) for item in answer["images"])

    query = {"all": "true"} if everything else None
    return Call("GET", "/v1/base-images", read, query=query, safe=True)


def identity() -> Call[models.Identity]:
    return Call("GET", "/v1/users/me", answers.identity_of, safe=True)


def instance() -> Call[models.Instance]:
    return Call("GET", "/v1/instance", answers.instance_of, safe=True)


def revoke_token(token_id: str) -> Call[None]:
    path = f"/v1/users/api-tokens/{quote(token_id, safe='')}"
    return Call("DELETE", path, lambda answer: None)
