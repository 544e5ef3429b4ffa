"""A SAML 2.0 identity provider of its own: pysaml2, in a process of its own, signing with xmlsec1.

    python -m tests.single_sign_on.saml_provider PORT FOLDER SERVICE_METADATA_URL

Whoever names themselves at its page is who they say; what it tells of each stands in `PEOPLE`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from functools import cache
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs
from wsgiref.simple_server import make_server

from saml2 import BINDING_HTTP_POST, BINDING_HTTP_REDIRECT
from saml2.config import IdPConfig
from saml2.metadata import entity_descriptor
from saml2.saml import NAMEID_FORMAT_PERSISTENT, NameID
from saml2.server import Server
from saml2.xmldsig import DIGEST_SHA256, SIG_RSA_SHA256

from tests.certificates import make_certificate

LOGIN = """<title>Provider</title>
<form method="post"><label>Name <input name="name"></label><button>Log in</button></form>"""
PEOPLE: dict[str, dict[str, list[str]]] = {
    "linus": {"username": ["linus"], "mail": ["linus@example.org"], "groups": ["ml-admins"]},
}


def configuration(address: str, folder: Path, service: str = "") -> IdPConfig:
    values: dict[str, Any] = {
        "entityid": f"{address}/metadata",
        "service": {
            "idp": {
                "endpoints": {
                    "single_sign_on_service": [(f"{address}/sso", BINDING_HTTP_REDIRECT)]
                },
                "policy": {
                    "default": {"name_form": "urn:oasis:names:tc:SAML:2.0:attrname-format:basic"}
                },
            }
        },
        "key_file": str(folder / "key.pem"),
        "cert_file": str(folder / "certificate.pem"),
    }
    if service:
        values["metadata"] = {"remote": [{"url": service}]}
    return IdPConfig().load(values)


def application(address: str, folder: Path, service: str) -> Callable[..., Iterable[bytes]]:
    @cache
    def server() -> Server:
        # Not at the start: the service that it is to know starts after it.
        return Server(config=configuration(address, folder, service))

    def page(environ: dict[str, Any]) -> str:
        asked = parse_qs(environ["QUERY_STRING"])
        if environ["PATH_INFO"] == "/metadata":
            return str(entity_descriptor(configuration(address, folder)))
        if environ["REQUEST_METHOD"] == "GET":
            return LOGIN
        body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])).decode()
        name = parse_qs(body)["name"][0]
        request = server().parse_authn_request(asked["SAMLRequest"][0], BINDING_HTTP_REDIRECT)
        told = server().response_args(request.message)
        answer = server().create_authn_response(
            PEOPLE[name],
            userid=name,
            name_id=NameID(format=NAMEID_FORMAT_PERSISTENT, text=f"{name}-1"),
            authn={"class_ref": "urn:oasis:names:tc:SAML:2.0:ac:classes:Password"},
            sign_assertion=True,
            sign_alg=SIG_RSA_SHA256,
            digest_alg=DIGEST_SHA256,
            **told,
        )
        binding = server().apply_binding(
            BINDING_HTTP_POST, str(answer), told["destination"], relay_state="", response=True
        )
        assert escape(told["destination"]) in binding["data"]
        return str(binding["data"])

    def answer(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        content = page(environ)
        kind = "text/xml" if environ["PATH_INFO"] == "/metadata" else "text/html"
        start("200 OK", [("Content-Type", kind)])
        return [content.encode()]

    return answer


if __name__ == "__main__":
    port, folder = int(sys.argv[1]), Path(sys.argv[2])
    make_certificate(folder, "provider")
    address = f"http://127.0.0.1:{port}"
    make_server("127.0.0.1", port, application(address, folder, sys.argv[3])).serve_forever()
