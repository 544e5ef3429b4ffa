"""Every route of the operators' admin, derived from the resolver: who enters, and that nothing is edited."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib import admin
from django.db import transaction
from django.urls import URLPattern, URLResolver, get_resolver

from images.models import BaseImage
from tests import factories
from tests.cast import Cast, operator_of
from workspaces.models import AuditEvent, User

pytestmark = pytest.mark.slow

ROOT = "/django-admin/"


def routes(patterns: list[Any], prefix: str = ROOT) -> Iterator[tuple[str, URLPattern]]:
    """(address with parameters as they are written, route) of all there are."""
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            yield from routes(pattern.url_patterns, prefix + str(pattern.pattern))
        else:
            yield prefix + str(pattern.pattern), pattern


ADMIN = next(
    item
    for item in get_resolver().url_patterns
    if isinstance(item, URLResolver) and item.namespace == "admin"
)


def address_of(path: str, image: Any) -> str:
    """The route with something in each of its parameters; of images, with one that is there."""
    path = re.sub(r"\^\(\?P<app_label>(\w+).*", r"\1/", path).replace("(?P<url>.*)$", "nowhere")
    path = re.sub(r"<path:content_type_id>", "1", path)
    return re.sub(r"<path:object_id>", str(image.pk), path)


@pytest.mark.parametrize("path", [path for path, _ in routes(ADMIN.url_patterns)])
def test_operators_enter_and_nobody_else(path: str, cast: Cast, base: BaseImage) -> None:
    address = address_of(path, factories.make_image("present", base=base))
    assert not set(address) & set("<>^$")
    # Neither administering the organization nor Django's own flags are enough.
    User.objects.filter(pk=cast.member.pk).update(is_superuser=True, is_staff=True)
    User.objects.filter(pk=cast.support.pk).update(is_staff=True)
    User.objects.filter(pk=cast.stranger.pk).update(is_active=False, is_superuser=True)
    everybody = [None, cast.admin, cast.support, cast.manager, cast.member, cast.viewer]
    for person in [*everybody, cast.stranger]:
        client = cast.client(person)
        for answer in (client.get(address), client.post(address)):
            assert answer.status_code == 302, (address, person)
            # To signing in, or away from it for who has done so.
            assert answer["Location"].startswith((ROOT, "/signin", "/workspaces")), address
    operator = operator_of(cast)
    for method in ("GET", "POST"):
        with transaction.atomic():
            told = operator.generic(method, address)
            transaction.set_rollback(True)
        assert told.status_code in (200, 302, 400, 403, 404, 405), address
        assert told.status_code != 302 or not told["Location"].startswith(f"{ROOT}login")


@pytest.mark.parametrize("model", sorted(admin.site._registry, key=str), ids=str)
def test_nothing_is_added_changed_or_deleted_there(model: Any, cast: Cast, base: BaseImage) -> None:
    operator = operator_of(cast)
    page = f"{ROOT}{model._meta.app_label}/{model._meta.model_name}/"
    factories.make_image("present", base=base, created_by=cast.member)
    row = model.objects.first()
    before = model.objects.count()
    refused = [] if model is BaseImage else [f"{page}add/"]
    if row is not None:
        refused += [f"{page}{row.pk}/change/", f"{page}{row.pk}/delete/"]
    for address in refused:
        assert operator.post(address, {"name": "x", "_save": "Save"}).status_code == 403, address
    chosen = {"action": "delete_selected", "_selected_action": [getattr(row, "pk", 1)]}
    operator.post(page, chosen)
    assert model.objects.count() == before
    if row is not None and model is not AuditEvent:
        assert operator.get(f"{page}{row.pk}/history/").status_code == 200


def test_passwords_and_sessions_have_their_own_pages(cast: Cast) -> None:
    operator = operator_of(cast)
    assert operator.post(f"{ROOT}password_change/")["Location"] == "/account/password"
    assert operator.post(f"{ROOT}logout/")["Location"] == "/signout"
