"""Base images: what the platform provides, one current for each use case and Python version."""

from __future__ import annotations

from collections.abc import Iterable

from django.db import models
from django.db.models import Q

from images.models.base_source import Kind
from images.models.lease import Lease, LeaseQuerySet, WorkState, lease_constraints
from images.os_families import OSFamily, family_of

MUSL = "musl"
# Of an image that does not tell its C library: what most wheels on PyPI need at most.
ASSUMED_PLATFORM = "x86_64-manylinux_2_28"


class ImageType(models.TextChoices):
    """The use case that a base image is made for."""

    ALL = "all", "All"
    IMAGES = "images", "Images"
    NLP = "nlp", "NLP"
    TABULAR = "tabular", "Tabular"


class PythonVersion(models.TextChoices):
    """Minor versions for which a root image can be made or copied."""

    V3_9 = "3.9", "3.9"
    V3_10 = "3.10", "3.10"
    V3_11 = "3.11", "3.11"
    V3_12 = "3.12", "3.12"
    V3_13 = "3.13", "3.13"
    V3_14 = "3.14", "3.14"

    @staticmethod
    def newest_first(versions: Iterable[str]) -> list[str]:
        return sorted(
            versions, key=lambda version: [int(part) for part in version.split(".")], reverse=True
        )


class BaseImageQuerySet(LeaseQuerySet["BaseImage"]):
    def current(self) -> BaseImageQuerySet:
        return self.filter(is_current=True, state=WorkState.SUCCEEDED)

    def of_kind(self, kind: Kind) -> BaseImageQuerySet:
        """Those whose source is of this kind before any alternative."""
        return self.filter(source__startswith=f"{kind.word}:")

    def offered(self) -> BaseImageQuerySet:
        """The current ones, and those that are on their way or failed."""
        return self.filter(~Q(state=WorkState.SUCCEEDED) | Q(is_current=True))


class BaseImage(Lease):
    """An image of the platform, imported into `<prefix>/base/…` and inspected.

    `source` is the text of a `base_source.Source`. `layers` are its manifest's descriptors, `libraries` what
    its own Python already has as `[name, version]` pairs.
    """

    image_type = models.CharField(max_length=16, choices=ImageType.choices, default=ImageType.ALL)
    python_version = models.CharField(max_length=8, choices=PythonVersion.choices)
    platform_version = models.CharField(max_length=64)
    source = models.CharField(max_length=512)
    is_current = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)

    repository = models.CharField(max_length=256)
    repository_ready_at = models.DateTimeField(null=True, blank=True)
    manifest_digest = models.CharField(max_length=71, blank=True)
    config = models.JSONField(default=dict, blank=True)
    layers = models.JSONField(default=list, blank=True)
    size_bytes = models.BigIntegerField(default=0)
    python_full_version = models.CharField(max_length=32, blank=True)
    interpreter = models.CharField(max_length=255, blank=True)
    site_packages = models.JSONField(default=list, blank=True)
    libraries = models.JSONField(default=list, blank=True)
    # Of a use case of the catalogue: the lock of its curated libraries, and what they stand on.
    lock = models.TextField(blank=True)
    built_on = models.ForeignKey(
        "self", models.PROTECT, null=True, blank=True, related_name="base_children"
    )
    os_family = models.CharField(max_length=16, blank=True)
    os_name = models.CharField(max_length=120, blank=True)
    # os-release's ID, and the packages by the package system's own list, as `[name, version]`.
    os_id = models.CharField(max_length=40, blank=True)
    os_packages = models.JSONField(default=list, blank=True)
    # glibc with its version as `2.36`, or musl with its as `1.2.5`, and the machine as `uname -m` says; empty
    # where the image does not tell, or was imported before it was asked.
    libc = models.CharField(max_length=8, blank=True)
    libc_version = models.CharField(max_length=16, blank=True)
    machine = models.CharField(max_length=16, blank=True)
    # os-release's VERSION_CODENAME, else its VERSION_ID.
    os_version = models.CharField(max_length=40, blank=True)
    # The native libraries that it provides, `NativeReport.pack` (images/building/native/report.py); empty
    # for bases of before it was kept.
    native = models.BinaryField(default=bytes, blank=True)

    objects = BaseImageQuerySet.as_manager()

    class Meta:
        ordering = ["image_type", "-python_version", "-created_at"]
        constraints = [
            *lease_constraints("base_image"),
            models.UniqueConstraint(
                fields=["image_type", "python_version", "platform_version"],
                name="base_image_version_is_unique",
            ),
            models.UniqueConstraint(
                fields=["image_type", "python_version"],
                condition=Q(is_current=True),
                name="base_image_has_one_current",
            ),
            models.CheckConstraint(
                condition=~Q(state=WorkState.SUCCEEDED)
                | (~Q(manifest_digest="") & ~Q(interpreter="")),
                name="base_image_ready_is_complete",
            ),
            models.CheckConstraint(
                condition=Q(is_current=False) | Q(state=WorkState.SUCCEEDED),
                name="base_image_current_is_ready",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.image_type}-python{self.python_version} {self.platform_version}"

    @property
    def is_settled(self) -> bool:
        """Nothing more comes of it by itself."""
        return not self.is_active

    @property
    def packages_by(self) -> OSFamily | None:
        """The family of its operating system, if its packages can be installed here."""
        return family_of(self.os_family, [self.os_id])

    @property
    def platform(self) -> str:
        """The platform that its wheels are made for, as `images.building.locks.target.Target` takes it."""
        if not self.libc:
            return ASSUMED_PLATFORM
        family = "musllinux" if self.libc == MUSL else "manylinux"
        major, minor = self.libc_version.split(".")[:2]
        return f"{self.machine}-{family}_{major}_{minor}"

    @property
    def libc_and_version(self) -> str:
        return f"{self.libc} {self.libc_version}".strip()

    @property
    def libc_described(self) -> str:
        """Its C library as pages name it, with what that means for wheels."""
        if not self.libc:
            return "C library not known; taken for glibc 2.28"
        if self.libc == MUSL:
            return f"{self.libc_and_version}: takes musllinux wheels, no manylinux ones"
        return self.libc_and_version

    @property
    def tag(self) -> str:
        return self.platform_version
