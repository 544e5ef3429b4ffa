"""`make audit` with the real pip-audit, against an advisory service of the test's own (OSV's protocol)."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest

from ri_platform.local import services
from tests.http_server import QuietHandler, serving

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[1]


class Advisories(QuietHandler):
    """Knows of one vulnerability, in the package that the server names."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        name = asked["package"]["name"]
        events = [{"introduced": "0"}, {"fixed": "99.0"}]
        known = {
            "id": "TEST-1",
            "summary": "An example.",
            "affected": [
                {
                    "package": {"name": name, "ecosystem": "PyPI"},
                    "ranges": [{"type": "ECOSYSTEM", "events": events}],
                }
            ],
        }
        hit = name == self.server.vulnerable  # type: ignore[attr-defined]
        body = json.dumps({"vulns": [known]} if hit else {}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def advisories() -> Iterator[ThreadingHTTPServer]:
    with serving(Advisories) as server:
        server.vulnerable = ""  # type: ignore[attr-defined]
        yield server


def audit(port: int) -> subprocess.CompletedProcess[str]:
    address = f"http://127.0.0.1:{port}/v1/query"
    return subprocess.run(
        [sys.executable, "tools/audit.py"],
        cwd=ROOT,
        env={**os.environ, "AUDIT_OSV_URL": address, "NO_PROXY": "127.0.0.1"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_finding_fails_and_is_told(advisories: ThreadingHTTPServer) -> None:
    advisories.vulnerable = "django"  # type: ignore[attr-defined]
    done = audit(advisories.server_port)
    assert done.returncode == 1
    assert "TEST-1, fixed in 99.0" in done.stdout


def test_every_package_of_the_lock_is_looked_up(advisories: ThreadingHTTPServer) -> None:
    done = audit(advisories.server_port)
    assert done.returncode == 0
    told = re.search(r"(\d+) of (\d+) locked packages looked up \(osv\): 0 findings", done.stdout)
    assert told is not None
    assert int(told[1]) == int(told[2]) > 70


def test_a_service_that_is_not_there_fails_no_build_and_is_told() -> None:
    done = audit(services.free_port())
    assert done.returncode == 0
    assert "Not audited: no advisory service (osv) can be asked from here." in done.stdout
