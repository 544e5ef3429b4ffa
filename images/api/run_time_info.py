"""Schemas of the public client's `runTimeInfo`: the image of a run, and what the run asks of the machine."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, ConfigDict, Field, StrictBool, model_validator

from images.models import Assignment, ManagedImage
from images.operations.swaps import Choice, ExternalChoice, ManagedChoice
from images.run_time.request import LARGEST, RunRequest
from ri_platform.api import Camel, Line
from ri_platform.text import column_length

SECRET_LENGTH = column_length(Assignment, "pull_secret")
REFERENCE_LENGTH = column_length(Assignment, "external_reference")


def name_alone(value: Any) -> Any:
    """An object of a name, for which a plain string stands."""
    return {"name": value} if isinstance(value, str) else value


# The original's clients send numbers of 64 bits as strings (protobuf's JSON), and some as numbers.
Amount = Annotated[int, Field(ge=1, le=10**12)]
Seed = Annotated[int, Field(ge=-LARGEST - 1, le=LARGEST)]


class Strict(Camel):
    """What is not listed is refused: a setting that nothing heeds must not look like one that holds."""

    model_config = ConfigDict(extra="forbid")


class PullSecret(Camel):
    """The secret that an external image is pulled with."""

    name: Line = Field(max_length=SECRET_LENGTH, examples=["team-registry"])
    """The secret's name where the model runs, not the secret itself."""


def secret_named(name: str) -> dict[str, str] | None:
    """A `PullSecret`'s fields, if there is one."""
    return {"name": name} if name else None


class CustomImage(Camel):
    """An image that the platform did not build, as the original's `customImage`."""

    name: Line = Field(
        min_length=1,
        max_length=REFERENCE_LENGTH,
        examples=["registry.example.com/team/image:1.2"],
    )
    """The reference by which it is pulled."""
    pull_secret: Annotated[PullSecret | None, BeforeValidator(name_alone)] = None
    """The secret that it is pulled with, if it needs one. A string is taken as its name."""


class ImageChoice(Camel):
    """Either a managed image, optionally pinned to one of its builds, or an external image."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"managedImageName": "churn", "build": 3}}
    )

    managed_image_name: Line | None = Field(None, max_length=column_length(ManagedImage, "name"))
    """The managed image's name."""
    build: int | None = Field(None, ge=1, le=2_000_000_000)
    """The number of the build to pin; if absent, the current build is followed."""
    custom_image: Annotated[CustomImage | None, BeforeValidator(name_alone)] = None
    """The external image. A string is taken as its reference."""

    @model_validator(mode="after")
    def is_one(self) -> ImageChoice:
        if bool(self.managed_image_name) == bool(self.custom_image):
            raise ValueError("name a managed image or a custom image, one of the two")
        if self.build and not self.managed_image_name:
            raise ValueError("only a managed image has builds")
        return self

    @property
    def choice(self) -> Choice:
        if self.custom_image:
            secret = self.custom_image.pull_secret
            return ExternalChoice(self.custom_image.name, secret.name if secret else "")
        return ManagedChoice(self.managed_image_name or "", self.build)


class ResourceRequest(Strict):
    """The needs of a run."""

    ram_request_megabytes: Amount | None = Field(None, examples=[4096])
    """Memory in megabytes; the digits may be a string."""
    cpu_request_millicores: Amount | None = Field(None, examples=[1500])
    """Processor time in thousandths of a core; the digits may be a string."""


class RunSettings(Strict):
    """The requests of a run beside its image. The platform keeps them for what runs it."""

    resource_request: ResourceRequest | None = None
    """Memory and processor time; an empty object asks for nothing."""
    explicit_errors: StrictBool | None = Field(None, examples=[True])
    """Whether the run tells errors that it would pass over."""
    random_seed: Seed | None = Field(None, examples=[42])
    """The seed of the run's random numbers; the digits may be a string. 0 means none."""

    def over(self, present: RunRequest) -> RunRequest:
        """The request with what is given here in the place of the present."""
        ram, cpu = present.ram_megabytes, present.cpu_millicores
        if (wanted := self.resource_request) is not None:
            ram, cpu = wanted.ram_request_megabytes, wanted.cpu_request_millicores
        explicit, seed = self.explicit_errors, self.random_seed
        return RunRequest(
            ram,
            cpu,
            present.explicit_errors if explicit is None else explicit,
            present.random_seed if seed is None else seed or None,
        )


class RunTimeInfo(RunSettings):
    """The public client's `runTimeInfo`."""

    custom_image: ImageChoice | None = None
    """The image, managed or not."""


class RunTimeInfoOfImage(RunSettings):
    """The public client's `runTimeInfo`, with its image."""

    custom_image: ImageChoice
    """The image, managed or not."""


class RunTimeInfoIn(Camel):
    """The image of a run, as the public client sends it."""

    run_time_info: RunTimeInfoOfImage
    """The `runTimeInfo` of the public client."""


class ResourcesOut(Camel):
    """Memory and processor time."""

    ram_request_megabytes: str | None = Field(None, examples=["4096"])
    """Memory in megabytes."""
    cpu_request_millicores: str | None = Field(None, examples=["1500"])
    """Processor time in thousandths of a core."""


class RunSettingsOut(Camel):
    """The requests of a run to its machine. Numbers of 64 bits are strings, as in protobuf's JSON."""

    resource_request: ResourcesOut | None = None
    """Memory and processor time."""
    explicit_errors: bool | None = Field(None, examples=[True])
    """Whether the run tells errors that it would pass over."""
    random_seed: str | None = Field(None, examples=["42"])
    """The seed of the run's random numbers."""


def run_settings(asks: RunRequest) -> dict[str, Any] | None:
    """The fields of `RunSettingsOut`, if anything is asked for."""
    resources = {
        "ram_request_megabytes": text_of(asks.ram_megabytes),
        "cpu_request_millicores": text_of(asks.cpu_millicores),
    }
    found = {
        "resource_request": resources if any(resources.values()) else None,
        "explicit_errors": asks.explicit_errors,
        "random_seed": text_of(asks.random_seed),
    }
    return found if asks.as_json() else None


def text_of(number: int | None) -> str | None:
    return None if number is None else str(number)
