"""How much of one ticket type can have been taken, sold and left during a call, from the history alone.

All bounds are generous, so that a right target is never blamed. At most was taken: everything asked for
before the call was answered, less what had certainly been given back before it was invoked. At least was
taken: everything accepted before the call was invoked, less what may have been given back before it was
answered; each person counts once, since a repeat is answered like the first.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from harness.laws._calls import accounts
from harness.laws._capacity import capacities
from harness.laws._memo import once
from harness.laws._steps import Steps
from harness.model import Confirm
from harness.model.history import NEVER, ended
from harness.model.operations import READS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from harness.laws._calls import Account
    from harness.laws._capacity import Capacity
    from harness.model import Call, Evidence


class Bounds:
    """What can have been taken, sold and left of one ticket type."""

    def __init__(self, mine: Iterable[Account], capacity: Capacity) -> None:
        """Take all accounts of the ticket type."""
        self.capacity = capacity
        accounts = list(mine)
        self._taken = _Sum(lambda: _claims(accounts), lambda: _of_each(accounts, _surely_taken))
        self._sold = _Sum(lambda: _purchases(accounts), lambda: _of_each(accounts, _surely_sold))

    def taken(self, call: Call) -> tuple[int, int]:
        """Return how much was sold and held at some moment of the call: at least, and at most."""
        return self._taken.during(call)

    def sold(self, call: Call) -> tuple[int, int]:
        """Return how much was sold at some moment of the call: at least, and at most."""
        return self._sold.during(call)

    def remaining(self, call: Call) -> tuple[int, int]:
        """Return how much remained at some moment of the call: at least, and at most."""
        fewest = self._taken.at_least(call)
        return self.least_remaining(call), self.capacity.most(call.invoked, ended(call)) - fewest

    def least_remaining(self, call: Call) -> int:
        """Return how much remained at least, at the moment of the call at which there was least."""
        least = self.capacity.least(call.invoked, ended(call))
        return max(0, least - self._taken.at_most(call))


@once
def bounds(evidence: Evidence) -> Mapping[str, Bounds]:
    """Return the bounds of each ticket type of the scenario."""
    mine: dict[str, list[Account]] = {ticket.name: [] for ticket in evidence.scenario.tickets}
    for (ticket, _), account in accounts(evidence).items():
        mine.setdefault(ticket, []).append(account)
    capacity = capacities(evidence)
    return {name: Bounds(mine[name], capacity[name]) for name in capacity}


def quiet_from(evidence: Evidence) -> Mapping[str, int]:
    """Return from when on nothing can have changed any more, for each ticket type that was ever changed."""
    last: dict[str, int] = {}
    for call in evidence.history:
        if call.may_have_happened and not isinstance(call.operation, READS):
            ticket = call.operation.ticket
            last[ticket] = max(last.get(ticket, -NEVER), ended(call))
    return last


class _Sum:
    """Units by time: which may count, and which surely do. Worked out when they are asked for."""

    def __init__(self, may: Callable[[], Iterable[_Part]], surely: Callable[[], Iterable[_Part]]) -> None:
        self._list_may, self._list_surely = may, surely

    def during(self, call: Call) -> tuple[int, int]:
        return self.at_least(call), self.at_most(call)

    def at_least(self, call: Call) -> int:
        begun, over = self._surely
        return begun.until(call.invoked) - over.before(ended(call))

    def at_most(self, call: Call) -> int:
        begun, over = self._may
        return begun.before(ended(call)) - over.until(call.invoked)

    @cached_property
    def _may(self) -> tuple[Steps, Steps]:
        return _steps(self._list_may())

    @cached_property
    def _surely(self) -> tuple[Steps, Steps]:
        return _steps(self._list_surely())


def _steps(parts: Iterable[_Part]) -> tuple[Steps, Steps]:
    """Return how many units had begun to count, and how many no longer did, by any time."""
    parts = list(parts)
    begun = Steps((begin, quantity) for begin, _, quantity in parts)
    return begun, Steps((end, quantity) for _, end, quantity in parts if end != NEVER)


_Part = tuple[int, int, int]
"""From when, until when, and how many units."""


def _of_each(mine: Iterable[Account], parts: Callable[[Account], Iterable[_Part]]) -> Iterator[_Part]:
    for account in mine:
        yield from parts(account)


def _claims(mine: Iterable[Account]) -> Iterator[_Part]:
    """Yield what may have been taken. A confirmed hold takes nothing more, as long as it was there."""
    for account in mine:
        if (only := account.only_purchase) is not None:
            yield only.call.invoked, NEVER, only.most
            continue
        yield from (
            (bought.call.invoked, account.undone(bought), bought.most)
            for bought in account.purchases
            if not (isinstance(bought.call.operation, Confirm) and account.backed(bought))
        )
        yield from ((held.call.invoked, account.gone(held), held.most) for held in account.holds)


def _purchases(mine: Iterable[Account]) -> Iterator[_Part]:
    """Yield what may have been sold."""
    for account in mine:
        yield from (
            (bought.call.invoked, account.undone(bought), bought.most) for bought in account.purchases
        )


def _surely_taken(account: Account) -> Iterator[_Part]:
    """Yield when the person surely had something, or it was held for them."""
    if (only := account.only_purchase) is not None:
        return iter([(ended(only.call), NEVER, min(only.quantities))] if only.accepted else [])
    held = (
        (ended(held.call), min(account.may_be_released(held), account.may_be_given_back(held)))
        for held in account.holds
        if held.accepted
    )
    return _together([*_standing(account), *held], account.fewest)


def _surely_sold(account: Account) -> Iterator[_Part]:
    """Yield when the person surely had something."""
    quantities = (quantity for bought in account.purchases for quantity in bought.quantities)
    return _together(_standing(account), min(quantities, default=0))


def _standing(account: Account) -> list[tuple[int, int]]:
    return [
        (ended(bought.call), account.may_be_undone(bought)) for bought in account.purchases if bought.accepted
    ]


def _together(times: Iterable[tuple[int, int]], quantity: int) -> Iterator[_Part]:
    """Yield the times without overlaps: two answers may be about one and the same."""
    begun, over = NEVER, -NEVER
    for start, end in sorted(times):
        if start > over:
            if begun < over:
                yield begun, over, quantity
            begun, over = start, end
        over = max(over, end)
    if begun < over:
        yield begun, over, quantity
