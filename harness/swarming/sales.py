"""Sales: one after the other, so that stock runs out again and again for as long as there is load.

A sale goes on until what is on sale has sold out, and a moment longer, so that people are refused as well.
Then the next one is opened, with fresh stock, and buyers are told of it. Each becomes one run of the check.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from harness.load.plan import Sale

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.driving.auditing import Auditor
    from harness.model import Running, Stock, TicketType
    from harness.swarming.serving import Door

FOR_EACH_USER = 10
"""Units on sale for every user, unless somebody says otherwise."""
MOMENT = 0.25
"""Seconds from the moment a sale was seen to be sold out until the next one."""


@dataclass(frozen=True, slots=True)
class OpenSale:
    """A sale that was opened."""

    number: int
    sale: Any
    """What the target calls it."""
    announced: Sale


@dataclass(slots=True)
class Sales:
    """The series."""

    running: Running
    door: Door
    auditor: Auditor | None
    tickets: tuple[TicketType, ...]
    """What is on sale in each."""
    opened: list[OpenSale] = field(default_factory=list)
    _sold_out_at: float | None = None

    async def open(self) -> Sale:
        """Open the next sale, and return what is to be told of it."""
        number = len(self.opened)
        sale = await self.running.open_sale(self.tickets)
        if self.auditor is not None:
            await self.auditor.open(sale, self.tickets, number=number)
        announced = Sale(number=number, tickets=self.door.opened(number, sale, self.tickets))
        self.opened.append(OpenSale(number, sale, announced))
        self._sold_out_at = None
        return announced

    async def next(self) -> Sale | None:
        """Open the next sale if the newest one sold out a moment ago, and return what is to be told of it."""
        if self._sold_out_at is None:
            if is_sold_out(self.tickets, self.numbers()):
                self._sold_out_at = time.monotonic()
        elif time.monotonic() - self._sold_out_at >= MOMENT:
            return await self.open()
        return None

    def numbers(self) -> Mapping[str, Stock]:
        """Return the totals of the newest sale, as far as they are known."""
        if self.auditor is None or not self.opened:
            return {}
        return self.auditor.numbers(self.opened[-1].number)


def scaled(tickets: Sequence[TicketType], total: int) -> tuple[TicketType, ...]:
    """Return the same ticket types with so many units in all, shared out as they were.

    Where there was something there is at least one, where there was nothing there is nothing.
    """
    was = sum(ticket.initial for ticket in tickets)
    shares = [ticket.initial * total / was if was else 0.0 for ticket in tickets]
    units = [max(int(share), min(ticket.initial, 1)) for share, ticket in zip(shares, tickets, strict=True)]
    by_remainder = sorted(range(len(units)), key=lambda place: int(shares[place]) - shares[place])
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
