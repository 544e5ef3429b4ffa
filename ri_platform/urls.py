"""Every address of the web process. The one module that knows all apps."""

from django.contrib import admin
from django.urls import include, path

from ri_platform.health import healthz
from workspaces.access import public

urlpatterns = [
    path("healthz", public(healthz), name="healthz"),
    path("django-admin/", admin.site.urls),
    path("", include("workspaces.urls")),
    path("", include("images.urls")),
]

handler404 = "ri_platform.middleware.page_not_found"
handler500 = "ri_platform.middleware.server_error"
