"""Write requirements/clients/wheels.txt, the tested versions of the public clients: `make lock` calls it.

Of each minor series it takes the newest version, and of the oldest series of a client the oldest, too.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from packaging.version import Version

from tools.client_fields import CLIENTS, fetch, versions_of

LIST = Path(__file__).resolve().parents[1] / "requirements" / "clients" / "wheels.txt"
HEAD = """\
# The tested versions of the public clients, by tools/client_wheels.py. tests/environments.py unpacks each
# wheel into a folder of its own; what they import is in dependencies.lock.
"""


def main() -> None:
    pins = []
    with tempfile.TemporaryDirectory() as scratch:
        for project, oldest in CLIENTS.items():
            published = [version for version in versions_of(project) if version >= oldest]
            for version in versions_to_test(published):
                wheel = fetch(project, version, Path(scratch))
                digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
                pins.append(f"{project}=={version} --hash=sha256:{digest}\n")
    LIST.write_text(HEAD + "".join(pins), encoding="utf-8")


def versions_to_test(published: list[Version]) -> Iterator[Version]:
    """Those to test of the published versions, which are oldest first."""
    yield published[0]
    newest = {(version.major, version.minor): version for version in published}
    yield from (version for version in newest.values() if version != published[0])


if __name__ == "__main__":
    main()
