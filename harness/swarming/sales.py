"""Sales: one after the other, so that stock runs out again and again for as long as there is load.

A sale goes on until what is on sale has sold out, and a moment longer, so that people are refused as well.
Then the next one is opened, with fresh stock, and buyers are told of it. Each becomes one run of the check.

A sale that nobody visits any more is no longer followed, so that a long load takes no more memory than a
short one. What was seen of it is kept for its evidence: every state as long as there is room, and after that
only where a law was broken; in those that are dropped the auditor found nothing.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from harness.driving.auditing import AuditMode, SnapshotAuditor, in_words
from harness.load.plan import Sale

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.driving.auditing import Auditor, Progress
    from harness.model import Books, Running, Stock, TicketType
    from harness.swarming.serving import Door

FOR_EACH_USER = 10
"""Units on sale for every user, unless somebody says otherwise."""
MOMENT = 0.25
"""Seconds from the moment a sale was seen to be sold out until the next one."""
SAMPLED_FOR = 2.0
"""Seconds that a sale is still sampled when there is a newer one: each costs a reading of its books."""
ROOM = 500_000
"""Rows, over all states of all sales that are no longer followed, after which only broken ones are kept."""


@dataclass(frozen=True, slots=True)
class OpenSale:
    """A sale that was opened."""

    number: int
    sale: Any
    """What the target calls it."""
    announced: Sale


@dataclass(frozen=True, slots=True)
class Followed:
    """What the audit saw of a sale."""

    states: tuple[Books, ...] = ()
    commits: int = 0


@dataclass(slots=True)
class Sales:
    """The series."""

    running: Running
    door: Door
    auditor: Auditor | None
    tickets: tuple[TicketType, ...]
    """What is on sale in each."""
    linger: float
    """Seconds that a sale is followed after the next one was opened; by then its last visitor is done."""
    opened: list[OpenSale] = field(default_factory=list)
    _sold_out_at: float | None = None
    _followed: deque[tuple[float, int]] = field(default_factory=deque)
    """Sales that are followed although there are newer ones: when that one was opened, and their number."""
    _seen: dict[int, Followed] = field(default_factory=dict)
    """Of those that are no longer followed."""
    _broken: set[int] = field(default_factory=set)
    """Those in which the audit found a law broken."""
    _room: int = ROOM
    _beside: SnapshotAuditor | None = None
    """Reads the books of the newest sales beside the log, where that does not tell all that they show."""
    _sampled: dict[int, tuple[Books, ...]] = field(default_factory=dict)
    """What it saw of those that it reads no longer."""

    async def open(self) -> Sale:
        """Open the next sale, and return what is to be told of it."""
        number = len(self.opened)
        sale = await self.running.open_sale(self.tickets)
        if self.auditor is not None:
            await self.auditor.open(sale, self.tickets, number=number)
            if not self.opened:
                await self._look_beside(sale)
            if self._beside is not None:
                await self._beside.open(sale, self.tickets, number=number)
        if self.opened:
            self._followed.append((time.monotonic(), number - 1))
        announced = Sale(number=number, tickets=self.door.opened(number, sale, self.tickets))
        self.opened.append(OpenSale(number, sale, announced))
        self._sold_out_at = None
        return announced

    @property
    def audit(self) -> str:
        """Say how committed states are come by."""
        if self.auditor is None:
            return ""
        words = in_words(self.auditor)
        return words if self._beside is None else f"{words}, and samples of what the ledger does not tell"

    @property
    def trouble(self) -> str:
        """What ended the audit before its time; empty while all is well."""
        return "" if self.auditor is None else self.auditor.trouble

    async def catch_up(self) -> Progress | None:
        """Have everything judged that was committed before this call; ``None`` where nothing is audited."""
        if self.auditor is None:
            return None
        progress = await self.auditor.catch_up()
        if self._beside is not None:
            also = await self._beside.catch_up()
            progress = replace(progress, breaches=(*progress.breaches, *also.breaches))
        self._broken |= {breach.number for breach in progress.breaches}
        return progress

    async def next(self) -> Sale | None:
        """Open the next sale if the newest one sold out a moment ago, and return what is to be told of it."""
        if self._sold_out_at is None:
            if is_sold_out(self.tickets, self.numbers()):
                self._sold_out_at = time.monotonic()
        elif time.monotonic() - self._sold_out_at >= MOMENT:
            return await self.open()
        return None

    def seen(self, number: int) -> Followed:
        """Return what the audit saw of a sale, and follow it no longer."""
        if self.auditor is None:
            return Followed()
        if number in self._seen:
            return self._seen.pop(number)
        self._leave_beside(number)
        states = (*self.auditor.states(number), *self._sampled.pop(number, ()))
        seen = Followed(states, self.auditor.commits(number))
        self.auditor.close(number)
        return seen

    def is_followed(self, number: int) -> bool:
        """Return whether the audit still follows a sale."""
        return self.auditor is not None and number not in self._seen

    def is_broken(self, number: int) -> bool:
        """Return whether the audit found a law broken in a sale."""
        return number in self._broken

    def leave(self) -> None:
        """Follow those sales no longer that nobody visits any more."""
        for since, number in self._followed:
            if time.monotonic() - since > SAMPLED_FOR:
                self._leave_beside(number)
        while self._followed and time.monotonic() - self._followed[0][0] > self.linger:
            _, number = self._followed.popleft()
            seen = self.seen(number)
            rows = sum(len(books.entries or ()) + 1 for books in seen.states)
            self._room -= rows
            keeps = self._room > 0 or number in self._broken
            self._seen[number] = seen if keeps else Followed(commits=seen.commits)

    def numbers(self) -> Mapping[str, Stock]:
        """Return the totals of the newest sale, as far as they are known."""
        if self.auditor is None or not self.opened:
            return {}
        return self.auditor.numbers(self.opened[-1].number)

    async def _look_beside(self, sale: Any) -> None:
        """Have books read beside the log from now on, if they show more of the first sale than it tells."""
        if self.auditor is None or self.auditor.mode is AuditMode.SAMPLED:
            return
        await self.auditor.catch_up()
        if self.auditor.leaves_out(await self.running.books(sale)):
            self._beside = SnapshotAuditor(self.running, "the log tells less than the books")

    def _leave_beside(self, number: int) -> None:
        if self._beside is not None and number not in self._sampled:
            self._sampled[number] = self._beside.states(number)
            self._beside.close(number)


def scaled(tickets: Sequence[TicketType], total: int) -> tuple[TicketType, ...]:
    """Return the same ticket types with so many units in all, shared out as they were.

    Where there was something there is at least one, where there was nothing there is nothing.
    """
    was = sum(ticket.initial for ticket in tickets)
    shares = [ticket.initial * total / was if was else 0.0 for ticket in tickets]
    units = [max(int(share), min(ticket.initial, 1)) for share, ticket in zip(shares, tickets, strict=True)]
    by_remainder = sorted(range(len(units)), key=lambda place: units[place] - shares[place])
    for place in by_remainder:
        if sum(units) < total and tickets[place].initial:
            units[place] += 1
    return tuple(replace(ticket, initial=much) for ticket, much in zip(tickets, units, strict=True))


def is_sold_out(tickets: Sequence[TicketType], numbers: Mapping[str, Stock]) -> bool:
    """Return whether nothing remains of anything that can be bought."""
    wanted = [ticket for ticket in tickets if ticket.initial and not ticket.closed]
    return bool(wanted) and all(
        ticket.name in numbers and _remaining(numbers[ticket.name], ticket.initial) <= 0 for ticket in wanted
    )


def _remaining(stock: Stock, initial: int) -> int:
    """Return what remains: as the target counts, or what is neither sold nor held, whichever is less."""
    left = initial - (stock.sold or 0) - stock.held
    return left if stock.remaining is None else min(stock.remaining, left)
