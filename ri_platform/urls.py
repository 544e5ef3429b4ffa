"""All routes of the web process. Only this module imports from every app."""

from django.conf import settings
from django.contrib import admin
from django.urls import include, path

from images.api import (
    alterations,
    builds,
    compatibility,
    contents,
    default_images,
    downloads,
    firewalls,
    images,
    import_checks,
    instance,
    jobs,
    missing_modules,
    ml_models,
    registry_contents,
    registry_status,
    removal,
    requirement_files,
    webhooks,
)
from ri_platform.api import install_error_handlers
from ri_platform.csp_report import csp_report
from ri_platform.health import healthz, readyz
from ri_platform.metrics import metrics
from ri_platform.openapi import Api
from ri_platform.sdk_wheel import serve_sdk
from workspaces.access import ANY_ACCOUNT, TABLE
from workspaces.api import accounts, members, organization, password_mail, roles, tokens
from workspaces.api import workspaces as workspaces_api
from workspaces.api.token_auth import ApiKey, Bearer
from workspaces.guard import public

api = Api(
    title="RI Platform: Managed Image Registry",
    version=settings.VERSION,
    description="Container images with each model's dependencies. Every request carries an API access "
    "token, in the header `rime-api-key` or as `Authorization: Bearer`. Requests and answers are JSON in "
    "camelCase, times are RFC 3339, and all errors have one shape (`Error`).",
    servers=[{"url": "/", "description": "This instance."}],
    refuses=lambda view: TABLE[view.needs].instance != ANY_ACCOUNT,
    openapi_url="/api/openapi.json",
    docs_url="/api/docs",
    docs_decorator=public,
    auth=[ApiKey(), Bearer()],
    urls_namespace="api",
)
install_error_handlers(api)
# Verbs of images come before `/images/{name}`, which also matches them.
api.add_router("/v1", alterations.routes)
api.add_router("/v1", removal.routes)
api.add_router("/v1", import_checks.routes)
api.add_router("/v1", images.routes)
api.add_router("/v1", builds.routes)
api.add_router("/v1", contents.routes)
api.add_router("/v1", downloads.routes)
api.add_router("/v1", registry_status.routes)
api.add_router("/v1", registry_contents.routes)
api.add_router("/v1", requirement_files.routes)
api.add_router("/v1", ml_models.routes)
api.add_router("/v1", missing_modules.routes)
api.add_router("/v1", default_images.routes)
api.add_router("/v1", webhooks.routes)
api.add_router("/v1", workspaces_api.routes)
api.add_router("/v1", tokens.routes)
api.add_router("/v1", members.routes)
# `/users/roles` comes before `/users/{user_id}`, which also matches it.
api.add_router("/v1", roles.routes)
api.add_router("/v1", password_mail.routes)
api.add_router("/v1", accounts.routes)
api.add_router("/v1", organization.routes)
api.add_router("/v1", instance.routes)
api.add_router("/v1", firewalls.routes)
api.add_router("/v1", jobs.routes)
api.add_router("/v1-beta", jobs.beta_routes)
api.add_router("/internal", jobs.internal_routes)
api.add_router("/v1", compatibility.routes)

urlpatterns = [
    path("healthz", public(healthz), name="healthz"),
    path("readyz", public(readyz), name="readyz"),
    path("metrics", public(metrics), name="metrics"),
    path("csp-report", public(csp_report), name="csp_report"),
    path("sdk/<str:file_name>", public(serve_sdk), name="sdk_wheel"),
    path("django-admin/", admin.site.urls),
    path("", include("workspaces.urls")),
    path("", include("images.urls")),
    path("", api.urls),
]

handler403 = "ri_platform.middleware.permission_denied"
handler429 = "ri_platform.middleware.too_many_requests"
handler400 = "ri_platform.middleware.bad_request"
handler404 = "ri_platform.middleware.page_not_found"
handler500 = "ri_platform.middleware.server_error"
