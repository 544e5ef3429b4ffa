"""An OpenID Connect provider of its own: django-oauth-toolkit, in a process and a database of its own.

    python -m tests.single_sign_on.oidc_provider PORT FOLDER CALLBACK

Its people sign in with their own name as the password; what it says of each stands in `PEOPLE`.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any
from wsgiref.simple_server import make_server

PEOPLE: dict[str, dict[str, Any]] = {
    "grace": {"email": "grace@example.org", "groups": ["ml-admins", "everyone"]},
    "ada": {"email": "ada@example.org", "groups": ["everyone"]},
    "member": {"email": "member@example.org", "groups": []},
}
CLIENT = "ri-platform"
SECRET = "a secret between the two"
LOGIN = """<title>Provider</title>
<form method="post">{% csrf_token %}{{ form.as_p }}<button>Log in</button></form>"""
# What the provider's settings name by their paths; `serve` makes them once Django is set up.
Validator: Any = None
urlpatterns: list[Any] = []


def configure(folder: Path) -> None:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa
    from django.conf import settings

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    templates = {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "OPTIONS": {
            "loaders": [
                ("django.template.loaders.locmem.Loader", {"registration/login.html": LOGIN})
            ],
            "context_processors": ["django.template.context_processors.request"],
        },
    }
    settings.configure(
        SECRET_KEY="provider",
        ALLOWED_HOSTS=["*"],
        ROOT_URLCONF=__name__,
        INSTALLED_APPS=[
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "django.contrib.sessions",
            "oauth2_provider",
        ],
        MIDDLEWARE=[
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.middleware.csrf.CsrfViewMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
        ],
        TEMPLATES=[templates],
        DATABASES={
            "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": folder / "provider.sqlite"}
        },
        # Hosts are one to a browser whatever the port, and cookies with them.
        SESSION_COOKIE_NAME="provider",
        CSRF_COOKIE_NAME="provider_csrf",
        LOGIN_URL="/login",
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        OAUTH2_PROVIDER={
            "OIDC_ENABLED": True,
            "OIDC_RSA_PRIVATE_KEY": key.decode(),
            "PKCE_REQUIRED": True,
            "SCOPES": {"openid": "who", "profile": "name", "email": "address"},
            "OAUTH2_VALIDATOR_CLASS": f"{__name__}.Validator",
        },
    )


def fill(callback: str) -> None:
    from django.contrib.auth.models import User
    from django.core.management import call_command
    from oauth2_provider.models import Application

    call_command("migrate", verbosity=0)
    for name, told in PEOPLE.items():
        User.objects.create_user(name, told["email"], name)
    Application.objects.create(
        client_id=CLIENT,
        client_secret=SECRET,
        client_type="confidential",
        authorization_grant_type="authorization-code",
        redirect_uris=callback,
        skip_authorization=True,
        algorithm="RS256",
    )


def serve(port: int, folder: Path, callback: str) -> None:
    global Validator
    import django

    os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"
    configure(folder)
    django.setup()
    from django.contrib.auth.views import LoginView
    from django.core.wsgi import get_wsgi_application
    from django.urls import include, path
    from oauth2_provider.oauth2_validators import OAuth2Validator

    class PeoplesValidator(OAuth2Validator):  # type: ignore[misc]
        oidc_claim_scope = None

        def get_additional_claims(self, request: Any) -> dict[str, Any]:
            user = request.user
            return {
                "preferred_username": user.username,
                "email": user.email,
                "email_verified": True,
                "groups": PEOPLE[user.username]["groups"],
            }

    Validator = PeoplesValidator
    urlpatterns[:] = [
        path("login", LoginView.as_view()),
        path("o/", include("oauth2_provider.urls", namespace="oauth2_provider")),
    ]
    fill(callback)
    make_server("127.0.0.1", port, get_wsgi_application()).serve_forever()


if __name__ == "__main__":
    # Under its own name, so that the settings' dotted paths lead to this very module.
    from tests.single_sign_on import oidc_provider

    oidc_provider.serve(int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
