"""Repositories whose upkeep AWS refuses, on the image's page and on that of the registry."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from images.models import BaseImage, ManagedImage
from tests import factories
from tests.cast import Cast

WORDS = "AWS refused ecr:PutLifecyclePolicy (AccessDeniedException): no."
ACTION = "An operator must allow ecr:PutLifecyclePolicy"


@pytest.fixture
def refused(cast: Cast, base: BaseImage) -> ManagedImage:
    image = factories.make_image("kept", base=base, created_by=cast.member)
    factories.make_refused_repository("rime-managed-images/kept", image=image)
    return image


def page(client: Client, route: str, *arguments: object) -> str:
    answer = client.get(reverse(route, args=arguments))
    assert answer.status_code == 200
    return answer.content.decode()


@pytest.mark.slow
def test_the_owners_of_an_image_are_told_why_and_when_it_is_tried_again(
    cast: Cast, refused: ManagedImage
) -> None:
    for user in (cast.member, cast.admin):
        text = page(cast.client(user), "image", cast.workspace.pk, "kept")
        assert WORDS in text
        assert ACTION in text
        assert "It has failed since" in text
        assert "Tried 2 times" in text
    # It keeps nobody else from anything.
    assert WORDS not in page(cast.client(cast.viewer), "image", cast.workspace.pk, "kept")


def test_the_page_of_the_registry_lists_them_with_the_reason(
    cast: Cast, refused: ManagedImage, base: BaseImage
) -> None:
    client = cast.client(cast.admin)
    factories.make_refused_repository(base.repository)
    removed = factories.make_image("removed", base=base)
    ManagedImage.objects.filter(pk=removed.pk).update(
        removed_at=timezone.now(), deletion_due_at=timezone.now()
    )
    factories.make_refused_repository("rime-managed-images/removed", image=removed)
    text = page(client, "registry_status")
    assert "in 3 repositories" in text
    assert text.count(WORDS) == 3
    assert text.count(ACTION) == 3
    assert f'href="{reverse("image_by_name", args=["kept"])}"' in text
    # Nobody sees the page of what is removed.
    assert reverse("image_by_name", args=["removed"]) not in text
    assert "To be deleted" in text


def test_where_nothing_is_refused_nothing_is_said(cast: Cast, base: BaseImage) -> None:
    assert "cannot be kept" not in page(cast.client(cast.admin), "registry_status")


@pytest.mark.slow
def test_the_page_of_the_registry_costs_the_same_queries_with_many(
    cast: Cast, base: BaseImage, django_assert_max_num_queries: object
) -> None:
    for image in factories.make_images([f"image-{number}" for number in range(30)], base=base):
        factories.make_refused_repository(f"rime-managed-images/{image.name}", image=image)
    with django_assert_max_num_queries(22):  # type: ignore[operator]
        page(cast.client(cast.admin), "registry_status")
