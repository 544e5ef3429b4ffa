"""The console beside identity providers that really run, each in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ri_platform.local import services
from tests.browser.pages import new_page, serve  # noqa: F401
from tests.needs import require
from tests.single_sign_on import oidc_provider
from tests.web_process import web_process


@pytest.fixture(scope="session")
def web(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The console with single sign-on set, and the two providers that it leads to."""
    require("xmlsec1")
    folder: Path = tmp_path_factory.mktemp("providers")
    console, oidc, saml = (services.free_port() for _ in range(3))
    address = f"http://127.0.0.1:{console}"
    server, metadata = f"http://127.0.0.1:{oidc}/o", f"http://127.0.0.1:{saml}/metadata"
    providers = [
        start(oidc_provider.__name__, oidc, folder, f"{address}/signin/oidc/oidc/callback"),
        start(
            "tests.single_sign_on.saml_provider",
            saml,
            folder,
            f"{address}/signin/saml/saml/metadata",
        ),
    ]
    variables = {
        "RI_OIDC_SERVER_URL": server,
        "RI_OIDC_NAME": "Example",
        "RI_OIDC_CLIENT_ID": oidc_provider.CLIENT,
        "RI_OIDC_CLIENT_SECRET": oidc_provider.SECRET,
        "RI_SAML_IDP_ENTITY_ID": metadata,
        "RI_SAML_IDP_METADATA_URL": metadata,
        "RI_SAML_NAME": "Campus",
        "RI_SSO_ROLE_CLAIM": "groups",
        "RI_SSO_ROLES": json.dumps({"ml-admins": "org_admin"}),
    }
    try:
        assert services.wait_until_answers(f"{server}/.well-known/openid-configuration")
        assert services.wait_until_answers(metadata)
        with web_process(console, **variables) as running:
            yield running
    finally:
        for process in providers:
            process.terminate()
            process.wait()


def start(module: str, port: int, folder: Path, console: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", module, str(port), str(folder), console])
