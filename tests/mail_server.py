"""A real SMTP server on this machine, which keeps what it is sent."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from ri_platform.local.services import free_port
from tests.certificates import make_certificate

USER, PASSWORD = "platform", "mail-Secret-42"


@dataclass
class Mailbox:
    """What came, and what the server answers to recipients instead of taking mail."""

    port: int = 0
    answer: str = ""
    mails: list[EmailMessage] = field(default_factory=list)

    async def handle_RCPT(  # noqa: N802 - the library's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.answer:
            return self.answer
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802 - the library's name
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        assert isinstance(envelope.content, bytes)
        self.mails.append(message_from_bytes(envelope.content, policy=policy.default))
        return "250 OK"


def authenticate(
    server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any
) -> AuthResult:
    known = isinstance(data, LoginPassword) and (data.login, data.password) == (
        USER.encode(),
        PASSWORD.encode(),
    )
    # A careless server, which repeats what it was sent.
    return AuthResult(
        success=known, handled=known, message=None if known else f"535 no such password: {PASSWORD}"
    )


@contextmanager
def mail_server(**options: Any) -> Iterator[Mailbox]:
    """A server on a port of its own; `options` are aiosmtpd's."""
    box = Mailbox(port=free_port())
    controller = Controller(box, hostname="127.0.0.1", port=box.port, **options)
    controller.start()
    try:
        yield box
    finally:
        controller.stop()


def tls_context(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """The server's side of TLS for localhost, and the file of the certificate to trust."""
    trusted, key = make_certificate(folder, "localhost")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(trusted, key)
    return context, trusted
