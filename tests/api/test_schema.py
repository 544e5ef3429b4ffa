"""The OpenAPI document holds: generated requests never end in a 5xx, and every answer is as documented."""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance

from images.models import BaseImage, BuildHost
from tests import factories
from tests.cast import Cast
from workspaces.access import Actor
from workspaces.operations import tokens

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]
# For each operation.
EXAMPLES = {"few": 4, "many": pytest.param(24, marks=pytest.mark.long)}
# Whether a specifier is one, a name is taken or a page token is ours, no schema can tell.
BY_SHAPE_ALONE = positive_data_acceptance


@pytest.mark.parametrize("examples", EXAMPLES.values(), ids=EXAMPLES)
def test_every_answer_is_as_documented(
    examples: int, web: str, cast: Cast, base: BaseImage
) -> None:
    factories.make_image("churn", base=base)
    BuildHost.objects.create(name="able")
    BuildHost.objects.create(name="able", queue="sources")
    headers = {
        "rime-api-key": tokens.create_token(Actor(cast.admin), cast.workspace, "schema").secret
    }
    schema = schemathesis.openapi.from_url(f"{web}/api/openapi.json", timeout=120)
    tried, failures = 0, []
    for found in schema.get_all_operations():
        operation: Any = found.ok()  # type: ignore[union-attr]

        @settings(
            max_examples=examples,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def try_cases(case: Any) -> None:
            case.call_and_validate(headers=headers, excluded_checks=[BY_SHAPE_ALONE])

        try:
            try_cases()
        except BaseException as error:  # Each operation is tried, whatever the one before it did.
            failures.append(f"{operation.label}: {error!r} {getattr(error, 'exceptions', '')}")
        tried += 1
    assert not failures, "\n".join(failures)
    assert tried >= 20
