"""Lists by libraries are answered from an index, in its order: the plans, looked at among many rows."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models import OuterRef, Subquery

from images.models import BaseImage, Build, ImageCount, InstalledLibrary, ManagedImage, Status
from images.queries import searching, suggestions, upgrade_progress
from images.queries.images import ImageFilter, list_images
from images.queries.keyset import LibraryFilter, ListFilter, page_of_images
from images.queries.matching import match_images
from images.requirement_files.configured import parse_pip_requirements
from images.spec import ImageSpec
from tests import factories
from tests.cast import Cast

pytestmark = pytest.mark.slow
IMAGES = 4000


@pytest.fixture
def many(cast: Cast) -> None:
    """Images with ten libraries each: one is everywhere, one rare, the others in between."""
    base = factories.make_base_image()
    images = ManagedImage.objects.bulk_create(
        ManagedImage(name=f"i{number:05}", python_version="3.11", status="FAILED")
        for number in range(IMAGES)
    )
    builds = Build.objects.bulk_create(
        Build(
            image=image, number=1, base_image=base, state="succeeded", lock="x",
            spec=ImageSpec("all", "3.11"),
            manifest_digest=factories.digest(image.name), library_count=10,
        )
        for image in images
    )  # fmt: skip
    build_of = Build.objects.filter(image=OuterRef("pk"))
    ManagedImage.objects.update(status="READY", current_build=Subquery(build_of.values("pk")))
    InstalledLibrary.objects.bulk_create(
        (
            InstalledLibrary(
                build=build, name=name, normalized_name=name, version=version,
                normalized_version=version, current_of=image.name,
            )
            for number, (image, build) in enumerate(zip(images, builds, strict=True))
            for name, version in libraries(number)
        ),
        batch_size=5000,
    )  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def libraries(number: int) -> list[tuple[str, str]]:
    found = {"numpy": str(number % 30), "rare" if number % 1000 == 7 else "common": "1"}
    found |= {f"other-{(number * step) % 400}": "1" for step in range(1, 9)}
    return list(found.items())


FILTERS = [
    [LibraryFilter("numpy")],
    [LibraryFilter("numpy", "7")],
    [LibraryFilter("rare")],
    [LibraryFilter("numpy"), LibraryFilter("common")],
    [LibraryFilter("numpy", "7"), LibraryFilter("other-3")],
    [LibraryFilter("rare"), LibraryFilter("numpy")],
]


def test_no_list_reads_a_table_from_end_to_end(many: None, cast: Cast) -> None:
    for filters in FILTERS:
        plans = explained(lambda filters=filters: page_of_images(cast.viewer, ListFilter(filters)))
        shown = f"{filters}\n{json.dumps(plans, indent=1)}"
        nodes = [node for plan in plans for node in walk(plan)]
        whole = {node["Relation Name"] for node in nodes if node["Node Type"] == "Seq Scan"}
        # Base images are a handful, and so are the people and workspaces of this test, whom rows name by
        # primary key. Everything else is reached by an index.
        assert whole <= {"images_baseimage", "workspaces_user", "workspaces_workspace"}, shown
        used = {node.get("Index Name") for node in nodes}
        assert used & {"current_library_by_name", "current_library_by_version"}, shown
        read = sum(node["Actual Rows"] * node["Actual Loops"] for node in walk(plans[0]))
        assert read < IMAGES * 1.5, shown


PANES: list[dict[str, Any]] = [
    *(
        {"sort": sort}
        for sort in ("name", "-name", "status", "-base", "size", "-created", "updated")
    ),
    {"status": "READY", "sort": "size"},
    *({"libraries": tuple(filters)} for filters in FILTERS),
    {"libraries": tuple(FILTERS[0]), "sort": "-updated"},
    {"search": "i"},
    {"search": "i00012"},
    {"search": "i000", "sort": "-size"},
    {"search": "common"},
    {"search": "other-3", "sort": "created"},
    {"search": "rare"},
    {"search": "nosuchthing"},
]


def test_no_page_of_the_pane_reads_a_table_from_end_to_end(
    many: None, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Few are less than a twentieth, as among the 100,000 that the limit is for."""
    monkeypatch.setattr(searching, "FEW", 80)
    for values in PANES:
        wanted = ImageFilter(**values)
        first = list_images(cast.viewer, wanted)
        for after in {"", first.next}:
            plans = explained(lambda: list_images(cast.viewer, wanted, after))  # noqa: B023 - now
            shown = f"{values} {after}\n{json.dumps(plans, indent=1)}"
            for plan in plans:
                read = sum(
                    (node["Actual Rows"] + node.get("Rows Removed by Filter", 0))
                    * node["Actual Loops"]
                    for node in walk(plan)
                )
                # There are ten times as many libraries as images; a look at some ends at the bound.
                assert read < IMAGES * 1.5, shown


