"""Lists, filters, matches and creation among many images: `python -m benchmarks.many_images`.

Starts a PostgreSQL of its own and fills it, 100,000 images with 50 libraries each unless told otherwise,
then asks the API in this process, so that what is measured is the server's own time. Prints median and p95 in
milliseconds for each kind of request.
"""

from __future__ import annotations

import argparse
import importlib
import json
import random
import statistics
import time
from typing import Any

from benchmarks.locks import LENGTH, lock_text
from benchmarks.own_database import own_database

# A few libraries are nearly everywhere, most are rare, as in life: popularity falls with rank.
LIBRARIES = 2000
VERSIONS = 30

FILL = """
INSERT INTO images_managedimage (name, description, image_type, python_version, pip_requirements, os_packages,
    allow_source, indexes, allow_prereleases, run_time, import_policy, status, created_at, updated_at,
    repository_error, repository_due_at, tags_may_move)
SELECT 'image-' || lpad(n::text, greatest(6, length(n::text)), '0'), '', 'all',
    (ARRAY['3.11', '3.12', '3.13'])[1 + n %% 3], '[]', '[]',
    false, '[]', false, '{}', '', 'FAILED', now() - n * interval '1 minute',
    now() - (n::bigint * 7919 %% 100003) * interval '1 minute', '', now(), false
FROM generate_series(1, %(images)s) n;

INSERT INTO images_build (image_id, number, base_image_id, spec, reason, description, state, lock,
    manifest_digest, config_digest, size_bytes, pushed_bytes, library_count, missing_libraries, renewal,
    phase, timings, created_at, attempts, failed_attempts, lease_token, due_at, error_code, error_message,
    error_hint)
SELECT id, 1, %(base)s, '{"image_type": "all", "python_version": "3.11",
    "pip_requirements": [], "os_packages": []}', 'create', '', 'succeeded', %(lock)s || id,
    'sha256:' || id, '', 100000000 + id * 7919 %% 100003 * 9001, 1, %(libraries)s, '[]', '',
    '', '{}', now(), 1, '[]', 1, now(), '', '', ''
FROM images_managedimage;

UPDATE images_managedimage i SET current_build_id = b.id, status = CASE
    WHEN i.id %% 25 = 0 THEN 'OUTDATED' WHEN i.id %% 20 = 1 THEN 'FAILED' ELSE 'READY' END
FROM images_build b WHERE b.image_id = i.id;

INSERT INTO images_installedlibrary (build_id, name, normalized_name, version, normalized_version,
    current_of, sha256, notes)
SELECT b.id, 'library-' || l, 'library-' || l, v || '.0', v::text, i.name, '', '[]'
FROM images_managedimage i JOIN images_build b ON b.id = i.current_build_id
CROSS JOIN LATERAL (
    SELECT DISTINCT floor(%(kinds)s ^ random())::int AS l
    FROM generate_series(1, %(drawn)s + (i.id %% 2)::int)
    LIMIT %(libraries)s
) chosen CROSS JOIN LATERAL (SELECT 1 + (i.id * 7 + l * 13) %% %(versions)s AS v) versioned;
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--libraries", type=int, default=50)
    parser.add_argument("--requests", type=int, default=200)
    wanted = parser.parse_args()
    with own_database():
        measure(wanted)


def measure(wanted: argparse.Namespace) -> None:
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    secret = fill(wanted.images, wanted.libraries)
    ask = asker(secret)
    rng = random.Random(1)

    def library() -> dict[str, str]:
        return {"name": f"library-{int(LIBRARIES ** rng.random())}"}

    def wanted_libraries(count: int) -> dict[str, Any]:
        return {
            "pipRequirements": [
                {**library(), "versionSpecifier": f">={rng.randint(1, VERSIONS)}"}
                for _ in range(count)
            ]
        }

    def library_with_version() -> dict[str, str]:
        return {**library(), "version": str(rng.randint(1, VERSIONS))}

    kinds: dict[str, Any] = {
        "list, no filter": lambda: ("POST", "/v1/images/list", {}),
        "list, one library": lambda: ("POST", "/v1/images/list", {"pipLibraries": [library()]}),
        "list, one version": lambda: ("POST", "/v1/images/list", {"pipLibraries": [library_with_version()]}),
        "list, two libraries": lambda: (
            "POST", "/v1/images/list", {"pipLibraries": [library(), library()]},
        ),
        "list, three, two with versions": lambda: (
            "POST", "/v1/images/list",
            {"pipLibraries": [library_with_version(), library(), library_with_version()]},
        ),
        "match, three requirements": lambda: ("POST", "/v1/images:match", wanted_libraries(3)),
        "match, ten requirements": lambda: ("POST", "/v1/images:match", wanted_libraries(10)),
        "match, thirty requirements": lambda: ("POST", "/v1/images:match", wanted_libraries(30)),
        "create": lambda: (
            "POST", "/v1/images",
            {"name": f"new-{rng.getrandbits(60)}", "pipRequirements": [{"name": "numpy"}]},
        ),
    }  # fmt: skip
    print(f"{'':34}{'median':>8}{'p95':>8}{'max':>8}  ms")
    for name, make in kinds.items():
        took = []
        for number in range(wanted.requests + 3):
            method, path, body = make()
            begun = time.perf_counter()
            status = ask(method, path, drop_repetitions(body))
            if number >= 3:
                took.append((time.perf_counter() - begun) * 1000)
            assert status == 200, (status, body)
        p95 = statistics.quantiles(took, n=20)[-1]
        print(f"{name:34}{statistics.median(took):8.1f}{p95:8.1f}{max(took):8.1f}", flush=True)


def drop_repetitions(body: dict[str, Any]) -> dict[str, Any]:
    """No library is asked for twice in one request."""
    for key in ("pipLibraries", "pipRequirements"):
        if key in body:
            body[key] = list({item["name"]: item for item in body[key]}.values())
    return body


def fill(images: int, libraries: int, lock_bytes: int = LENGTH) -> str:
    """Rows as that many builds would have left them; the secret of a token."""
    from django.db import connection

    from tests import factories
    from workspaces.access import Actor
    from workspaces.models import InstanceRole
    from workspaces.operations import tokens

    base = factories.make_base_image()
    user = factories.make_user("admin", InstanceRole.ORGANIZATION_ADMINISTRATOR)
    begun = time.monotonic()
    versions = {f"library-{number}": f"{number % VERSIONS}.0" for number in range(libraries)}
    with connection.cursor() as cursor:
        values: dict[str, int | str] = {
            "images": images, "base": base.pk, "libraries": libraries, "kinds": LIBRARIES,
            "drawn": libraries * 4, "versions": VERSIONS,
            "lock": lock_text(versions, lock_bytes),
        }  # fmt: skip
        for statement in FILL.split(";\n"):
            if statement.strip():
                cursor.execute(statement, values)
        # As autovacuum leaves it, which would otherwise begin at some point of what is measured.
        cursor.execute("VACUUM ANALYZE")
        cursor.execute("SELECT count(*) FROM images_installedlibrary")
        (rows,) = cursor.fetchone()
    print(f"{images:,} images, {rows:,} libraries, filled in {time.monotonic() - begun:.0f} s")
    return tokens.create_token(Actor(user), factories.make_workspace(), "bench").secret


def asker(secret: str) -> Any:
    from django.test import Client

    # Its process is settled as the console's is.
    importlib.import_module("ri_platform.wsgi")
    client = Client()

    def ask(method: str, path: str, body: Any) -> int:
        answer = client.generic(
            method, path, json.dumps(body), "application/json", headers={"rime-api-key": secret}
        )
        return int(answer.status_code)

    return ask


if __name__ == "__main__":
    main()
