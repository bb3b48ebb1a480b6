"""Serving: where buyers find a target, and under which ids they ask for what is on sale.

What speaks the contract of ``docs/service.md`` itself is found where it is; anything else is served by the
gateway, in the engine's own process.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Protocol

from harness.swarming.gateway import gateway

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from harness.load.plan import Tickets
    from harness.model import Feature, Running, TicketType


class Door(Protocol):
    """Where a target is served."""

    @property
    def url(self) -> str:
        """Base URL of the contract."""

    def opened(self, number: int, sale: Any, tickets: Sequence[TicketType]) -> Tickets:
        """Let buyers visit a sale, and return the ids of event and ticket type by the ticket type's name."""


@contextlib.asynccontextmanager
async def served(
    running: Running, supports: frozenset[Feature], *, clients: int, timeout: float
) -> AsyncIterator[Door]:
    """Serve a running target for the length of a block.

    :param clients: how many operations may be under way at a time, where there is a gateway.
    :param timeout: seconds of the gateway for each of them.
    """
    if not speaks_contract(running):
        async with gateway(running, supports, clients=clients, timeout=timeout) as door:
            yield door
    else:
        yield _Own(running)


def speaks_contract(running: Running) -> bool:
    """Say whether buyers can ask a target itself, so that no gateway is needed."""
    return getattr(running, "expose", None) is not None


class _Own:
    """The door of a target that has one."""

    def __init__(self, running: Any) -> None:
        self._running = running
        self.url: str = running.expose()

    def opened(self, number: int, sale: Any, tickets: Sequence[TicketType]) -> Tickets:  # noqa: ARG002  # a door's
        """See :class:`Door`."""
        ids: Tickets = self._running.contract_ids(sale)
        return ids