def test_no_count_of_images_reads_them(many: None) -> None:
    BaseImage.objects.update(is_current=False)
    ManagedImage.objects.update(status=Status.OUTDATED)
    bases = [factories.make_base_image(is_current=True)]
    plans = explained(lambda: upgrade_progress.progress(bases))
    plans += explained(lambda: ImageCount.objects.of_existing_images().total())
    nodes = [node for plan in plans for node in walk(plan)]
    read = sum(
        (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"]
        for node in nodes
    )
    assert read < 100, json.dumps(plans, indent=1)
    assert sum(each.behind for each in upgrade_progress.progress(bases)) == IMAGES


def test_suggestions_skip_through_the_index(many: None, cast: Cast) -> None:
    for text in ("n", "other-1", "numpy==", "rare==1"):
        (plan,) = explained(lambda text=text: suggestions.libraries(text))
        nodes = walk(plan)
        assert "Seq Scan" not in {node["Node Type"] for node in nodes}
        read = sum(node["Actual Rows"] * node["Actual Loops"] for node in nodes)
        assert read < 1000, json.dumps(plan, indent=1)


# What is not committed cannot be vacuumed, and an index is enough only for rows that were.
@pytest.mark.django_db(transaction=True)
def test_matching_counts_libraries_by_index_alone(many: None, cast: Cast) -> None:
    """An image's libraries are many and its images more: none of their rows is fetched to be counted."""
    wanted = ImageSpec("", "", tuple(parse_pip_requirements("numpy>=7\nrare\nother-3<2")))
    vacuum_until_all_visible("images_installedlibrary")
    with transaction.atomic(), connection.cursor() as cursor:
        # So few rows lie on so few pages that reading all of these costs little too.
        cursor.execute("SET LOCAL enable_bitmapscan = off; SET LOCAL enable_seqscan = off")
        plans = explained(lambda: match_images(cast.viewer, wanted))
    counts = [node for plan in plans[:2] for node in walk(plan)]
    ways = {
        node["Node Type"]
        for node in counts
        if "installedlibrary" in node.get("Relation Name", "")
        or "library" in node.get("Index Name", "")
    }
    assert ways == {"Index Only Scan"}, json.dumps(plans[:2], indent=1)


def test_a_choice_among_all_images_reads_the_first_of_an_index(many: None, cast: Cast) -> None:
    plans = explained(lambda: match_images(cast.viewer, ImageSpec("", "", ()), limit=20))
    read = [
        node["Actual Rows"] * node["Actual Loops"]
        for plan in plans
        for node in walk(plan)
        if node.get("Relation Name") == "images_managedimage"
    ]
    assert sum(read) <= 200, json.dumps(plans, indent=1)


def vacuum_until_all_visible(table: str) -> None:
    """Whoever reads this database meanwhile keeps a page from being marked, and the plan from being taken."""
    until = time.monotonic() + 60
    with connection.cursor() as cursor:
        while True:
            cursor.execute(f"VACUUM ANALYZE {table}")
            cursor.execute(
                "SELECT relpages = relallvisible FROM pg_class WHERE oid = %s::regclass", [table]
            )
            if cursor.fetchone() == (True,):
                return
            assert time.monotonic() < until, (
                f"another transaction keeps {table} from being vacuumed"
            )
            time.sleep(0.1)


def explained(ask: Any) -> list[dict[str, Any]]:
    """The plans of the queries that `ask` makes, with the rows that each step really gave."""
    asked: list[tuple[str, Any]] = []

    def note(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        asked.append((sql, params))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(note):
        ask()
    plans = []
    with connection.cursor() as cursor:
        for sql, params in asked:
            cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}", params)
            plans.append(cursor.fetchone()[0][0]["Plan"])
    return plans


def walk(plan: dict[str, Any]) -> list[dict[str, Any]]:
    return [plan, *(node for child in plan.get("Plans", []) for node in walk(child))]
