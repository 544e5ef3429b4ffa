"""django-allauth's authentication backend (`AUTHENTICATION_BACKENDS`), whose query is compiled once: each
page asks who its reader is.
"""

from __future__ import annotations

from allauth.account import auth_backends

from ri_platform.ready import Given, Ready
from workspaces.models import User

USER: Ready[User] = Ready(lambda: User.objects.filter(pk=Given("pk")))


class AuthenticationBackend(auth_backends.AuthenticationBackend):
    def get_user(self, user_id: int) -> User | None:
        """The account of a session, if it is active."""
        user = USER.first(pk=user_id)
        return user if user is not None and self.user_can_authenticate(user) else None
