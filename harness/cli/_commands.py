"""The program and how it finds its commands: files of this package, imported when called."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

import click

from harness import __version__
from harness.catalogue import unknown_name
from harness.cli._pages import entries
from harness.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.cli._policy import Session


class Program(click.Group):
    """The ``oversell`` command, whose subcommands are the public modules of this package."""

    def run(self, argv: Sequence[str] | None, session: Session) -> int:
        """Parse, call the command and return its exit code. Every error escapes to the caller.

        This replaces click's own ``main``, which would turn a broken pipe into exit code 1: "violated".
        """
        words = list(sys.argv[1:] if argv is None else argv)
        with self.make_context("oversell", words, obj=session) as context:
            return int(self.invoke(context) or 0)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's signature
        """Name every command, without importing one."""
        return [_command(module) for module in entries("cli")]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command:
        """Import and return one command.

        :raises UsageError: when there is none of that name.
        """
        names = self.list_commands(ctx)
        if cmd_name not in names:
            raise unknown_name("command", cmd_name, names)
        command: click.Command = importlib.import_module(f"harness.cli.{cmd_name.replace('-', '_')}").COMMAND
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  # click's signature
        """List the commands with the first line of their module's docstring."""
        with formatter.section("Commands"):
            formatter.write_dl([(_command(module), line) for module, line in entries("cli").items()])

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Refuse to do nothing: a gate that forgot its command must not pass."""
        if not args:
            raise UsageError(f"Name a command: {', '.join(self.list_commands(ctx))}. More: oversell --help")
        return super().parse_args(ctx, args)


def _command(module: str) -> str:
    return module.replace("_", "-")


def _show_version(context: click.Context, _option: click.Parameter, wanted: Any) -> None:
    if wanted:
        click.echo(f"oversell {__version__}")
        context.exit()


PROGRAM = Program(
    name="oversell",
    help="Can it sell more than it has? Point it at RSVP, ticket, seat or stock code on Postgres.",
    epilog="Exit codes: 0 safe, 1 violated, 2 usage, 3 inconclusive, 4 internal error.",
    params=[
        click.Option(
            ["--version"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_show_version,
            help="Show the version and exit.",
        )
    ],
    context_settings={"help_option_names": ["-h", "--help"]},
)
