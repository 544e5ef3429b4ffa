"""Each call as data: the request, and the function that reads the answer. Both clients send these."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Generic, TypeVar
from urllib.parse import quote

from ri_platform_sdk import answers, ml_models, models, registry
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


def read_image(body: Any) -> models.Image:
    return answers.image_of(body["image"])


def create(
    name: str, spec: Spec, import_policy: str = "", description: str = ""
) -> Call[models.Image]:
    policy = {"importPolicy": import_policy} if import_policy else {}
    said = {"description": description} if description else {}
    return Call("POST", "/v1/images", read_image, {"name": name, **said, **spec.body(), **policy})


def describe(name: str, description: str) -> Call[models.Image]:
    return verb(name, "describe", {"description": description})


def update(name: str, spec: Spec) -> Call[models.Image]:
    return Call("PATCH", path_of(name), read_image, spec.body())


def preview(name: str, spec: Spec) -> Call[models.Alteration]:
    return Call("POST", path_of(name, ":preview"), read_alteration, spec.body())


def read_alteration(body: Any) -> models.Alteration:
    return answers.alteration_of(body["alteration"])


def alteration(name: str, number: int) -> Call[models.Alteration]:
    return Call("GET", path_of(name, f"/alterations/{number}"), read_alteration, safe=True)


def build_alteration(name: str, number: int) -> Call[models.Image]:
    return Call("POST", path_of(name, f"/alterations/{number}:build"), read_image)


def get(name: str) -> Call[models.Image]:
    return Call("GET", path_of(name), read_image, safe=True)


def delete(name: str) -> Call[None]:
    return Call("DELETE", path_of(name), lambda body: None)


def verb(name: str, what: str, body: dict[str, Any] | None = None) -> Call[models.Image]:
    return Call("POST", path_of(name, f":{what}"), read_image, body)


def roll_back(name: str, build: int) -> Call[models.Image]:
    return verb(name, "rollBack", {"build": build})


def set_channel(name: str, channel: str, build: int) -> Call[models.Image]:
    path = path_of(name, f"/channels/{quote(channel, safe='')}")
    return Call("PUT", path, read_image, {"build": build})


def set_import_policy(name: str, policy: str) -> Call[models.Image]:
    return verb(name, "setImportPolicy", {"importPolicy": policy})


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


def list_models(workspace_id: str, token: str) -> Call[models.Page[ml_models.Model]]:
    read = page_reader("models", answers.model_of)
    path = workspace_path(workspace_id, "/models")
    return Call("GET", path, read, query=page_query(token, 1000), safe=True)


def workspace_path(workspace_id: str, rest: str) -> str:
    return f"/v1/workspace/{quote(str(workspace_id), safe='')}{rest}"


def default_image(workspace_id: str) -> Call[ml_models.DefaultImage]:
    path = workspace_path(workspace_id, "/default-image")
    return Call("GET", path, answers.default_image_of, safe=True)


def set_default_image(
    workspace_id: str, name: str, build: int | None
) -> Call[ml_models.DefaultImage]:
    path = workspace_path(workspace_id, "/default-image")
    body = {"runTimeInfo": {"customImage": managed_choice(name, build)}}
    return Call("PUT", path, answers.default_image_of, body)


def clear_default_image(workspace_id: str) -> Call[None]:
    return Call("DELETE", workspace_path(workspace_id, "/default-image"), lambda body: None)


def resolve_workspace_image(workspace_id: str, model_id: str | None) -> Call[ml_models.ModelImage]:
    path = f"/v1/workspaces/{quote(str(workspace_id), safe='')}/image"
    query = {"model": str(model_id)} if model_id else None
    return Call("GET", path, answers.model_image_of, query=query, safe=True)


def managed_choice(name: str, build: int | None) -> dict[str, Any]:
    """A managed image, pinned to a build if one is given."""
    return {"managedImageName": name} | ({} if build is None else {"build": build})


def swap_model_image(model_id: str, name: str, build: int | None) -> Call[ml_models.Model]:
    return Call("PUT", model_path(model_id, "/image"), read_model, managed_choice(name, build))


def swap_model_to_default(model_id: str) -> Call[ml_models.Model]:
    return Call("DELETE", model_path(model_id, "/image"), read_model)


def read_model(answer: Any) -> ml_models.Model:
    return answers.model_of(answer["model"])


def resolve_model_image(model_id: str) -> Call[ml_models.ModelImage]:
    return Call("GET", model_path(model_id, "/image"), answers.model_image_of, safe=True)


def explain_missing_module(
    model_id: str, module: str, propose: bool
) -> Call[ml_models.MissingModule]:
    body = {"module": module, "propose": propose}
    return Call("POST", model_path(model_id, "/image:missing"), answers.missing_module_of, body)


def model_path(model_id: str, rest: str) -> str:
    return f"/v1/models/{quote(str(model_id), safe='')}{rest}"


def builds(name: str, token: str, size: int) -> Call[models.Page[models.Build]]:
    read = page_reader("builds", answers.build_of)
    return Call("GET", path_of(name, "/builds"), read, query=page_query(token, size), safe=True)


def page_reader(key: str, read: Callable[[Any], T]) -> Callable[[Any], models.Page[T]]:
    """A function that reads a page whose items are under `key`."""

    def read_page(answer: Any) -> models.Page[T]:
        return models.Page(tuple(read(item) for item in answer[key]), answer["nextPageToken"])

    return read_page


def page_query(token: str, size: int) -> dict[str, Any]:
    return {"pageToken": token, "pageSize": size} if token else {"pageSize": size}


def log(name: str, number: int, after: int) -> Call[models.LogPiece]:
    def read(answer: Any) -> models.LogPiece:
        return models.LogPiece(answer["text"], answer["offset"], answer["done"])

    path = path_of(name, f"/builds/{number}/log")
    return Call("GET", path, read, query={"after": after}, safe=True)


def lock(name: str, build: int | None) -> Call[str]:
    return Call("GET", path_of(name, "/lock"), str, query=build_query(build), safe=True, text=True)


def sbom(name: str, build: int | None) -> Call[dict[str, Any]]:
    return Call("GET", path_of(name, "/sbom"), dict, query=build_query(build), safe=True)


def provenance(name: str, build: int | None) -> Call[dict[str, Any]]:
    return Call("GET", path_of(name, "/provenance"), dict, query=build_query(build), safe=True)


def build_query(number: int | None) -> dict[str, Any] | None:
    return None if number is None else {"build": number}


def compare(left: str, right: str) -> Call[models.Comparison]:
    query = {"left": left, "right": right}
    return Call("GET", "/v1/images:compare", answers.comparison_of, query=query, safe=True)


def removed_images(token: str, size: int) -> Call[models.Page[models.RemovedImage]]:
    read = page_reader("images", answers.removed_of)
    return Call("GET", "/v1/images:removed", read, query=page_query(token, size), safe=True)


def restore(name: str) -> Call[models.Image]:
    return verb(name, "restore")


def audit_events(
    filters: Mapping[str, str | date | None], token: str, size: int
) -> Call[models.Page[models.AuditEvent]]:
    """`filters` are by the API's names; empty ones count as none."""
    given = {name: str(value) for name, value in filters.items() if value}
    read = page_reader("events", answers.audit_event_of)
    return Call("GET", "/v1/audit-events", read, query=given | page_query(token, size), safe=True)


