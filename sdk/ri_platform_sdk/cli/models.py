"""Commands about models: their workspace's default image, and a module that a run does not find."""

from __future__ import annotations

import click

from ri_platform_sdk import calls
from ri_platform_sdk.cli import output
from ri_platform_sdk.cli.completion import complete_images
from ri_platform_sdk.cli.session import Command, Session, pass_session
from ri_platform_sdk.errors import InvalidRequest
from ri_platform_sdk.ml_models import DefaultImage, MissingModule


@click.command(cls=Command, no="the workspace has no default image, or no image has this name")
@click.argument("name", required=False, shell_complete=complete_images)
@click.option("--build", type=click.IntRange(min=1), help="Always this build of the image.")
@click.option("--clear", is_flag=True, help="Have no default image.")
@pass_session
def default(session: Session, name: str | None, build: int | None, clear: bool) -> None:
    """Show or set the default image of the token's workspace.

    Models without an image of their own run on it. Setting it is for administrators of the workspace.
    """
    if (clear and name) or (build and not name):
        raise InvalidRequest("Name an image, with a build if you like, or --clear, not both.")
    workspace = session.client.get_identity().workspace_id
    if clear:
        session.ask(calls.clear_default_image(workspace))
        session.answer({}, lambda: output.note("The workspace has no default image any more."))
        return
    call = (
        calls.set_default_image(workspace, name, build) if name else calls.default_image(workspace)
    )
    body, found = session.ask(call)
    session.answer(body, lambda: show_default(found))


def show_default(found: DefaultImage) -> None:
    output.print_facts(
        [
            ("Image", found.image),
            ("Standing", found.standing),
            ("Set", output.format_moment(found.set_at)),
        ]
    )


@click.command(cls=Command, no="there is no such model")
@click.argument("model")
@click.argument("module")
@click.option("--propose", is_flag=True, help="Also resolve what adding the library would change.")
@pass_session
def missing(session: Session, model: str, module: str, propose: bool) -> None:
    """Tell which images have a module that a run could not import.

    MODEL is the model's id; MODULE a name such as sklearn, or the line that says No module named.
    """
    body, found = session.ask(calls.explain_missing_module(model, module, propose))
    session.answer(body, lambda: show_missing(found))


def show_missing(found: MissingModule) -> None:
    click.echo(found.hint)
    click.echo()
    output.print_facts(
        [
            ("Library", found.requirement or "-"),
            ("Images that have it", ", ".join(found.images) or "none"),
        ]
    )
    if alteration := found.alteration:
        name, library = alteration.image_name, found.requirement
        click.echo(f"\nSee what it changes: ri-images alter {name} --add '{library}' --preview")
