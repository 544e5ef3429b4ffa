from django.contrib.auth.views import LoginView, LogoutView
from django.urls import path
from django.views.generic import RedirectView

from workspaces import token_views, views
from workspaces.access import public
from workspaces.forms import SignInForm

urlpatterns = [
    path("", public(RedirectView.as_view(pattern_name="workspaces")), name="home"),
    path(
        "signin",
        public(
            LoginView.as_view(
                template_name="workspaces/signin.html",
                authentication_form=SignInForm,
                redirect_authenticated_user=True,
            )
        ),
        name="signin",
    ),
    path("signout", public(LogoutView.as_view()), name="signout"),
    path("workspaces", views.workspaces, name="workspaces"),
    path("workspaces/<uuid:workspace_id>", views.summary, name="workspace"),
    path("workspaces/<uuid:workspace_id>/settings", views.general, name="settings"),
    path("workspaces/<uuid:workspace_id>/settings/tokens", token_views.pane, name="tokens"),
    path(
        "workspaces/<uuid:workspace_id>/settings/tokens/<uuid:token_id>/revoke",
        token_views.revoke,
        name="revoke_token",
    ),
]
