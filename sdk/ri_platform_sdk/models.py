"""What the server tells, as frozen dataclasses. Fields that a newer server adds are ignored."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class Library:
    """A library that is really installed in an image."""

    name: str
    version: str


@dataclass(frozen=True)
class Step:
    """A phase of a build; `state` is `waiting`, `running`, `done` or `failed`, `seconds` what it took."""

    label: str
    state: str
    seconds: float | None


@dataclass(frozen=True)
class Build:
    """One attempt to build an image. Sizes are in bytes, compressed; times are aware datetimes."""

    number: int
    state: str
    reason: str
    base_image: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    steps: tuple[Step, ...]
    digest: str
    size_bytes: int
    pushed_bytes: int
    error_reason: str
    error_message: str
    error_hint: str

    @property
    def is_active(self) -> bool:
        """Whether it is queued or running."""
        return self.state in ("queued", "running")


@dataclass(frozen=True)
class Owner:
    """Who may change an image, beside Organization Administrators.

    That is its creator, `user`, and the members of the workspace that it was created in; each is empty if it
    is gone.
    """

    user: str = ""
    workspace: str = ""

    def __str__(self) -> str:
        members = f"members of {self.workspace}" if self.workspace else ""
        return " and ".join(filter(None, (self.user, members))) or "Organization Administrators"


@dataclass(frozen=True)
class Image:
    """An image.

    `status` is `BUILDING_FIRST_TIME`, `REBUILDING`, `READY`, `FAILED` or `OUTDATED`. `digest`,
    `pull_reference` and `libraries` tell of its current build; `pull_reference` names that by digest, so it
    always pulls the same image. `latest_build` is known where one image was asked for.
    """

    name: str
    status: str
    image_type: str
    python_version: str
    requirements: tuple[str, ...]
    package_requirements: tuple[str, ...]
    libraries: tuple[Library, ...]
    repository_uri: str
    digest: str
    pull_reference: str
    size_bytes: int
    current_build: int | None
    created_at: datetime
    updated_at: datetime
    latest_build: Build | None = None
    owner: Owner = Owner()

    @property
    def is_ready(self) -> bool:
        """Whether its newest build is there to be pulled."""
        return self.status == "READY"

    @property
    def is_building(self) -> bool:
        """Whether a build of it is under way."""
        return self.status in ("BUILDING_FIRST_TIME", "REBUILDING")


@dataclass(frozen=True)
class Missing:
    """A requirement that an image does not meet; `installed` is the version it has, if any."""

    requirement: str
    installed: str


@dataclass(frozen=True)
class Match:
    """An image, and what of the requirements it lacks."""

    image: Image
    satisfies: bool
    library_count: int
    missing: tuple[Missing, ...]


@dataclass(frozen=True)
class Model:
    """A model in a workspace. `image` is what it runs on, `next_image` what it waits for, each as people call
    it; empty where there is none.
    """

    id: str
    name: str
    description: str
    python_version: str
    requirements: str
    image: str
    next_image: str


@dataclass(frozen=True)
class ModelImage:
    """What to pull to run a model. `digest` is empty for an external image that is referred to by tag;
    `image` and `build` are of a managed image, `pull_secret` of an external one.
    """

    reference: str
    digest: str
    pull_secret: str
    image: str
    build: int | None


@dataclass(frozen=True)
class LogPiece:
    """A piece of a build's log; ask for more after `offset` until `done`."""

    text: str
    offset: int
    done: bool


@dataclass(frozen=True)
class ImagePage:
    """Some images, and the token for the next ones."""

    images: tuple[Image, ...]
    next_token: str


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


def image_of(body: dict[str, Any]) -> Image:
    latest, owner = body.get("latestBuild"), body.get("owner") or {}
    return Image(
        name=body["name"],
        status=body["status"].replace("STATUS_", "", 1),
        image_type=body["imageType"],
        python_version=body["pythonVersion"],
        requirements=tuple(
            item["name"] + item["versionSpecifier"] for item in body["pipRequirements"]
        ),
        package_requirements=tuple(
            "=".join(filter(None, (item["name"], item["versionSpecifier"])))
            for item in body["packageRequirements"]
        ),
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
