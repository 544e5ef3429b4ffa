"""A link goes from a request to a mailbox by the processes that an instance has."""

from __future__ import annotations

import os
import subprocess

import httpx
import pytest
from django.conf import settings
from django.db import connection

from ri_platform import processes
from ri_platform.local import services
from tests.cast import Cast
from tests.mail_server import mail_server
from tests.web_process import web_process
from tests.workers import until
from workspaces.access import Actor
from workspaces.models import PasswordMail, User
from workspaces.operations import tokens

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]


def test_a_request_wakes_the_webhooks_worker_which_sends_the_mail(cast: Cast) -> None:
    User.objects.filter(pk=cast.member.pk).update(email="ada@example.org")
    secret = tokens.create_token(Actor(cast.admin), cast.workspace, "test").secret
    database = connection.settings_dict
    address = services.database_url(str(database["HOST"]), str(database["NAME"]))
    with mail_server() as box:
        variables = {
            "DATABASE_URL": address,
            "CELERY_BROKER_URL": address.replace("postgres", "pgmq", 1),
            "RI_SECRET_KEY": settings.SECRET_KEY,
            "EMAIL_URL": f"smtp://127.0.0.1:{box.port}",
            "RI_EMAIL_FROM": "platform@example.org",
        }
        environment = {**services.remove_aws_identity(dict(os.environ)), **variables}
        worker = subprocess.Popen(
            processes.worker("webhooks"), env=environment, stdin=subprocess.DEVNULL
        )
        try:
            with web_process(services.free_port(), **variables) as web:
                answer = httpx.post(
                    f"{web}/v1/users/{cast.member.pk}:mailPasswordLink",
                    headers={"rime-api-key": secret},
                )
                assert answer.json()["state"] == "waiting"
                # There is no scheduler: the message alone brings it.
                until(lambda: PasswordMail.objects.get().state == "sent", 30)
                link = box.mails[0].get_content().split("http://", 1)[1].split()[0]
                chosen = httpx.get(f"http://{link}", follow_redirects=True)
                assert "Choose a password" in chosen.text
        finally:
            worker.kill()
            worker.wait()
