"""What one socket has yet to be sent: in order, and bounded however slowly it reads."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
from msgspec import Meta

from harness.service.fields import LARGEST_ID

if TYPE_CHECKING:
    from collections.abc import Iterable

QUEUE_LIMIT = 64
"""Changes that wait before only the latest of each ticket type is kept."""


class TicketNow(msgspec.Struct, frozen=True, rename="camel"):
    """What is available of one ticket type."""

    ticket_id: str
    available: int
    sold_out: bool
    sequence: int
    """Greater with every change of that ticket type."""

    @classmethod
    def of(cls, ticket: str, available: int, sequence: int) -> TicketNow:
        """Return the state in which that many are available."""
        return cls(ticket, available, available <= 0, sequence)


class Snapshot(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """All ticket types of an event, as they are."""

    type: Literal["snapshot"] = "snapshot"
    event_id: int
    tickets: list[TicketNow]


class Changed(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One ticket type has changed."""

    type: Literal["availability"] = "availability"
    event_id: int
    ticket_id: str
    available: int
    sold_out: bool
    sequence: int


class Sync(msgspec.Struct, frozen=True, kw_only=True):
    """What a client sends that wants to know when everything has arrived."""

    type: Literal["sync"]
    id: Annotated[int, Meta(ge=0, le=LARGEST_ID)] | None = None
    """Comes back in the answer."""


class Synced(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Everything that came before a client's ``sync`` has been sent."""

    type: Literal["synced"]
    id: int | None = None


Message = Snapshot | Changed | Synced


class Mailbox:
    """The mailbox of one socket: a snapshot, then changes, and answers to ``sync`` among them.

    Changes that wait are kept one by one up to :data:`QUEUE_LIMIT`; beyond that only the latest of each
    ticket type is, so that it never holds more than that or twice the ticket types of the event.
    """

    def __init__(self, event: int) -> None:
        self.event = event
        self.begun = asyncio.Event()
        """Set once the first snapshot is in, or it is known that there is no such event."""
        self.gone = False
        """There is no such event."""
        self._snapshot: list[TicketNow] | None = None
        self._changes: list[TicketNow] = []
        self._limit = QUEUE_LIMIT
        self._synced: list[int | None] = []
        """Ids of the syncs whose answer can be sent."""
        self._full = asyncio.Event()

    def begin(self, tickets: list[TicketNow] | None) -> None:
        """Take a snapshot, which stands for everything before; ``None``: there is no such event."""
        self.gone = tickets is None
        self._snapshot = tickets
        self._changes.clear()
        self.begun.set()
        self._full.set()

    def offer(self, ticket: TicketNow) -> None:
        """Take a change."""
        self._changes.append(ticket)
        if len(self._changes) > self._limit:
            self._changes = _latest(self._changes)
            self._limit = max(QUEUE_LIMIT, 2 * len(self._changes))
        self._full.set()

    def synced(self, identity: int | None) -> None:
        """Answer a sync, after all that has been offered until now."""
        self._synced.append(identity)
        self._full.set()

    async def take(self) -> list[Message]:
        """Wait until there is something to send, and hand it over."""
        await self._full.wait()
        self._full.clear()
        messages: list[Message] = []
        if self._snapshot is not None:
            messages.append(Snapshot(event_id=self.event, tickets=self._snapshot))
        messages += [
            Changed(event_id=self.event, **msgspec.structs.asdict(ticket)) for ticket in self._changes
        ]
        messages += [Synced(type="synced", id=identity) for identity in self._synced]
        self._snapshot, self._changes, self._limit, self._synced = None, [], QUEUE_LIMIT, []
        return messages


def _latest(changes: Iterable[TicketNow]) -> list[TicketNow]:
    """Return the last change of each ticket type, in the order in which they came."""
    last: dict[str, TicketNow] = {}
    for change in changes:
        last.pop(change.ticket_id, None)
        last[change.ticket_id] = change
    return list(last.values())
