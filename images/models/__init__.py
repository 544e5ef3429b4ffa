"""Tables: images, builds, base images, models, webhooks and their events, and the lease of work."""

from images.models.alteration import Alteration
from images.models.base_image import BaseImage, ImageType, PythonVersion
from images.models.build import (
    Build,
    BuildLayer,
    BuildLogChunk,
    BuildPhase,
    BuildReason,
    BuiltWheel,
    CachedLayer,
    InstalledLibrary,
)
from images.models.build_host import BuildHost
from images.models.contact import AwsContact
from images.models.lease import Lease, LeaseQuerySet
from images.models.managed_image import ManagedImage, Status
from images.models.ml_model import Assignment, AssignmentState, MLModel
from images.models.requirement_files import RequirementFiles
from images.models.task_due import TaskDue
from images.models.webhook import Delivery, ImageEvent, Webhook

__all__ = [
    "Alteration",
    "Assignment",
    "AssignmentState",
    "AwsContact",
    "BaseImage",
    "Build",
    "BuildHost",
    "BuildLayer",
    "BuildLogChunk",
    "BuildPhase",
    "BuildReason",
    "BuiltWheel",
    "CachedLayer",
    "Delivery",
    "ImageEvent",
    "ImageType",
    "InstalledLibrary",
    "Lease",
    "LeaseQuerySet",
    "MLModel",
    "ManagedImage",
    "PythonVersion",
    "RequirementFiles",
    "Status",
    "TaskDue",
    "Webhook",
]
