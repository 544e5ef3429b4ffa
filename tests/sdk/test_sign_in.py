"""`ri-images login`, contexts, and which token goes to which instance."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from ri_platform_sdk import InvalidRequest
from ri_platform_sdk.cli.contexts import Context, Contexts, contexts_path, origin_of, sends_in_clear
from ri_platform_sdk.cli.session import Session

from images.models import BaseImage
from tests import factories
from tests.cast import Cast
from tests.sdk.prompt import Instance, Prompt
from workspaces.models import ApiToken

SDK = Path(__file__).resolve().parents[2] / "sdk"
LATE = pytest.mark.django_db(transaction=True)


def kept(prompt: Prompt) -> Path:
    return Path(str(prompt.environment["XDG_CONFIG_HOME"])) / "ri-images/contexts.json"


@LATE
def test_login_keeps_a_token_that_the_instance_accepts_for_its_owner_alone(
    nobodys_prompt: Prompt, instance: Instance, cast: Cast, base: BaseImage
) -> None:
    run, secret = nobodys_prompt, instance.token_for(cast.member)
    factories.make_image("churn", base=base)
    signed_in = run("login", instance.domain, "--token-stdin", stdin=f"{secret}\n")
    assert signed_in.exit_code == 0, signed_in.output
    assert "as member" in signed_in.stdout
    assert secret not in signed_in.output
    assert stat.S_IMODE(kept(run).stat().st_mode) == 0o600
    assert stat.S_IMODE(kept(run).parent.stat().st_mode) == 0o700
    assert run.json("list")["images"][0]["name"] == "churn"
    assert "member" in run("whoami").stdout
    assert secret not in run("context", "list", "--json").output


@LATE
def test_a_wrong_token_is_refused_and_nothing_is_kept(
    nobodys_prompt: Prompt, instance: Instance
) -> None:
    refused = nobodys_prompt("login", instance.domain, "--token-stdin", stdin="ri_wrong\n")
    assert refused.exit_code == 2
    assert not kept(nobodys_prompt).exists()
    empty = nobodys_prompt("login", instance.domain, "--token-stdin", stdin="")
    assert (empty.exit_code, "No token" in empty.stderr) == (2, True)


@LATE
def test_contexts_are_listed_chosen_and_removed(
    nobodys_prompt: Prompt, instance: Instance, cast: Cast
) -> None:
    run = nobodys_prompt
    for name, user in (("mine", cast.member), ("theirs", cast.admin)):
        token = instance.token_for(user)
        run("login", instance.domain, "--context", name, "--token-stdin", stdin=token)
    assert run.json("whoami")["userName"] == "admin"
    assert run.json("whoami", "--context", "mine")["userName"] == "member"
    assert json.loads(run("--context", "mine", "whoami", "--json").stdout)["userName"] == "member"
    assert run.json("context", "use", "mine")["current"] is True
    assert run.json("whoami")["userName"] == "member"
    assert [item["name"] for item in run.json("context", "list")["contexts"]] == ["mine", "theirs"]
    unknown = run("context", "use", "nowhere")
    assert (unknown.exit_code, "There are: mine, theirs." in unknown.stderr) == (2, True)
    assert run("context", "remove", "theirs").exit_code == 0
    assert [item["name"] for item in run.json("context", "list")["contexts"]] == ["mine"]


@LATE
def test_the_environment_wins_over_the_current_context_and_a_named_context_over_both(
    nobodys_prompt: Prompt, instance: Instance, cast: Cast
) -> None:
    run = nobodys_prompt
    token = instance.token_for(cast.member)
    run("login", instance.domain, "--context", "mine", "--token-stdin", stdin=token)
    known = {"RI_DOMAIN": instance.domain, "RI_API_TOKEN": instance.token_for(cast.admin)}
    assert json.loads(run("whoami", "--json", **known).stdout)["userName"] == "admin"
    # The current context's instance, with another token.
    alone = {"RI_API_TOKEN": known["RI_API_TOKEN"]}
    assert json.loads(run("whoami", "--json", **alone).stdout)["userName"] == "admin"
    named = run("whoami", "--json", "--context", "mine", **known)
    assert json.loads(named.stdout)["userName"] == "member"


def test_a_contexts_token_goes_to_its_own_instance_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    contexts = Contexts(contexts_path(os.environ))
    contexts.put(Context("good", "https://good.example", "ri_secret"))
    contexts.save()
    with pytest.raises(InvalidRequest, match=r"no token for https://evil\.example"):
        _ = Session(domain="https://evil.example").context
    with pytest.raises(InvalidRequest, match=r"no token for http://good\.example"):
        _ = Session(domain="http://good.example").context
    assert Session(domain="good.example/workspaces").context.token == "ri_secret"
    assert "ri_secret" not in repr(Session().context)


@LATE
def test_logout_forgets_the_token_and_ends_it_if_asked(
    nobodys_prompt: Prompt, instance: Instance, cast: Cast
) -> None:
    run = nobodys_prompt
    secret = instance.token_for(cast.member)
    run("login", instance.domain, "--token-stdin", stdin=secret)
    assert "still valid" in run("logout").stdout
    assert run("whoami").exit_code == 2
    assert secret not in kept(run).read_text()
    run("login", instance.domain, "--token-stdin", stdin=secret)
    assert run.json("logout", "--revoke")["revoked"] is True
    assert not ApiToken.objects.exists()
    assert run("logout").exit_code == 2


def test_a_damaged_file_and_one_open_to_others_are_told(nobodys_prompt: Prompt) -> None:
    path = kept(nobodys_prompt)
    path.parent.mkdir(parents=True)
    path.write_text('{"contexts": 3}')
    damaged = nobodys_prompt("context", "list")
    assert (damaged.exit_code, "sign in again" in damaged.stderr) == (2, True)
    contexts = Contexts(path)
    contexts.put(Context("x", "https://x.example", "ri_x"))
    contexts.save()
    path.chmod(0o644)
    assert f"chmod 600 {path}" in nobodys_prompt("context", "list").stderr
    # Whatever changes it closes it again.
    nobodys_prompt("context", "use", "x")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("pasted", "origin"),
    [
        ("images.example.org", "https://images.example.org"),
        (" https://images.example.org/workspaces/1?x=2#y ", "https://images.example.org"),
        ("http://127.0.0.1:8000/", "http://127.0.0.1:8000"),
        ("https://[::1]:8443", "https://[::1]:8443"),
        ("https://user:secret@images.example.org", "https://images.example.org"),
    ],
)
def test_an_address_is_taken_as_people_paste_it(pasted: str, origin: str) -> None:
    assert origin_of(pasted) == origin


@pytest.mark.parametrize("text", ["", "ftp://x.example", "https://", "http://x:99999", "http://[x"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest, match="is not an address"):
        origin_of(text)


def test_a_token_over_plain_http_is_warned_of(nobodys_prompt: Prompt) -> None:
    assert sends_in_clear("http://images.example")
    assert not sends_in_clear("https://images.example")
    assert not sends_in_clear("http://127.0.0.1:8000")
    warned = nobodys_prompt("login", "http://images.invalid", "--token-stdin", stdin="")
    assert "is not encrypted" in warned.stderr


@LATE
def test_on_a_terminal_the_token_is_asked_for_and_never_shown(
    nobodys_prompt: Prompt, instance: Instance, cast: Cast
) -> None:
    secret = instance.token_for(cast.member)
    environment = {key: value for key, value in nobodys_prompt.environment.items() if value}
    terminal, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "ri_platform_sdk.cli", "login"],
        stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(SDK), "TERM": "xterm", **environment},
    )  # fmt: skip
    os.close(theirs)
    shown = answer(terminal, "Address of the console: ", instance.domain)
    shown += answer(terminal, "API access token: ", secret)
    shown += until(terminal, "contexts.json")
    assert process.wait(timeout=60) == 0
    os.close(terminal)
    assert secret not in shown
    assert re.search(r"The token sdk expires in \d+ days\.", shown)


def answer(terminal: int, question: str, text: str) -> str:
    shown = until(terminal, question)
    os.write(terminal, f"{text}\n".encode())
    return shown


def until(terminal: int, words: str) -> str:
    """What the terminal shows up to these words."""
    shown = ""
    while words not in shown:
        ready, _, _ = select.select([terminal], [], [], 60)
        assert ready, shown
        try:
            shown += os.read(terminal, 4096).decode()
        except OSError:  # the other side has ended
            break
    assert words in shown, shown
    return shown
