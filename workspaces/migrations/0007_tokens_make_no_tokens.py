"""Tokens make no tokens any more, so those that tokens have made are revoked.

A token's row does not say what made it. The audit log does: a `token.created` event that bears the name of a
token came with that one. Rows are found by user, name and suffix; a workspace may have another name by now.
"""

from typing import Any

from django.db import migrations


def revoke_made_by_tokens(apps: Any, schema_editor: Any) -> None:
    token_rows = apps.get_model("workspaces", "ApiToken").objects.select_related("user", "workspace")
    events = apps.get_model("workspaces", "AuditEvent").objects
    made = events.filter(event="token.created").exclude(token_name="")
    for event in made.only("object_name", "username", "details"):
        for token in token_rows.filter(
            user__username=event.username,
            name=event.object_name,
            suffix=event.details.get("suffix", ""),
        ):
            token.delete()
            events.create(
                event="token.revoked",
                object_type="api_token",
                object_name=token.name,
                workspace_name=token.workspace.name,
                details={
                    "user": token.user.username,
                    "suffix": token.suffix,
                    "why": "A token had made it, and tokens make none any more.",
                },
            )


class Migration(migrations.Migration):
    dependencies = [("workspaces", "0006_people_themselves")]

    operations = [
        # Who comes back to an older version makes new tokens.
        migrations.RunPython(revoke_made_by_tokens, migrations.RunPython.noop),
    ]
