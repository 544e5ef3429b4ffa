"""Managed images from Python: name libraries, get a container image that has them."""

from importlib.metadata import PackageNotFoundError, version

from ri_platform_sdk.aio import AsyncClient
from ri_platform_sdk.client import Client
from ri_platform_sdk.environment import Environment, LeftOutLibrary, Snapshot, read_environment
from ri_platform_sdk.errors import (
    BuildFailed,
    Conflict,
    ConnectionFailed,
    Forbidden,
    InvalidRequest,
    NotFound,
    RIPlatformError,
    TooManyRequests,
    Unauthorized,
    Unavailable,
    WaitTimeout,
)
from ri_platform_sdk.files import RequirementFile
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
from ri_platform_sdk.readings import FileLine, Reading, ReadRequirement
from ri_platform_sdk.registry import Drift, UnknownRepository
from ri_platform_sdk.running import ImportCheck, ImportFailure, RunTime

try:
    __version__ = version("ri-platform-sdk")
except PackageNotFoundError:
    # Imported from a checkout, where nothing is installed.
    __version__ = "0+checkout"

__all__ = [
    "Alteration",
    "AsyncClient",
    "AuditEvent",
    "Build",
    "BuildFailed",
    "Change",
    "Changes",
    "Client",
    "Comparison",
    "Conflict",
    "ConnectionFailed",
    "DefaultImage",
    "Drift",
    "Environment",
    "FileLine",
    "Forbidden",
    "Identity",
    "Image",
    "ImportCheck",
    "ImportFailure",
    "Instance",
    "InvalidRequest",
    "LeftOutLibrary",
    "Library",
    "Match",
    "Missing",
    "MissingLibrary",
    "MissingModule",
    "Model",
    "ModelImage",
    "NotFound",
    "Owner",
    "RIPlatformError",
    "ReadRequirement",
    "Reading",
    "RemovedImage",
    "RequirementFile",
    "Revision",
    "RunTime",
    "Snapshot",
    "Step",
    "TooManyRequests",
    "Unauthorized",
    "Unavailable",
    "UnknownRepository",
    "WaitTimeout",
    "read_environment",
]
