"""The command `ri-images` with its options, its subcommands, and the output of errors."""

from __future__ import annotations

import errno
from typing import Any

import click

from ri_platform_sdk import __version__
from ri_platform_sdk.cli import (
    builds,
    changes,
    comparing,
    files,
    images,
    imports,
    instance,
    models,
    output,
    registry,
    sign_in,
    snapshot,
)
from ri_platform_sdk.cli.completion import completion
from ri_platform_sdk.cli.session import Session, complete_contexts
from ri_platform_sdk.errors import BuildFailed, NotFound, RIPlatformError

INTERRUPTED = 130  # 128 and SIGINT's number, as shells have it


SECTIONS = {
    "Instances": (sign_in.login, sign_in.logout, sign_in.whoami, sign_in.context),
    "Images": (
        images.list_images, images.show, images.match, files.check, images.create, snapshot.snapshot,
        images.rm, images.restore,
    ),
    "Change an image": (
        changes.alter, changes.rebuild, changes.describe, changes.channel, changes.cancel,
        changes.rollback,
    ),
    "Look into an image": (
        builds.builds, builds.log, imports.imports, builds.lock, builds.sbom, builds.provenance,
        comparing.compare,
    ),
    "Models": (models.default, models.missing),
    "The instance": (instance.bases, instance.audit, registry.drifts, registry.repositories),
    "The shell": (completion,),
}  # fmt: skip


class Failure(click.ClickException):
    """An error as a sentence on the standard error."""

    exit_code = 2


class No(Failure):
    """The answer is no: there is no such image, or its build failed."""

    exit_code = 1


class Group(click.Group):
    """Tells errors as sentences. The exit status is 1 if the answer is no, 2 if there is none."""

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """The commands by subject, in the order in which somebody needs them."""
        for title, section in SECTIONS.items():
            with formatter.section(title):
                rows = [(str(item.name), item.get_short_help_str(60)) for item in section]
                formatter.write_dl(rows)

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except (NotFound, BuildFailed) as error:
            raise No(output.printable(str(error))) from error
        except RIPlatformError as error:
            raise Failure(output.printable(str(error))) from error
        except click.Abort:
            output.note("Nothing was changed.")
            context.exit(INTERRUPTED)
        except KeyboardInterrupt:
            output.note("Interrupted.")
            context.exit(INTERRUPTED)
        except (OSError, UnicodeError) as error:
            # A reader that went away is no error of ours; click ends quietly then.
            if isinstance(error, OSError) and error.errno == errno.EPIPE:
                raise
            raise Failure(f"A file cannot be read: {error}.") from error


@click.group(
    cls=Group,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit status: 0 if done, 1 if the answer is no, such as no image of this name or a build that "
    "fails, 2 after any other error, 130 if interrupted.",
)
@click.option(
    "--domain",
    envvar="RI_DOMAIN",
    metavar="ADDRESS",
    help="Address of the console, in place of the context's [RI_DOMAIN].",
)
@click.option(
    "--token",
    envvar="RI_API_TOKEN",
    help="API access token, in place of the context's [RI_API_TOKEN].",
)
@click.option(
    "--context",
    "name",
    metavar="NAME",
    shell_complete=complete_contexts,
    help="A context other than the current one.",
)
@click.version_option(__version__)
@click.pass_context
def main(context: click.Context, domain: str | None, token: str | None, name: str | None) -> None:
    """Container images with the libraries that your models need.

    `ri-images login` signs in to an instance. RI_DOMAIN and RI_API_TOKEN, where they are set, are used in
    place of the current context.
    """
    session = context.obj = Session(domain or "", (token or "").strip(), name or "")
    context.call_on_close(session.close)


for section in SECTIONS.values():
    for command in section:
        main.add_command(command)
