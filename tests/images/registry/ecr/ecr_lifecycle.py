"""Amazon ECR's evaluation of lifecycle policies, written from its documentation.

User guide, "Lifecycle policy evaluation rules" and "Lifecycle policy properties": an image is expired by
exactly one or no rule; one that matches the tagging requirements of a rule cannot be expired by a rule
of a lower priority; expiration is ordered by the time of the push. An image matches a pattern list if
each of the patterns matches any of its tags; `*` stands for any characters, also none.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

MAX_TEXT, MIN_TEXT, MAX_RULES, MAX_WILDCARDS = 30_720, 100, 50, 4
EXPIRES_WITHIN = timedelta(days=1)


@dataclass
class Image:
    digest: str
    tags: set[str]
    pushed_at: datetime


def validated(text: str) -> list[dict[str, Any]]:
    """The rules by priority. Raises `AssertionError` for what PutLifecyclePolicy would refuse."""
    assert MIN_TEXT <= len(text) <= MAX_TEXT
    document = json.loads(text)
    assert set(document) == {"rules"}
    rules = sorted(document["rules"], key=lambda rule: int(rule["rulePriority"]))
    assert 1 <= len(rules) <= MAX_RULES
    priorities = [rule["rulePriority"] for rule in rules]
    assert len(set(priorities)) == len(priorities)
    assert all(isinstance(priority, int) and priority > 0 for priority in priorities)
    seen: set[tuple[str, ...]] = set()
    for rule in rules:
        assert set(rule) <= {"rulePriority", "description", "selection", "action"}
        assert rule["action"] == {"type": "expire"}
        selection = rule["selection"]
        patterns = tuple(selection.get("tagPatternList", ()))
        assert selection["tagStatus"] in ("tagged", "untagged", "any")
        assert bool(patterns) == (selection["tagStatus"] == "tagged")
        # Only one rule may select untagged images, and pattern lists are unique.
        assert patterns not in seen
        seen.add(patterns)
        for pattern in patterns:
            assert pattern.count("*") <= MAX_WILDCARDS
            assert re.fullmatch(r"[A-Za-z0-9._*-]{1,128}", pattern), pattern
        assert selection["countNumber"] >= 1
        assert selection["countType"] in ("imageCountMoreThan", "sinceImagePushed")
        assert (selection["countType"] == "sinceImagePushed") == ("countUnit" in selection)
        assert selection.get("countUnit", "days") == "days"
        if selection["tagStatus"] == "any":
            assert rule is rules[-1]
    return rules


def matches(selection: dict[str, Any], image: Image) -> bool:
    """The tagging requirements of a rule."""
    status = selection["tagStatus"]
    if status == "any":
        return True
    if status == "untagged":
        return not image.tags
    return all(
        any(re.fullmatch(re.escape(pattern).replace(r"\*", ".*"), tag) for tag in image.tags)
        for pattern in selection["tagPatternList"]
    )


def expired(text: str, images: Collection[Image], now: datetime) -> set[str]:
    """The digests of the images that this policy expires at `now`."""
    found: set[str] = set()
    claimed: set[str] = set()
    for rule in validated(text):
        selection = rule["selection"]
        selected = sorted(
            (image for image in images if matches(selection, image)),
            key=lambda image: image.pushed_at,
            reverse=True,
        )
        if selection["countType"] == "imageCountMoreThan":
            marked = selected[selection["countNumber"] :]
        else:
            oldest = now - timedelta(days=selection["countNumber"])
            marked = [image for image in selected if image.pushed_at < oldest]
        found |= {image.digest for image in marked} - claimed
        claimed |= {image.digest for image in selected}
    return found
