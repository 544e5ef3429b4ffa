"""Organization settings tell whether both AWS identities work, as their workers have seen it."""

from __future__ import annotations

from typing import Any

import pytest
from django.urls import reverse

from images.jobs import aws_contact
from images.models import AwsContact, BaseImage, BuildHost
from tests.cast import Cast
from tests.local_aws import LocalAWS


def page(cast: Cast) -> str:
    return cast.client(cast.admin).get(reverse("registry_status")).content.decode()


@pytest.mark.slow
def test_each_identity_is_tried_and_shown(
    cast: Cast, base: BaseImage, registry: LocalAWS, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert page(cast).count("Its workers have not reported yet") == 2
    with registry.identity("registry-server"):
        aws_contact.check("registry")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAUNKNOWN")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    aws_contact.check("builds")
    states = dict(AwsContact.objects.values_list("identity", "succeeded_at"))
    assert states["registry"] is not None
    assert states["builds"] is None
    BuildHost.objects.create(name="builder-1", os_packages_problem="buildah is not installed.")
    shown = page(cast)
    assert "Working" in shown
    assert "Failing" in shown
    assert "AWS refused ecr:GetAuthorizationToken" in shown
    assert "buildah is not installed." in shown
    assert "rime-managed-images/" in shown


def test_what_is_turned_off_is_said_and_not_tried(cast: Cast, settings: Any) -> None:
    settings.IMAGE_REGISTRY_ENABLED = False
    aws_contact.check("registry")
    assert not AwsContact.objects.exists()
    assert "Turned off, by" in page(cast)
