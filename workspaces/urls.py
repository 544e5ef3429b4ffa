from django.urls import include, path
from django.views.generic import RedirectView

from workspaces.guard import public
from workspaces.views import members, organization, password_mail, programs, tokens, workspaces

WORKSPACE = "workspaces/<uuid:workspace_id>"
SETTINGS = f"{WORKSPACE}/settings"
ACCOUNT = "organization/members/<int:user_id>"

urlpatterns = [
    path("", public(RedirectView.as_view(pattern_name="workspaces")), name="home"),
    path("password/forgotten", password_mail.forgot_password, name="forgot_password"),
    path("", include("workspaces.sign_in.urls")),
    path("workspaces", workspaces.workspaces, name="workspaces"),
    path("workspaces/new", workspaces.create, name="create_workspace"),
    path(WORKSPACE, workspaces.summary, name="workspace"),
    path(f"{WORKSPACE}/remove", workspaces.remove, name="remove_workspace"),
    path(SETTINGS, workspaces.general, name="settings"),
    path(f"{SETTINGS}/members", members.pane, name="members"),
    path(f"{SETTINGS}/members/add", members.add, name="add_members"),
    path(f"{SETTINGS}/members/<int:user_id>", members.edit, name="edit_member"),
    path(f"{SETTINGS}/members/<int:user_id>/remove", members.remove, name="remove_member"),
    path(f"{SETTINGS}/tokens", tokens.pane, name="tokens"),
    path(f"{SETTINGS}/tokens/<uuid:token_id>/revoke", tokens.revoke, name="revoke_token"),
    path("programs", programs.programs, name="programs"),
    path("organization", organization.general, name="organization"),
    path("organization/members", organization.account_list, name="accounts"),
    path("organization/members/new", organization.create_account, name="create_account"),
    path(ACCOUNT, organization.change_role, name="change_role"),
    path(f"{ACCOUNT}/reset-password", organization.reset_password, name="reset_password"),
    path(f"{ACCOUNT}/mail", password_mail.password_mail, name="password_mail"),
    path(
        f"{ACCOUNT}/second-factors",
        organization.remove_second_factors,
        name="remove_second_factors",
    ),
    path(f"{ACCOUNT}/deactivate", organization.deactivate, name="deactivate_account"),
    path(f"{ACCOUNT}/reactivate", organization.reactivate, name="reactivate_account"),
    path("organization/tokens", organization.token_list, name="all_tokens"),
    path("organization/audit", organization.audit_log, name="audit_log"),
    path("organization/audit.csv", organization.export_audit_log, name="export_audit_log"),
]
