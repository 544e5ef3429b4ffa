"""Kept counts beside counted ones."""

from __future__ import annotations

from collections import Counter

from django.db.models import Sum

from images.models import ImageCount, ManagedImage


def assert_counts_are_true() -> None:
    kept = ImageCount.objects.values_list("base_image", "status", "removed").annotate(
        images=Sum("number")
    )
    counted = Counter(
        (base, status, removed_at is not None)
        for base, status, removed_at in ManagedImage.objects.order_by().values_list(
            "current_build__base_image", "status", "removed_at"
        )
    )
    assert {tuple(kind): number for *kind, number in kept if number} == counted
