"""Trials of images: whether what was asked for can be imported, remembered by the manifest."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from images.models.build import Build
from images.models.lease import Lease, LeaseQuerySet, WorkState, lease_constraints


class CheckResult(models.TextChoices):
    """The end of a trial. One that broke on the platform's side has none, and tells its error."""

    PASSED = "passed", "Passed"
    FAILED = "failed", "Failed"
    SKIPPED = "skipped", "Skipped"


class CheckStatus(models.TextChoices):
    """The state of a trial, as pages and the API tell it."""

    PENDING = "PENDING", "Pending"
    PASSED = "PASSED", "Passed"
    FAILED = "FAILED", "Failed"
    SKIPPED = "SKIPPED", "Skipped"


class ImportCheckQuerySet(LeaseQuerySet["ImportCheck"]):
    def of_image_now(self, digest: str) -> ImportCheck | None:
        """The trial of a manifest, if it was asked for."""
        return self.filter(manifest_digest=digest).first() if digest else None


class ImportCheck(Lease):
    """The trial of one manifest, whichever builds have it; its files are those of `build`.

    `failed` are `{"module", "requirement", "message", "hint"}`, `conflicts` `{"library", "requirement",
    "message"}` by the rules of `pip check`. `seconds` are those of the imports themselves. `reason` tells why
    it was skipped, as a sentence.
    """

    manifest_digest = models.CharField(max_length=71, unique=True)
    build = models.ForeignKey(Build, models.CASCADE, related_name="import_checks")
    created_at = models.DateTimeField(auto_now_add=True)
    result = models.CharField(max_length=8, choices=CheckResult.choices, blank=True)
    tried = models.PositiveIntegerField(default=0)
    failed = models.JSONField(default=list, blank=True)
    conflicts = models.JSONField(default=list, blank=True)
    seconds = models.FloatField(null=True, blank=True)
    reason = models.TextField(blank=True)

    objects = ImportCheckQuerySet.as_manager()

    class Meta:
        verbose_name = "import check"
        constraints = [
            *lease_constraints("import_check"),
            models.CheckConstraint(
                condition=~Q(state=WorkState.SUCCEEDED) | ~Q(result=""),
                name="import_check_ended_has_a_result",
            ),
            models.CheckConstraint(
                condition=Q(result__in=["", *CheckResult.values]),
                name="import_check_result_is_known",
            ),
        ]
        indexes = [
            models.Index(
                fields=["due_at"],
                condition=Q(state__in=[WorkState.QUEUED, WorkState.RUNNING]),
                name="import_check_due",
            )
        ]

    def __str__(self) -> str:
        return f"imports of {self.build}"

    @property
    def status(self) -> CheckStatus:
        if self.is_active:
            return CheckStatus.PENDING
        if self.state == WorkState.SUCCEEDED:
            return CheckStatus(self.result.upper())
        return CheckStatus.SKIPPED

    @property
    def words(self) -> str:
        """The check in a line."""
        if self.status == CheckStatus.PENDING:
            return "Imports are being tried"
        if self.status == CheckStatus.SKIPPED:
            return "Imports were not tried"
        time = f" in {self.seconds:.1f} s" if self.seconds is not None else ""
        unmet = len(self.conflicts)
        more = f", {unmet} unmet requirement{'s' if unmet > 1 else ''}" if unmet else ""
        return f"Imports: {self.imported} of {self.tried}{time}{more}"

    @property
    def icon(self) -> str:
        """The console's icon of its end."""
        return {CheckStatus.PASSED: "check", CheckStatus.FAILED: "warning"}.get(
            self.status, "minus"
        )

    @property
    def skipped_because(self) -> str:
        """Why there is no result, as a sentence; empty if there is one, or will be."""
        if self.status != CheckStatus.SKIPPED:
            return ""
        return " ".join(
            part for part in (self.reason or self.error_message, self.error_hint) if part
        )

    @property
    def imported(self) -> int:
        """Modules that were imported."""
        return self.tried - sum(1 for item in self.failed if item["module"])
