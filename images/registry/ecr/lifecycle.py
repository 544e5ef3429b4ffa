"""The lifecycle policy of a repository: what nothing names any more goes, and what it is told to let go.

Rules select images by patterns of tags, and AWS applies them whenever it likes. So no rule here speaks of
"all but the newest": the same image can carry an old build's tag and the current one's, and is as old as
its first push. Each superseded image is named by a rule of its own; what no rule names stays.

Source: ECR user guide, "Lifecycle policy properties" and its evaluation rules.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

MAX_RULES = 50
# At once is not to be had: one day is the least.
DAYS = 1


def lifecycle_policy(expiring: Sequence[str] = ()) -> dict[str, Any]:
    """A policy under which untagged images expire, and each image that carries one of these tags.

    More tags than there are rules for are left to the next policy, the last ones first.
    """
    rules = [rule(1, "Images that no tag names", {"tagStatus": "untagged"})]
    for priority, tag in enumerate(expiring[: MAX_RULES - 1], start=2):
        # A pattern with a wildcard in front is documented to mean "ends with".
        selection = {"tagStatus": "tagged", "tagPatternList": [f"*{tag}"]}
        rules.append(rule(priority, f"Superseded: {tag}", selection))
    return {"rules": rules}


def rule(priority: int, description: str, selection: dict[str, Any]) -> dict[str, Any]:
    return {
        "rulePriority": priority,
        "description": description,
        "selection": {
            **selection,
            "countType": "sinceImagePushed",
            "countUnit": "days",
            "countNumber": DAYS,
        },
        "action": {"type": "expire"},
    }


def selects(tag: str, tags: Sequence[str]) -> bool:
    """Whether the rule for `tag` selects an image with these tags."""
    return any(other.endswith(tag) for other in tags)
