"""The operators' admin among many rows: `python -m benchmarks.operators`.

Starts a PostgreSQL of its own, fills the tables that grow with 100,000 rows unless told otherwise, and opens
every list as an operator does: the first page, a late page, each filter, and a search for something rare.
Prints the median and the slowest in milliseconds.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Iterator
from typing import Any

from benchmarks.many_images import fill
from benchmarks.own_database import own_database

FILL = """
INSERT INTO workspaces_user (password, is_superuser, username, first_name, last_name, email, is_staff,
    is_active, date_joined, role, time_zone)
SELECT '!', false, 'user-' || n, '', '', 'user-' || n || '@example.org', false, true, now(), 'basic', ''
FROM generate_series(1, %(rows)s) n;
INSERT INTO workspaces_workspace (id, name, description, created_at)
SELECT gen_random_uuid(), 'Workspace of ' || n, '', now() FROM generate_series(1, %(rows)s) n;
INSERT INTO workspaces_membership (role, user_id, workspace_id)
SELECT 'member', u.id, (SELECT id FROM workspaces_workspace LIMIT 1) FROM workspaces_user u;
INSERT INTO workspaces_apitoken (id, name, secret_hash, suffix, created_at, expires_at, user_id, workspace_id)
SELECT gen_random_uuid(), 'token-' || u.id, md5(u.id::text), 'abcd', now(), now() + interval '9 months', u.id,
    (SELECT id FROM workspaces_workspace LIMIT 1) FROM workspaces_user u;
INSERT INTO workspaces_auditevent (event, at, username, role, token_name, object_type, object_name,
    workspace_name, details)
SELECT 'image.created', now(), 'user-' || n, 'basic', '', 'managed_image', 'image-' || n, '', '{}'
FROM generate_series(1, %(rows)s) n;
INSERT INTO images_cachedlayer (key, digest, diff_id, size_bytes, title, os_packages, created_at)
SELECT n, 'sha256:' || n, 'sha256:' || n, 1, 'wheel-' || n, '[]', now() FROM generate_series(1, %(rows)s) n;
INSERT INTO images_webhook (id, url, events, secret, created_at)
VALUES (gen_random_uuid(), 'https://example.org/', ARRAY['image.ready'], 'x', now());
INSERT INTO images_delivery (state, attempts, lease_token, due_at, error_code, error_message, error_hint,
    event, payload, created_at, webhook_id)
SELECT 'succeeded', 1, 1, now(), '', '', '', 'image.ready', '{}', now(), (SELECT id FROM images_webhook)
FROM generate_series(1, %(rows)s) n;
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--requests", type=int, default=7)
    wanted = parser.parse_args()
    with own_database():
        measure(wanted)


def measure(wanted: argparse.Namespace) -> None:
    import django

    django.setup()
    from django.contrib import admin
    from django.core.management import call_command
    from django.db import connection
    from django.test import Client

    from workspaces.models import User

    call_command("migrate", verbosity=0)
    call_command("collectstatic", verbosity=0, interactive=False)
    fill(wanted.rows, libraries=1)
    with connection.cursor() as cursor:
        for statement in FILL.split(";\n"):
            if statement.strip():
                cursor.execute(statement, {"rows": wanted.rows})
        cursor.execute("VACUUM ANALYZE")
    User.objects.filter(username="admin").update(is_superuser=True)
    client = Client()
    client.force_login(User.objects.get(username="admin"))
    print(f"{'':62}{'median':>8}{'max':>8}  ms")
    for page in admin.site._registry.values():
        for address in addresses(page):
            took = []
            for number in range(wanted.requests + 1):
                begun = time.perf_counter()
                answer = client.get(address)
                assert answer.status_code == 200, (address, answer.status_code)
                if number:
                    took.append((time.perf_counter() - begun) * 1000)
            print(f"{address:62}{statistics.median(took):8.0f}{max(took):8.0f}", flush=True)


def addresses(page: Any) -> Iterator[str]:
    """Whatever an operator opens of one model."""
    from django.urls import reverse

    name = f"admin:{page.model._meta.app_label}_{page.model._meta.model_name}"
    changelist = reverse(f"{name}_changelist")
    yield changelist
    row = page.model.objects.order_by("pk").last()
    if row is None:
        return
    yield reverse(f"{name}_change", args=[row.pk])
    if page.model.objects.all()[:10_000].count() == 10_000:
        yield f"{changelist}?p=200"
    if page.search_fields:
        yield f"{changelist}?q=99123"
    for field in page.list_filter:
        value = getattr(row, field) if isinstance(field, str) else None
        if value not in (None, ""):
            yield f"{changelist}?{field}__exact={int(value) if value in (True, False) else value}"


if __name__ == "__main__":
    main()
