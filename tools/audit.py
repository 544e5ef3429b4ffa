"""Check the locked dependencies for known vulnerabilities: `python tools/audit.py`.

It fails for a finding and for nothing else. If no advisory service can be reached, or it knows none of the
packages, it says so and the build goes on. `AUDIT_OSV_URL` names a mirror of OSV's query endpoint to ask
instead of the public services.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
# What production installs; the other lock adds only what tests and `make run` need.
LOCK = ROOT / "requirements/main.lock"
MIRROR = os.environ.get("AUDIT_OSV_URL", "")
SERVICES = ("osv",) if MIRROR else ("pypi", "osv")
SECONDS = 600


def main() -> int:
    # `name==version ; marker \`, with the hashes in the lines that follow.
    lines = LOCK.read_text(encoding="utf-8").splitlines()
    pins = [line.rstrip(" \\") for line in lines if line[:1].isalnum() and "==" in line]
    # One package first: to wait for each of a hundred requests to fail takes minutes.
    service = next((name for name in SERVICES if answers(name, pins[:1])), None)
    if service is None:
        print(
            f"Not audited: no advisory service ({', '.join(SERVICES)}) can be asked from here. "
            "Run `make audit` where one can be reached."
        )
        return 0
    return print_findings(service, look_up(service, pins))


def answers(service: str, pins: list[str]) -> bool:
    return any("vulns" in found for found in look_up(service, pins))


def look_up(service: str, pins: list[str]) -> list[dict[str, Any]]:
    """The findings for each package: `vulns`, or the reason for skipping it. Empty without a service."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("\n".join(pins))
        file.flush()
        try:
            done = subprocess.run(
                [sys.executable, "-m", "pip_audit", "-r", file.name, "--no-deps", "--disable-pip",
                 "-s", service, "-f", "json", "--progress-spinner", "off", "--timeout", "10",
                 *(["--osv-url", MIRROR] if MIRROR else [])],
                capture_output=True, text=True, check=False, timeout=SECONDS,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return []
    try:
        found: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        return []
    return found


def print_findings(service: str, packages: list[dict[str, Any]]) -> int:
    found = [(package, problem) for package in packages for problem in package.get("vulns", [])]
    for package, problem in found:
        fixed = ", ".join(problem.get("fix_versions", [])) or "nothing yet"
        print(f"{package['name']} {package['version']}: {problem['id']}, fixed in {fixed}")
    asked = sum("vulns" in package for package in packages)
    print(
        f"{asked} of {len(packages)} locked packages looked up ({service}): {len(found)} findings."
    )
    if asked == 0:
        print("Not audited: the advisory service stopped answering.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