def base_images(everything: bool) -> Call[tuple[models.Image, ...]]:
    def read(answer: Any) -> tuple[models.Image, ...]:
        return tuple(answers.image_of(item) for item in answer["images"])

    query = {"all": "true"} if everything else None
    return Call("GET", "/v1/base-images", read, query=query, safe=True)


def identity() -> Call[models.Identity]:
    return Call("GET", "/v1/users/me", answers.identity_of, safe=True)


def instance() -> Call[models.Instance]:
    return Call("GET", "/v1/instance", answers.instance_of, safe=True)


def drifts(token: str, size: int) -> Call[models.Page[registry.Drift]]:
    read = page_reader("drifts", answers.drift_of)
    path = "/v1/image-registry/drifts"
    return Call("GET", path, read, query=page_query(token, size), safe=True)


UNKNOWN_REPOSITORIES = "/v1/image-registry/unknown-repositories"


def unknown_repositories(token: str, size: int) -> Call[models.Page[registry.UnknownRepository]]:
    read = page_reader("repositories", answers.unknown_repository_of)
    return Call("GET", UNKNOWN_REPOSITORIES, read, query=page_query(token, size), safe=True)


def decide_unknown_repository(name: str, verb: str) -> Call[registry.UnknownRepository]:
    def read(answer: Any) -> registry.UnknownRepository:
        return answers.unknown_repository_of(answer["repository"])

    return Call("POST", f"{UNKNOWN_REPOSITORIES}:{verb}", read, {"name": name})


def revoke_token(token_id: str) -> Call[None]:
    path = f"/v1/users/api-tokens/{quote(token_id, safe='')}"
    return Call("DELETE", path, lambda answer: None)
