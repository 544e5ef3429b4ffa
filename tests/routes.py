"""Every route of the console, derived from the resolver, with arguments that lead to something."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from allauth.mfa.models import Authenticator
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from django.utils import timezone

from images.models import AssignmentState, ManagedImage, MLModel
from images.queries import job_logs
from ri_platform.sdk_wheel import sdk_wheel
from tests import factories
from tests.cast import Cast
from workspaces.access import Action, Actor, allows
from workspaces.models import User
from workspaces.operations import tokens


def console_routes(patterns: list[URLPattern | URLResolver]) -> Iterator[URLPattern]:
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            # tests/test_admin_matrix.py has those of the admin, tests/api/test_matrix.py those of the API.
            if pattern.namespace not in ("admin", "api"):
                yield from console_routes(pattern.url_patterns)
        else:
            yield pattern


ROUTES = list(console_routes(get_resolver().url_patterns))


def address_of(route: URLPattern, cast: Cast, image: ManagedImage) -> str:
    """The route's address as an administrator opens it, with what stands behind its arguments made."""
    return reverse(str(route.name), kwargs=arguments_of(route, cast, cast.admin, image))


def arguments_of(
    route: URLPattern, cast: Cast, person: User | None, image: Any
) -> dict[str, object]:
    """What the URL names is there; tokens and passkeys are the person's own, where they may have any."""
    model = cache(lambda: factories.make_model(cast.workspace, image=image))
    makers: dict[str, Any] = {
        "workspace_id": lambda: cast.workspace.pk,
        "name": lambda: image.name,
        "user_id": lambda: cast.member.pk,
        "uidb64": lambda: "MQ",
        "token": lambda: "none",
        "token_id": lambda: token_of(cast, person),
        "alteration_id": lambda: factories.make_alteration(image).pk,
        "model_id": lambda: model().pk,
        "assignment_id": lambda: past_assignment_of(model()),
        "repository": lambda: factories.make_unknown_repository("left-over").name,
        "provider_id": lambda: "nowhere",
        "organization_slug": lambda: "nowhere",
        "file_name": lambda: sdk_wheel().name,
        "signed": lambda: job_logs.sign(image.builds.all()[0], cast.member),
        "pk": lambda: passkey_of(person or cast.member),
    }
    return {name: makers[name]() for name in route.pattern.converters}


def token_of(cast: Cast, person: User | None) -> object:
    has = (
        person
        if person and allows(Actor(person), Action.CREATE_TOKEN, cast.workspace)
        else cast.member
    )
    return tokens.create_token(Actor(has), cast.workspace, "present").token.pk


def past_assignment_of(model: MLModel) -> int:
    now = timezone.now()
    ran_on = {"external_reference": "example.org/model:1", "began_at": now, "ended_at": now}
    return int(model.assignments.create(state=AssignmentState.PAST, **ran_on).pk)


def passkey_of(person: User) -> int:
    data = {"name": "Laptop", "credential": {}}
    made = Authenticator.objects.create(user=person, type=Authenticator.Type.WEBAUTHN, data=data)
    return int(made.pk)
