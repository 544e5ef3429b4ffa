"""A description is for people: it changes at once, and in the registry with the next build."""

from __future__ import annotations

import pytest
from django.urls import reverse

from images.models import BaseImage, ManagedImage, Status
from images.operations import builds
from images.operations.images import describe_image
from ri_platform.errors import NotAllowed
from tests import factories
from tests.cast import Cast
from workspaces.access import Actor
from workspaces.models import AuditEvent


@pytest.fixture
def image(cast: Cast, base: BaseImage) -> ManagedImage:
    return factories.make_image("churn", base=base, created_by=cast.member)


@pytest.mark.slow
def test_it_changes_without_a_build_and_the_next_build_has_it(
    cast: Cast, image: ManagedImage, base: BaseImage
) -> None:
    actor = Actor(cast.member)
    describe_image(actor, image, "It scores churn.")
    assert image.builds.count() == 1
    event = AuditEvent.objects.get(event="image.described")
    assert event.details == {"before": "", "after": "It scores churn."}
    second = builds.rebuild_image(actor, image)
    assert second.description == "It scores churn."
    builds.cancel_build(actor, image)
    image.builds.filter(number=2).delete()
    later = factories.make_build(image, base, Status.READY, number=2)
    ManagedImage.objects.filter(pk=image.pk).update(current_build=later)
    assert builds.roll_back_image(actor, image, 1).description == ""


def test_who_does_not_own_the_image_is_refused(cast: Cast, image: ManagedImage) -> None:
    with pytest.raises(NotAllowed):
        describe_image(Actor(cast.stranger), image, "Mine.")


@pytest.mark.slow
def test_the_pane_and_the_page_show_description_and_owner(cast: Cast, image: ManagedImage) -> None:
    names = {"workspace_id": cast.workspace.pk, "name": "churn"}
    client = cast.client(cast.member)
    address = reverse("describe_image", kwargs=names)
    assert client.post(address, {"description": "x" * 501}).status_code == 422
    assert client.post(address, {"description": "It <b>scores</b>."}).status_code == 302
    pane = client.get(reverse("images", args=[cast.workspace.pk])).content.decode()
    assert "It &lt;b&gt;scores&lt;/b&gt;." in pane
    assert f"Owner: {cast.member.username}" in pane
    page = client.get(reverse("image", kwargs=names)).content.decode()
    assert '<p class="description">It &lt;b&gt;scores&lt;/b&gt;.</p>' in page
    assert "Change description" in page
