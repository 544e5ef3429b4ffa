"""The session of a command: the instance, the token and the output format."""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import click

from ri_platform_sdk.calls import Call
from ri_platform_sdk.cli import output
from ri_platform_sdk.cli.contexts import Context, Contexts, contexts_path, origin_of
from ri_platform_sdk.client import Client
from ri_platform_sdk.errors import BuildFailed, InvalidRequest
from ri_platform_sdk.models import Image, Page

T = TypeVar("T")


@dataclass
class Session:
    """`domain` and `token` are what options or the environment say, `context_name` what `--context` says."""

    domain: str = ""
    token: str = ""
    context_name: str = ""
    as_json: bool = False

    @cached_property
    def contexts(self) -> Contexts:
        contexts = Contexts.load(contexts_path(os.environ))
        if contexts.found and contexts.is_open_to_others():
            output.note(
                f"Warning: others can read the tokens in {contexts.path}. Run: chmod 600 {contexts.path}"
            )
        return contexts

    @cached_property
    def context(self) -> Context:
        """The instance to ask: `--context`, else the environment's, else the current context.

        A context's token is sent to that context's instance and to no other. Raises `InvalidRequest` if it
        cannot be told which instance or token is meant.
        """
        if self.context_name:
            return self.contexts.named(self.context_name)
        domain = origin_of(self.domain) if self.domain else ""
        if domain and self.token:
            return Context("", domain, self.token)
        if domain:
            found = self.contexts.of_domain(domain)
            if found is None:
                raise InvalidRequest(
                    f"There is no token for {domain}. Sign in with `ri-images login {domain}`, "
                    "or set RI_API_TOKEN."
                )
            return found
        if not self.contexts.current:
            raise InvalidRequest(
                "You are not signed in. Run `ri-images login`, or set RI_DOMAIN and RI_API_TOKEN."
            )
        current = self.contexts.named(self.contexts.current)
        return dataclasses.replace(current, token=self.token) if self.token else current

    @cached_property
    def client(self) -> Client:
        return Client(self.context.domain, self.context.token)

    def close(self) -> None:
        # Where no client was made there is none to close.
        if "client" in self.__dict__:
            self.client.close()

    def ask(self, call: Call[T]) -> tuple[Any, T]:
        """The REST answer as it came, and what the SDK reads in it."""
        body = self.client.send(dataclasses.replace(call, read=lambda answer: answer))
        return body, call.read(body)

    def ask_all(
        self, key: str, call_of: Callable[[str], Call[Page[T]]]
    ) -> tuple[dict[str, Any], list[T]]:
        """All of a list as one page of the REST API, its items under `key`, and what the SDK reads in it."""
        bodies: list[Any] = []
        found: list[T] = []
        token = ""
        while True:
            body, page = self.ask(call_of(token))
            bodies += body[key]
            found += page.items
            if page.next_token == token:
                return {key: bodies, "nextPageToken": ""}, found
            token = page.next_token

    def answer(self, body: Any, in_words: Callable[[], None]) -> None:
        """Print the REST answer with `--json`, else what `in_words` prints."""
        if self.as_json:
            output.print_json(body)
        else:
            in_words()

    def wait(self, name: str) -> Image:
        """Wait for the image's build. Whoever interrupts that is told that the build goes on."""
        try:
            return self.client.wait_for_managed_image(name)
        except KeyboardInterrupt:
            output.note(f"\nThe build goes on; see it with: ri-images log -f {name}")
            sys.exit(130)
        except BuildFailed:
            output.note(f"See why with: ri-images log {name}")
            raise


def session_of(context: click.Context) -> Session:
    """The command's session; while a shell asks for completions, one of what stands on the line so far."""
    root = context.find_root()
    if root.obj is None:
        known = root.params
        root.obj = Session(known.get("domain") or "", known.get("token") or "")
    session: Session = root.obj
    return session


def set_context(context: click.Context, parameter: click.Parameter, value: str | None) -> None:
    if value:
        session_of(context).context_name = value


def set_json(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value:
        session_of(context).as_json = True


class Command(click.Command):
    """A command with the options that every command has, and its exit statuses at the end of its help.

    `no` says when the answer is no; it is empty for a command that has no such answer.
    """

    def __init__(self, *arguments: Any, no: str = "no image has this name", **options: Any) -> None:
        refused = f"1 if {no}, 2 after any other error" if no else "2 after an error"
        options["epilog"] = f"Exit status: 0 if done, {refused}."
        options["params"] = [
            *(options.get("params") or []),
            click.Option(["--json"], is_flag=True, expose_value=False, callback=set_json,
                         help="Print what the REST API answers."),
            click.Option(["--context"], metavar="NAME", expose_value=False, callback=set_context,
                         shell_complete=complete_contexts,
                         help="A context other than the current one."),
        ]  # fmt: skip
        super().__init__(*arguments, **options)


def complete_contexts(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[str]:
    names = Contexts.load(contexts_path(os.environ)).found
    return sorted(name for name in names if name.startswith(incomplete))


pass_session = click.make_pass_decorator(Session)
