"""By REST as in the console: an alteration is proposed, looked at, and then built as it was shown."""

from __future__ import annotations

import pytest

from images.models import Alteration, BaseImage
from images.models.lease import WorkState
from tests import factories
from tests.api.ask import Ask
from tests.cast import Cast

pytestmark = pytest.mark.slow


def test_a_preview_builds_nothing_until_it_is_said_so(
    ask: Ask, cast: Cast, base: BaseImage
) -> None:
    image = factories.make_image("churn", base=base, created_by=cast.member)
    wanted = {"pipRequirements": [{"name": "numpy", "versionSpecifier": ">=2"}, {"name": "pandas"}]}
    answer = ask(cast.member, "POST", "/v1/images/churn:preview", wanted)
    assert answer.status_code == 200, answer.content
    proposed = answer.json()["alteration"]
    assert (proposed["state"], "changes" in proposed) == ("queued", False)
    assert [item["name"] for item in proposed["pipRequirements"]] == ["numpy", "pandas"]
    assert image.builds.count() == 1
    path = f"/v1/images/churn/alterations/{proposed['id']}"
    early = ask(cast.member, "POST", f"{path}:build")
    assert (early.status_code, early.json()["code"]) == (409, 6)
    Alteration.objects.update(
        state=WorkState.SUCCEEDED, lock=factories.lock_of(numpy="2.4.7", pandas="3.0.1")
    )
    changes = ask(cast.member, "GET", path).json()["alteration"]["changes"]
    assert changes == {
        "added": [{"name": "pandas", "before": "", "after": "3.0.1"}],
        "removed": [],
        "changed": [{"name": "numpy", "before": "2.4.6", "after": "2.4.7"}],
        "same": 0,
    }
    built = ask(cast.member, "POST", f"{path}:build").json()["image"]
    assert (built["status"], built["latestBuild"]["reason"]) == ("STATUS_REBUILDING", "alter")
    assert 'name = "pandas"' in image.builds.get(number=2).lock
    assert ask(cast.member, "GET", path).status_code == 404


def test_a_preview_that_could_not_be_resolved_says_why(
    ask: Ask, cast: Cast, base: BaseImage
) -> None:
    image = factories.make_image("churn", base=base, created_by=cast.member)
    proposed = factories.make_alteration(
        image,
        state=WorkState.FAILED,
        lock="",
        error_code="resolution_failed",
        error_message="There is no such library.",
        error_hint="Check the spelling.",
    )
    told = ask(cast.member, "GET", f"/v1/images/churn/alterations/{proposed.pk}").json()
    assert told["alteration"]["error"]["reason"] == "resolution_failed"
    assert "changes" not in told["alteration"]


def test_an_alteration_of_another_image_is_not_found(ask: Ask, cast: Cast, base: BaseImage) -> None:
    image = factories.make_image("churn", base=base, created_by=cast.admin)
    factories.make_image("other", base=base, created_by=cast.admin)
    proposed = factories.make_alteration(image)
    for number in (proposed.pk, 0, 2**70):
        path = f"/v1/images/other/alterations/{number}"
        assert ask(cast.admin, "GET", path).status_code == 404
    assert ask(cast.admin, "POST", "/v1/images/churn:preview", {}).status_code == 400
