"""Tables: images, builds, base images, models, webhooks and their events, and the lease of work."""

from images.models.alteration import Alteration
from images.models.attestation import Attestation
from images.models.base_image import BaseImage, ImageType, PythonVersion
from images.models.build import (
    Build,
    BuildLayer,
    BuildLogChunk,
    BuildReason,
    BuiltWheel,
    CachedLayer,
    InstalledLibrary,
)
from images.models.build_host import BuildHost
from images.models.build_phase import BuildPhase
from images.models.contact import AwsContact
from images.models.default_image import DefaultImage
from images.models.drift import Drift, KeptManifest
from images.models.image_count import ImageCount
from images.models.import_check import CheckResult, CheckStatus, ImportCheck
from images.models.instance import Instance
from images.models.kept_resolution import KeptResolution
from images.models.lease import Lease, LeaseQuerySet
from images.models.library_package import LibraryIndex, LibraryPackage
from images.models.managed_image import ImportPolicy, ManagedImage, Status
from images.models.ml_model import Assignment, AssignmentState, ChosenImage, MLModel
from images.models.moving_tag import MovingTag
from images.models.prepared_layer import PreparedLayer
from images.models.put_pace import PutPace
from images.models.refused_repository import RefusedRepository
from images.models.requirement_files import RequirementFiles
from images.models.task_due import TaskDue
from images.models.unknown_repository import UnknownRepository, Wish
from images.models.verification import FindingCode, Stage, Verification
from images.models.webhook import Delivery, ImageEvent, Webhook

__all__ = [
    "Alteration",
    "Assignment",
    "AssignmentState",
    "Attestation",
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
    "CheckResult",
    "CheckStatus",
    "ChosenImage",
    "DefaultImage",
    "Delivery",
    "Drift",
    "FindingCode",
    "ImageCount",
    "ImageEvent",
    "ImageType",
    "ImportCheck",
    "ImportPolicy",
    "InstalledLibrary",
    "Instance",
    "KeptManifest",
    "KeptResolution",
    "Lease",
    "LeaseQuerySet",
    "LibraryIndex",
    "LibraryPackage",
    "MLModel",
    "ManagedImage",
    "MovingTag",
    "PreparedLayer",
    "PutPace",
    "PythonVersion",
    "RefusedRepository",
    "RequirementFiles",
    "Stage",
    "Status",
    "TaskDue",
    "UnknownRepository",
    "Verification",
    "Webhook",
    "Wish",
]
