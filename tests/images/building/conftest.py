"""Tests of the build engine, which knows no row: none of them may ask for the database."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def without_database(request: pytest.FixtureRequest) -> None:
    """Fail a test that asks for the database; tests of builds with rows stand in tests/images/jobs."""
    asked = {"db", "transactional_db", "django_db_setup"} & set(request.fixturenames)
    if asked or request.node.get_closest_marker("django_db"):
        pytest.fail(
            "A test of the build engine asks for the database; it belongs to tests/images/jobs."
        )
