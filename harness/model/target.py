"""The protocol an implementation speaks to be judged: three small interfaces, no base class.

A :class:`Target` is what the person names; :class:`Running` is that target connected to one database;
:class:`Client` is one buyer's connection to it. ``--target module:object`` takes any object with these
methods, and the targets and specimens shipped here are nothing else.

Theory of operation, in the order things are called::

    await target.install(template)                 once, into an empty database
    async with target.start(clone, folder) as running:   for every check, on a copy of it
        client = await running.connect("buyer-1")        once per client, kept over all runs
        sale = await running.open_sale(tickets)          for every run: fresh ids, nothing sold
        answer = await client.perform(sale, operation, gate)
        books = await running.books(sale)                at any time, from one snapshot
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from harness.model.answers import Answer
    from harness.model.evidence import Books
    from harness.model.operations import Feature, Operation
    from harness.model.scenario import TicketType


class Gate(Protocol):
    """Where a client waits until everybody is ready.

    ``await gate()`` immediately before the step that makes the operation happen. A client that can
    prepare more (send everything but the last byte) hands over that last step as ``release``, which is
    called at the moment of opening, before any task is scheduled. It must not block or raise.
    """

    async def __call__(self, release: Callable[[], None] | None = None) -> None:
        """Return once the gate is open and ``release`` has been called."""


class Client(Protocol):
    """One buyer's connection."""

    async def perform(self, sale: Any, operation: Operation, gate: Gate) -> Answer:
        """Do one operation and say what came back.

        Everything a buyer could see is an :class:`~harness.model.Answer`, refusals and broken
        connections included. ``gate`` must be awaited once before the operation can take effect.
        """

    async def close(self) -> None:
        """Let go of the connection in an orderly way."""

    def abandon(self) -> None:
        """Drop the connection as a buyer who walks away does: at once, whatever is under way on it."""


class Running(Protocol):
    """A target connected to one database."""

    async def connect(self, name: str) -> Client:
        """Return a connected and warmed client."""

    async def open_sale(self, tickets: Sequence[TicketType]) -> Any:
        """Put this stock on sale under fresh ids and return whatever names it for the other methods."""

    async def books(self, sale: Any) -> Books:
        """Read numbers and rows of that sale, all in one snapshot."""


class Process(Protocol):
    """The process group a target runs as: an optional attribute ``process`` of :class:`Running`.

    With it, the target can be killed and stopped at any moment, as machines do with processes.
    """

    async def kill(self) -> None:
        """End the whole group at once (SIGKILL), and wait until it has ended."""

    async def restart(self) -> None:
        """Start it again on the same address, and wait until it answers there."""

    def pause(self) -> None:
        """Stop the whole group where it stands (SIGSTOP)."""

    def resume(self) -> None:
        """Let it go on (SIGCONT); harmless when it was not stopped."""


@runtime_checkable
class Target(Protocol):
    """An implementation to be judged."""

    @property
    def name(self) -> str:
        """What reports call it."""

    @property
    def supports(self) -> frozenset[Feature]:
        """What it can do. Scenarios that need more are listed as not run."""

    async def install(self, database: str) -> None:
        """Load the schema into this empty database (a URL). Every check gets a copy of the result."""

    def start(self, database: str, folder: Path) -> AbstractAsyncContextManager[Running]:
        """Connect to one such copy; logs go into ``folder``."""
