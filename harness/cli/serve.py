"""Serve the reference RSVP service, with a demo event to look at, until Ctrl-C.

It runs on a database of its own that is gone afterwards, on whichever Postgres --database chooses.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from harness.cli._loop import run_async
from harness.cli._options import settings
from harness.cli._policy import say

if TYPE_CHECKING:
    from collections.abc import Callable


@click.command("serve", help=__doc__)
@settings("database", "image", "disposable")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="0 takes any free port."
)
def serve(database: str, image: str | None, disposable: bool, host: str, port: int) -> int:
    """Bring everything up, print the page's address, and serve until interrupted."""
    try:
        run_async(_serve(database, image, disposable, host, port))
    except KeyboardInterrupt as interruption:
        # Ctrl-C is how this command is meant to end; trouble while stopping is not.
        if interruption.__cause__ is not None:
            raise
        say("stopped.")
    return 0


COMMAND = serve


async def _serve(choice: str, image: str | None, disposable: bool, host: str, port: int) -> None:
    from harness.postgres import provision
    from harness.service.server import prepare
    from harness.service.server import serve as serve_service

    async with provision(choice, image=image, disposable=disposable, notice=say) as server:
        say(f"database: {server.description}")
        async with server.empty("serve") as database:
            event = await prepare(database, migrations=True, demo=True)
            await serve_service(database, ready=_announcer(event), stop=asyncio.Event(), host=host, port=port)


def _announcer(event: int | None) -> Callable[[str], None]:
    def announce(url: str) -> None:
        click.echo(f"{url}/rsvp?event={event}")
        say("press Ctrl-C to stop.")

    return announce
