"""Commands that sign in to an instance and out of it, and list the known instances."""

from __future__ import annotations

import os
import sys

import click

from ri_platform_sdk import calls
from ri_platform_sdk.cli import output
from ri_platform_sdk.cli.contexts import Context, origin_of, sends_in_clear
from ri_platform_sdk.cli.session import Command, Session, complete_contexts, pass_session
from ri_platform_sdk.client import Client
from ri_platform_sdk.errors import InvalidRequest
from ri_platform_sdk.models import Identity


@click.command(cls=Command, no="")
@click.argument("domain", required=False)
@click.option("--token-stdin", is_flag=True, help="Read the token from the standard input.")
@pass_session
def login(session: Session, domain: str | None, token_stdin: bool) -> None:
    """Sign in to an instance.

    DOMAIN is its address, such as https://images.example.org. Asks for an API access token, which the
    console makes under Settings, API Access Tokens; it is not shown while it is typed. The instance is asked
    whether it accepts the token; then both are kept as a context, in a file that only you can read. The
    context is named after the instance, or as --context says.
    """
    asks = sys.stdin.isatty() and not token_stdin
    given = domain or session.domain
    if not given:
        if not asks:
            raise InvalidRequest("Name the instance: ri-images login DOMAIN --token-stdin.")
        given = click.prompt("Address of the console", err=True)
    origin = origin_of(given)
    if sends_in_clear(origin):
        output.note(f"Warning: {origin} is not encrypted; others on the way can read the token.")
    token = (
        click.prompt("API access token", hide_input=True, err=True)
        if asks
        else sys.stdin.readline()
    )
    token = token.strip()
    if not token:
        raise InvalidRequest("No token was given.")
    with Client(origin, token) as client:
        identity = client.get_identity()
    name = session.context_name or origin.partition("://")[2]
    session.contexts.put(Context(name, origin, token, identity.user_name))
    session.contexts.save()
    body = context_json(session, session.contexts.found[name])
    session.answer(body, lambda: say_signed_in(session, name, identity))


def say_signed_in(session: Session, name: str, identity: Identity) -> None:
    context = session.contexts.found[name]
    click.echo(f"Signed in to {context.domain} as {identity.user_name}; the context is {name}.")
    click.echo(
        f"The token {identity.token_name} expires {output.format_moment(identity.expires_at)}."
    )
    click.echo(f"It is kept in {session.contexts.path}.")
    for variable in ("RI_DOMAIN", "RI_API_TOKEN"):
        if os.environ.get(variable):
            output.note(f"Note: {variable} is set, and is used in place of the context's.")


@click.command(cls=Command, no="")
@click.option("--revoke", is_flag=True, help="End the token on the instance, too.")
@pass_session
def logout(session: Session, revoke: bool) -> None:
    """Forget the current context's token."""
    name = session.context_name or session.contexts.current
    if not name:
        raise InvalidRequest("There is no current context, so there is nothing to sign out of.")
    context = session.contexts.named(name)
    if revoke:
        with Client(context.domain, context.token) as client:
            client.send(calls.revoke_token(client.get_identity().token_id))
    session.contexts.remove(name)
    session.contexts.save()
    done = "The token was revoked and removed from this machine." if revoke else (
        "The token was removed from this machine. It is still valid until it expires or is revoked."
    )  # fmt: skip
    session.answer(
        {"name": name, "domain": context.domain, "revoked": revoke},
        lambda: click.echo(f"Signed out of {context.domain}. {done}"),
    )


@click.command(cls=Command, no="")
@pass_session
def whoami(session: Session) -> None:
    """Show whose token is used, and where."""
    body, identity = session.ask(calls.identity())
    session.answer(
        body,
        lambda: output.print_facts(
            [
                ("Instance", session.context.domain),
                ("Context", session.context.name or "none; the environment or an option names it"),
                ("User", identity.user_name),
                ("Role", identity.role),
                ("Workspace", identity.workspace_name),
                (
                    "Token",
                    f"{identity.token_name}, expires {output.format_moment(identity.expires_at)}",
                ),
            ]
        ),
    )


@click.group()
def context() -> None:
    """The instances you are signed in to."""


@context.command("list", cls=Command, no="")
@pass_session
def list_contexts(session: Session) -> None:
    """List contexts; the current one has a star."""
    contexts = session.contexts
    items = [item for _, item in sorted(contexts.found.items())]

    def show() -> None:
        if not items:
            output.note("There is no context yet. `ri-images login` makes one.")
            return
        output.print_table(
            ["", "Name", "Instance", "User"],
            [
                [
                    "*" if item.name == contexts.current else "",
                    item.name,
                    item.domain,
                    item.user_name,
                ]
                for item in items
            ],
        )

    session.answer({"contexts": [context_json(session, item) for item in items]}, show)


@context.command("use", cls=Command, no="")
@click.argument("name", shell_complete=complete_contexts)
@pass_session
def use_context(session: Session, name: str) -> None:
    """Make the context NAME the current one."""
    found = session.contexts.named(name)
    session.contexts.current = name
    session.contexts.save()
    session.answer(
        context_json(session, found),
        lambda: click.echo(f"The current context is {name}, for {found.domain}."),
    )


@context.command("remove", cls=Command, no="")
@click.argument("name", shell_complete=complete_contexts)
@pass_session
def remove_context(session: Session, name: str) -> None:
    """Forget the context NAME and its token, which stays valid on the instance."""
    body = context_json(session, session.contexts.remove(name))
    session.contexts.save()
    session.answer(body, lambda: click.echo(f"The context {name} was removed from this machine."))


def context_json(session: Session, item: Context) -> dict[str, object]:
    """A context without its token, in the REST API's manner."""
    return {
        "name": item.name,
        "domain": item.domain,
        "userName": item.user_name,
        "current": item.name == session.contexts.current,
    }
