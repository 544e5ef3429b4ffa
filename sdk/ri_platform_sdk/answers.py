"""Conversion of the server's answers, JSON in camelCase, to the dataclasses of `models`."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ri_platform_sdk.ml_models import DefaultImage, MissingModule, Model, ModelImage
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
    MissingLibrary,
    Owner,
    RemovedImage,
    Revision,
    Step,
)
from ri_platform_sdk.registry import Drift, UnknownRepository
from ri_platform_sdk.running import ImportCheck, ImportFailure, RunTime


def time_of(text: str | None) -> datetime | None:
    """RFC 3339 as an aware datetime."""
    return datetime.fromisoformat(text.replace("Z", "+00:00")) if text else None


def required_time(text: str) -> datetime:
    found = time_of(text)
    assert found is not None
    return found


def missing_of(body: dict[str, Any]) -> tuple[MissingLibrary, ...]:
    return tuple(
        MissingLibrary(
            soname=item["soname"],
            versions=tuple(item["versions"]),
            needed_by=item["neededBy"],
            requirement=item["requirement"],
            packages=tuple(item["packages"]),
        )
        for item in body.get("missingLibraries", ())
    )


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
        missing_libraries=missing_of(body),
        expected_digest=body.get("expectedDigest") or "",
    )


def requirements_of(body: dict[str, Any]) -> tuple[str, ...]:
    return tuple(item["name"] + item["versionSpecifier"] for item in body["pipRequirements"])


def packages_of(body: dict[str, Any]) -> tuple[str, ...]:
    return tuple(
        "=".join(filter(None, (item["name"], item["versionSpecifier"])))
        for item in body["packageRequirements"]
    )


def run_time_of(body: dict[str, Any]) -> RunTime:
    found = body.get("runTime") or {}
    return RunTime(
        env=dict(found.get("env", {})),
        working_dir=found.get("workingDir", ""),
        user=found.get("user", ""),
        entrypoint=tuple(found.get("entrypoint", ())),
        labels=dict(found.get("labels", {})),
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
        run_time=run_time_of(body),
        description=body.get("description") or "",
        tags={tag["name"]: tag["build"] for tag in body.get("tags", ())},
        allow_prereleases=body.get("allowPrereleases", False),
        missing_libraries=missing_of(body),
        libc=body.get("libc") or "",
        import_policy=body.get("importPolicy") or "",
        import_check=import_check_of(body.get("importCheck")),
        drift=drift_of(body["drift"]) if body.get("drift") else None,
        expected_digest=body.get("expectedDigest") or "",
    )


def drift_of(body: dict[str, Any]) -> Drift:
    error = body.get("error") or {}
    return Drift(
        state=body["state"],
        message=body["message"],
        hint=body["hint"],
        codes=tuple(body["codes"]),
        findings=tuple(body["findings"]),
        found_at=required_time(body["discoveryTime"]),
        error_reason=error.get("reason", ""),
        error_message=error.get("message", ""),
        error_hint=error.get("hint", ""),
        attempts=body["attempts"],
        next_attempt_at=time_of(body.get("nextAttemptTime")),
        name=body.get("name", ""),
        is_base=body.get("roleType") == "ROLE_TYPE_SYSTEM",
        build=body.get("build"),
    )


def unknown_repository_of(body: dict[str, Any]) -> UnknownRepository:
    error = body.get("error") or {}
    return UnknownRepository(
        name=body["name"],
        known_image=body["knownImage"],
        builds=tuple(body["builds"]),
        size_bytes=body["sizeBytes"],
        pushed_at=time_of(body.get("pushTime")),
        found_at=required_time(body["discoveryTime"]),
        decision=body["decision"],
        error_reason=error.get("reason", ""),
        error_message=error.get("message", ""),
        error_hint=error.get("hint", ""),
    )


def import_check_of(body: dict[str, Any] | None) -> ImportCheck | None:
    if not body:
        return None
    return ImportCheck(
        status=body["status"],
        tried=body["tried"],
        failed=tuple(
            ImportFailure(item["module"], item["requirement"], item["message"], item["hint"])
            for item in body["failed"]
        ),
        conflicts=tuple(item["message"] for item in body["conflicts"]),
        seconds=body.get("seconds"),
        message=body["message"],
    )


def model_of(body: dict[str, Any]) -> Model:
    return Model(
        id=body["modelId"]["uuid"],
        name=body["name"],
        description=body["description"],
        python_version=body["pythonVersion"],
        requirements=body["requirements"],
        image=assigned_name(body.get("image")),
        next_image=assigned_name(body.get("nextImage")),
    )


def assigned_name(body: dict[str, Any] | None) -> str:
    """The name of an assignment's image with the build if it is pinned, or an external reference."""
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
        repository=body["repoUri"],
        tag=body.get("tag", ""),
        source=body.get("source", ""),
    )


def missing_module_of(body: dict[str, Any]) -> MissingModule:
    found = body["missing"]
    alteration = found.get("alteration")
    return MissingModule(
        module=found["module"],
        requirement=found["requirement"],
        hint=found["hint"],
        installed=found["installed"],
        images=tuple(item["managedImageName"] for item in found["images"]),
        alteration=alteration_of(alteration) if alteration else None,
        alteration_refusal=found["alterationRefusal"],
    )


def default_image_of(body: dict[str, Any]) -> DefaultImage:
    found = body["defaultImage"]
    return DefaultImage(assigned_name(found), found["standing"], required_time(found["updateTime"]))


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
        run_time=run_time_of(body),
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
        run_time=run_time_of(body),
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
