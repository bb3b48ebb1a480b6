"""``python -m harness.service``: the reference service as a process of its own.

The database URL comes from the environment, because arguments can be read by every user of a machine.
Once connections are accepted, one JSON line ``{"url": …}`` says where: on standard output, or in a file.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import UsageError
from harness.model.verdict import USAGE_EXIT_CODE
from harness.service.server import prepare, serve, stop_on_signals
from harness.service.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

DATABASE_VARIABLE = "OVERSELL_SERVICE_DATABASE"


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or Ctrl-C, and return the exit code."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(
        level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s"
    )
    try:
        asyncio.run(_serve(_database(), options))
    except UsageError as error:
        print(error, file=sys.stderr)
        return USAGE_EXIT_CODE
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m harness.service",
        description=f"Serve the reference RSVP service; {DATABASE_VARIABLE} holds the database URL.",
    )
    defaults = Settings()
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=0, help="0, the default, takes any free port")
    parser.add_argument("--ready-file", type=Path, help="write the ready line here, not to standard output")
    parser.add_argument("--migrate", action="store_true", help="apply sql/ first")
    parser.add_argument("--demo", action="store_true", help="make sure that there is a demo event")
    parser.add_argument(
        "--pool-size", type=int, default=defaults.pool_size, help="connections (default: %(default)s)"
    )
    parser.add_argument(
        "--pool-wait",
        type=float,
        default=defaults.pool_wait,
        help="seconds a request waits for one of them (default: %(default)s)",
    )
    return parser


def _database() -> str:
    database = os.environ.get(DATABASE_VARIABLE)
    if not database:
        raise UsageError(
            f"No database: set {DATABASE_VARIABLE} to a URL such as postgresql://user@host/name."
        )
    return database


async def _serve(database: str, options: argparse.Namespace) -> None:
    settings = _settings(options)
    with stop_on_signals() as stop:
        event = await prepare(database, migrations=options.migrate, demo=options.demo)
        await serve(
            database,
            ready=lambda url: _announce(url, event, options.ready_file),
            stop=stop,
            host=options.host,
            port=options.port,
            settings=settings,
        )


def _settings(options: argparse.Namespace) -> Settings:
    if options.pool_size < 1 or options.pool_wait <= 0:
        raise UsageError("--pool-size must be at least 1, and --pool-wait more than 0 seconds.")
    return Settings(pool_size=options.pool_size, pool_wait=options.pool_wait)


def _announce(url: str, event: int | None, file: Path | None) -> None:
    line = json.dumps({"url": url} | ({"page": f"{url}/rsvp?event={event}"} if event else {}))
    if file is None:
        print(line, flush=True)
        return
    # Whoever waits for the file must never see half of it.
    draft = file.with_name(file.name + ".tmp")
    draft.write_text(line + "\n")
    draft.replace(file)


if __name__ == "__main__":
    sys.exit(main())
