"""How the server's answers are read: JSON in camelCase to the dataclasses of `models`."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ri_platform_sdk.models import (
    Alteration,
    AuditEvent,
    Build,
    Change,
    Changes,
    Comparison,
    Identity,
    Image,
    Instance,
    Library,
    Match,
    Missing,
    Model,
    ModelImage,
    Owner,
    RemovedImage,
    Revision,
    Step,
)


def time_of(text: str | None) -> datetime | None:
    """RFC 3339 as an aware datetime."""
    return datetime.fromisoformat(text.replace("Z", "+00:00")) if text else None


def required_time(text: str) -> datetime:
    found = time_of(text)
    assert found is not None
    return found


def build_of(body: dict[str, Any]) -> Build:
    error = body.get("error") or {}
    return Build(
        number=body["number"],
        state=body["state"],
        reason=body["reason"],
        base_image=body["baseImage"],
        created_at=required_time(body["creationTime"]),
        started_at=time_of(body.get("startTime")),
        finished_at=time_of(body.get("completionTime")),
        steps=tuple(Step(s["label"], s["state"], s.get("seconds")) for s in body["steps"]),
        digest=body["digest"],
        size_bytes=body["sizeBytes"],
        pushed_bytes=body["pushedBytes"],
        error_reason=error.get("reason", ""),
        error_message=error.get("message", ""),
        error_hint=error.get("hint", ""),
    )


def requirements_of(body: dict[str, Any]) -> tuple[str, ...]:
    return tuple(item["name"] + item["versionSpecifier"] for item in body["pipRequirements"])


def packages_of(body: dict[str, Any]) -> tuple[str, ...]:
    return tuple(
        "=".join(filter(None, (item["name"], item["versionSpecifier"])))
        for item in body["packageRequirements"]
    )


def image_of(body: dict[str, Any]) -> Image:
    latest, owner = body.get("latestBuild"), body.get("owner") or {}
    return Image(
        name=body["name"],
        status=body["status"].replace("STATUS_", "", 1),
        image_type=body["imageType"],
        python_version=body["pythonVersion"],
        requirements=requirements_of(body),
        package_requirements=packages_of(body),
        libraries=tuple(Library(item["name"], item["version"]) for item in body["pipLibraries"]),
        repository_uri=body["repoUri"],
        digest=body["digest"],
        pull_reference=body["pullReference"],
        size_bytes=body["sizeBytes"],
        current_build=body.get("currentBuild"),
        created_at=required_time(body["creationTime"]),
        updated_at=required_time(body["updateTime"]),
        latest_build=build_of(latest) if latest else None,
        owner=Owner(owner.get("user", ""), owner.get("workspace", "")),
        indexes=tuple(body.get("indexes", ())),
        locked_by=body.get("lockedBy") or "",
    )


def model_of(body: dict[str, Any]) -> Model:
    return Model(
        id=body["modelId"]["uuid"],
        name=body["name"],
        description=body["description"],
        python_version=body["pythonVersion"],
        requirements=body["requirements"],
        image=assigned(body.get("image")),
        next_image=assigned(body.get("nextImage")),
    )


def assigned(body: dict[str, Any] | None) -> str:
    """What people call an assignment's image: its name, with the build if it is pinned, or its reference."""
    if not body:
        return ""
    if "customImage" in body:
        return str(body["customImage"]["name"])
    pinned = f" build {body['build']}" if body.get("build") else ""
    return f"{body['managedImageName']}{pinned}"


def model_image_of(body: dict[str, Any]) -> ModelImage:
    return ModelImage(
        reference=body["reference"],
        digest=body["digest"],
        pull_secret=(body.get("pullSecret") or {}).get("name", ""),
        image=body.get("managedImageName", ""),
        build=body.get("build"),
    )


def match_of(body: dict[str, Any]) -> Match:
    return Match(
        image=image_of(body["image"]),
        satisfies=body["satisfies"],
        library_count=body["libraryCount"],
        missing=tuple(Missing(m["requirement"], m["installed"]) for m in body["missing"]),
    )


def identity_of(body: dict[str, Any]) -> Identity:
    return Identity(
        user_name=body["userName"],
        email=body["email"],
        role=body["role"],
        workspace_id=body["workspaceId"]["uuid"],
        workspace_name=body["workspaceName"],
        token_id=body["tokenId"]["uuid"],
        token_name=body["tokenName"],
        expires_at=required_time(body["tokenExpirationTime"]),
    )


def instance_of(body: dict[str, Any]) -> Instance:
    return Instance(body["version"], body["removalGraceHours"], body["sdkPath"])


def changes_of(body: dict[str, Any]) -> Changes:
    def listed(kind: str) -> tuple[Change, ...]:
        return tuple(Change(item["name"], item["before"], item["after"]) for item in body[kind])

    return Changes(listed("added"), listed("removed"), listed("changed"), body["same"])


def alteration_of(body: dict[str, Any]) -> Alteration:
    error = body.get("error") or {}
    return Alteration(
        id=body["id"],
        image_name=body["imageName"],
        state=body["state"],
        changes=changes_of(body["changes"]) if body.get("changes") else None,
        requirements=requirements_of(body),
        package_requirements=packages_of(body),
        python_version=body["pythonVersion"],
        image_type=body["imageType"],
        base_image=body["baseImage"],
        error_reason=error.get("reason", ""),
        error_message=error.get("message", ""),
        error_hint=error.get("hint", ""),
    )


def revision_of(body: dict[str, Any]) -> Revision:
    return Revision(
        image_name=body["imageName"],
        build=body["build"],
        digest=body["digest"],
        base_image=body["baseImage"],
        python_version=body["pythonVersion"],
        size_bytes=body["sizeBytes"],
        requirements=requirements_of(body),
        package_requirements=packages_of(body),
    )


def comparison_of(body: dict[str, Any]) -> Comparison:
    return Comparison(
        left=revision_of(body["left"]),
        right=revision_of(body["right"]),
        libraries=changes_of(body["libraries"]),
        os_packages=changes_of(body["osPackages"]),
    )


def removed_of(body: dict[str, Any]) -> RemovedImage:
    return RemovedImage(
        name=body["name"],
        removed_by=body["removedBy"],
        removed_at=required_time(body["removalTime"]),
        deleted_at=time_of(body.get("deletionTime")),
        restorable=body["restorable"],
    )


def audit_event_of(body: dict[str, Any]) -> AuditEvent:
    return AuditEvent(
        id=body["id"],
        event=body["event"],
        at=required_time(body["time"]),
        user_name=body["userName"],
        role=body["role"],
        token_name=body["tokenName"],
        address=body.get("address") or "",
        object_type=body["objectType"],
        object_name=body["objectName"],
        workspace_name=body["workspaceName"],
        details=body["details"],
    )
