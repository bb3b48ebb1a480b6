"""``python -m harness.service``: the reference service as a process of its own.

The database URL comes from the environment, because arguments can be read by every user of a machine.
Once connections are accepted, one JSON line ``{"url": …}`` says where: on standard output, or in a file.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import logging
import math
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvloop

from harness.errors import UsageError
from harness.model.verdict import USAGE_EXIT_CODE
from harness.service.server import prepare, serve, stop_on_signals
from harness.service.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

DATABASE_VARIABLE = "OVERSELL_SERVICE_DATABASE"

_GARBAGE = 10_000
"""Objects that may be made and not freed before garbage is looked for; some dozens of requests make them."""


@dataclass(frozen=True, slots=True)
class Number:
    """A setting that can be given as an option, or in the environment."""

    name: str
    """As in :class:`Settings`."""
    text: str
    least: float = 0
    most: float = 1e9
    kind: type[int] | type[float] = float

    @property
    def option(self) -> str:
        """Return how it is written as an option."""
        return f"--{self.name.replace('_', '-')}"

    @property
    def variable(self) -> str:
        """Return how it is called in the environment."""
        return f"OVERSELL_SERVICE_{self.name.upper()}"

    @property
    def default(self) -> float:
        """Return what it is when nobody says otherwise."""
        value: float = getattr(Settings(), self.name)
        return value

    def read(self, option: str | None) -> float:
        """Return what the option says, or else the environment, or else the default.

        :raises UsageError: when that is no number, or too small.
        """
        where, text = self.option, option
        if text is None:
            where, text = self.variable, os.environ.get(self.variable)
        if not text:
            return self.default
        try:
            value = self.kind(text)
        except ValueError:
            value = math.nan
        if not self.least <= value <= self.most:
            whole = "a whole number" if self.kind is int else "a number"
            raise UsageError(f"{where} must be {whole} from {self.least:g} to {self.most:g}, not {text!r}.")
        return value


NUMBERS = (
    Number("pool_size", "connections to Postgres", least=1, kind=int),
    Number("pool_wait", "seconds a request waits for one of them", least=0.001),
    Number("hold_seconds", "seconds that a hold lasts", least=1, most=86400, kind=int),
    Number("sweep_every", "seconds between two looks for expired holds; 0: never look"),
    Number("live_sockets", "the most WebSockets at one time", kind=int),
    Number("listen_check", "seconds between two looks whether changes are still heard; 0: never look"),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or Ctrl-C, and return the exit code."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(
        level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s"
    )
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(_database(), options))
    except UsageError as error:
        print(error, file=sys.stderr)
        return USAGE_EXIT_CODE
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m harness.service",
        description=f"Serve the reference RSVP service; {DATABASE_VARIABLE} holds the database URL.",
        epilog="Numbers can be set in the environment too: --pool-size is OVERSELL_SERVICE_POOL_SIZE.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=0, help="0, the default, takes any free port")
    parser.add_argument("--ready-file", type=Path, help="write the ready line here, not to standard output")
    parser.add_argument("--migrate", action="store_true", help="apply sql/ first")
    parser.add_argument("--demo", action="store_true", help="make sure that there is a demo event")
    for number in NUMBERS:
        parser.add_argument(number.option, metavar="N", help=f"{number.text} (default: {number.default:g})")
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

    def ready(url: str) -> None:
        _settle()
        _announce(url, event, options.ready_file)

    with stop_on_signals() as stop:
        event = await prepare(database, migrations=options.migrate, demo=options.demo)
        await serve(
            database,
            ready=ready,
            stop=stop,
            host=options.host,
            port=options.port,
            settings=settings,
        )


def _settings(options: argparse.Namespace) -> Settings:
    values: dict[str, Any] = {number.name: number.read(getattr(options, number.name)) for number in NUMBERS}
    return Settings(**values)


def _settle() -> None:
    """Have the garbage collector leave alone what is there for good, and look for the rest less often.

    A sixth of a purchase's time went into looking through the framework again and again.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_GARBAGE)


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
