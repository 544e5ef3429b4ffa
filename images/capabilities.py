"""What this installation can build, so that a form refuses early what no worker could do."""

from __future__ import annotations

from images.models import BuildHost


def os_packages_refusal() -> str:
    """Why OS packages cannot be asked for, as a sentence; empty if some worker can install them."""
    problems = list(BuildHost.objects.alive().values_list("os_packages_problem", flat=True))
    if not problems:
        return "OS packages cannot be asked for while no builds worker is running."
    return "" if "" in problems else f"OS packages cannot be asked for. {problems[0]}"
