"""Shell completion: the script that a shell loads, and the names of images."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from ri_platform_sdk import calls
from ri_platform_sdk.cli.session import Command, Session, pass_session, session_of
from ri_platform_sdk.errors import RIPlatformError
from ri_platform_sdk.transport import Transport

PROGRAM, VARIABLE = "ri-images", "_RI_IMAGES_COMPLETE"
# Whoever presses the Tab key waits for it; more names than this nobody reads.
SECONDS, NAMES = 2.0, 200


@click.command(cls=Command, no="")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
@pass_session
def completion(session: Session, context: click.Context, shell: str) -> None:
    """Print the completion script of a shell.

    \b
    bash: ri-images completion bash > ~/.local/share/bash-completion/completions/ri-images
    zsh:  ri-images completion zsh > "${fpath[1]}/_ri-images"
    fish: ri-images completion fish > ~/.config/fish/completions/ri-images.fish

    For the running bash alone: eval "$(ri-images completion bash)"
    """
    found = get_completion_class(shell)
    assert found is not None
    script = found(context.find_root().command, {}, PROGRAM, VARIABLE).source()
    session.answer({"shell": shell, "script": script}, lambda: click.echo(script))


def complete_images(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[str]:
    """Names of images that begin like this; none where the instance is slow or cannot be asked."""
    try:
        where = session_of(context).context
        transport = Transport(where.domain, where.token, SECONDS, attempts=1)
        page = transport.send(calls.page((), "", NAMES, search=incomplete))
        transport.close()
    except RIPlatformError:
        return []
    return [image.name for image in page.items if image.name.startswith(incomplete)]
