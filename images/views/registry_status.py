"""The page Organization settings → Image Registry: the state that the workers report."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from images.models import (
    AwsContact,
    BaseImage,
    BuildHost,
    ImageCount,
    Instance,
    RefusedRepository,
    UnknownRepository,
)
from images.models.contact import Identity
from images.queries.drifts import DriftNotice, last_refused, last_verifications, open_drifts
from images.references import effective_prefix
from workspaces.access import Action
from workspaces.guard import needs

DRIFTS_SHOWN = 100


@require_GET
@needs(Action.SEE_ORGANIZATION)
def registry_status(request: HttpRequest) -> HttpResponse:
    verifying, verified = last_verifications()
    contacts = {contact.identity: contact for contact in AwsContact.objects.all()}
    context = {
        "section": "organization",
        "pane": "registry",
        "enabled": settings.IMAGE_REGISTRY_ENABLED,
        "external_allowed": settings.ALLOW_EXTERNAL_CUSTOM_IMAGES,
        "prefix": effective_prefix(),
        "instance": Instance.objects.seen(),
        "region": settings.AWS_REGION,
        "identities": [(label, contacts.get(value)) for value, label in Identity.choices],
        "hosts": BuildHost.objects.alive().order_by("name", "queue"),
        "bases": BaseImage.objects.current().order_by("image_type", "python_version"),
        "verifying": verifying,
        "verified": verified,
        "drifts": [DriftNotice.of(drift) for drift in open_drifts()[:DRIFTS_SHOWN]],
        "unknown": UnknownRepository.objects.open()[:DRIFTS_SHOWN],
        "refused": last_refused(),
        "refused_count": RefusedRepository.objects.count(),
        "image_count": ImageCount.objects.of_existing_images().total(),
    }
    return render(request, "organization/registry.html", context)
