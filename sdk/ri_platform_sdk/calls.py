"""Each call as data: what to ask, and how to read the answer. Both clients send these; neither knows more."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from urllib.parse import quote

from ri_platform_sdk import models
from ri_platform_sdk.requirements import Requirements, wire_packages, wire_requirements

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
    return models.image_of(body["image"])


def create(
    name: str,
    requirements: Requirements,
    package_requirements: Any,
    python_version: str | None,
    image_type: str | None,
    allow_source: bool,
) -> Call[models.Image]:
    body: dict[str, Any] = {
        "name": name,
        "pipRequirements": wire_requirements(requirements, python_version),
        "packageRequirements": wire_packages(package_requirements),
        "allowSource": allow_source,
    }
    if python_version is not None:
        body["pythonVersion"] = python_version
    if image_type is not None:
        body["imageType"] = image_type
    return Call("POST", "/v1/images", one_image, body)


def update(
    name: str,
    requirements: Requirements | None,
    package_requirements: Any,
    python_version: str | None,
    image_type: str | None,
    allow_source: bool | None,
) -> Call[models.Image]:
    body: dict[str, Any] = {
        "pythonVersion": python_version,
        "imageType": image_type,
        "allowSource": allow_source,
    }
    if requirements is not None:
        body["pipRequirements"] = wire_requirements(requirements, python_version)
    if package_requirements is not None:
        body["packageRequirements"] = wire_packages(package_requirements)
    given = {key: value for key, value in body.items() if value is not None}
    return Call("PATCH", path_of(name), one_image, given)


def get(name: str) -> Call[models.Image]:
    return Call("GET", path_of(name), one_image, safe=True)


def delete(name: str) -> Call[None]:
    return Call("DELETE", path_of(name), lambda body: None)


def verb(name: str, what: str, body: dict[str, Any] | None = None) -> Call[models.Image]:
    return Call("POST", path_of(name, f":{what}"), one_image, body)


def page(filters: Iterable[Any], token: str, size: int) -> Call[models.ImagePage]:
    body: dict[str, Any] = {"pageToken": token, "pageSize": size}
    if not token:
        body["pipLibraries"] = [wire_filter(item) for item in filters]

    def read(answer: Any) -> models.ImagePage:
        images = tuple(models.image_of(item) for item in answer["images"])
        return models.ImagePage(images, answer["nextPageToken"])

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


def match(
    requirements: Requirements,
    package_requirements: Any,
    python_version: str | None,
    image_type: str | None,
    limit: int,
) -> Call[tuple[models.Match, ...]]:
    body: dict[str, Any] = {
        "pipRequirements": wire_requirements(requirements, python_version),
        "packageRequirements": wire_packages(package_requirements),
        "limit": limit,
    }
    if python_version is not None:
        body["pythonVersion"] = python_version
    if image_type is not None:
        body["imageType"] = image_type

    def read(answer: Any) -> tuple[models.Match, ...]:
        return tuple(models.match_of(item) for item in answer["matches"])

    return Call("POST", "/v1/images:match", read, body, safe=True)


def list_models(workspace_id: str) -> Call[tuple[models.Model, ...]]:
    def read(answer: Any) -> tuple[models.Model, ...]:
        return tuple(models.model_of(item) for item in answer["models"])

    path = f"/v1/workspace/{quote(str(workspace_id), safe='')}/models"
    return Call("GET", path, read, safe=True)


def swap_model_image(model_id: str, name: str, build: int | None) -> Call[models.Model]:
    body: dict[str, Any] = {"managedImageName": name}
    if build is not None:
        body["build"] = build
    return Call(
        "PUT", model_path(model_id, "/image"), lambda answer: models.model_of(answer["model"]), body
    )


def resolve_model_image(model_id: str) -> Call[models.ModelImage]:
    return Call("GET", model_path(model_id, "/image"), models.model_image_of, safe=True)


def model_path(model_id: str, rest: str) -> str:
    return f"/v1/models/{quote(str(model_id), safe='')}{rest}"


def builds(name: str) -> Call[tuple[models.Build, ...]]:
    def read(answer: Any) -> tuple[models.Build, ...]:
        return tuple(models.build_of(item) for item in answer["builds"])

    return Call("GET", path_of(name, "/builds"), read, safe=True)


def log(name: str, number: int, after: int) -> Call[models.LogPiece]:
    def read(answer: Any) -> models.LogPiece:
        return models.LogPiece(answer["text"], answer["offset"], answer["done"])

    path = path_of(name, f"/builds/{number}/log")
    return Call("GET", path, read, query={"after": after}, safe=True)


def lock(name: str) -> Call[str]:
    return Call("GET", path_of(name, "/lock"), str, safe=True, text=True)
