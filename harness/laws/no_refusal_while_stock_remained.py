"""Nobody is told "sold out" while there were enough units left.

A sold-out answer must be explained by some order of the overlapping operations. At no moment of the
refused call can more units have been taken than by all reserves that were accepted, or may have happened,
and had been invoked before the refusal was answered, less those that an accepted cancel had certainly
given back before the refused call was invoked. If even then as many units were free as the buyer asked
for, the answer was untrue.

The bound is generous, so that a correct target is never blamed: an overlapping reserve counts as taken and
an overlapping cancel as not yet done. Ticket types whose sale has ended are left out, since refusing is
right there whatever the words.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from itertools import accumulate
from typing import TYPE_CHECKING

from harness.laws._books import people, view
from harness.laws._calls import accounts
from harness.laws._law import Law
from harness.model import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from harness.laws._calls import Account
    from harness.model import Call, Evidence, Violation


def _judge(evidence: Evidence) -> Iterator[Violation]:
    known = accounts(evidence).values()
    for ticket in evidence.scenario.tickets:
        taken = _Taken([account for account in known if account.ticket == ticket.name])
        lies: dict[str, str] = {}
        for call, reserve in evidence.reserves(Outcome.SOLD_OUT):
            free = ticket.initial - taken.at_most(call)
            if reserve.ticket == ticket.name and not ticket.closed and free >= reserve.quantity:
                lies[reserve.person] = f"{reserve.person} (asked for {reserve.quantity}, {free} free)"
        if lies:
            shown = view(evidence.books, ticket)
            message = f"{shown.told()}, but told sold out while stock remained: {people(lies.values())}."
            yield shown.violation(LAW.name, message, tuple(lies))


class _Taken:
    """How many units of one ticket type can have been taken at some moment of a call."""

    def __init__(self, mine: Iterable[Account]) -> None:
        bought = [(account, purchase) for account in mine for purchase in account.purchases]
        self._taken = _Steps((purchase.call.invoked, purchase.reserve.quantity) for _, purchase in bought)
        self._given_back = _Steps(
            (undone, purchase.reserve.quantity)
            for account, purchase in bought
            if (undone := account.undone(purchase)) is not None
        )

    def at_most(self, call: Call) -> int:
        """Return an upper bound that holds at every moment of the call."""
        taken = self._taken.total if call.completed is None else self._taken.before(call.completed)
        return taken - self._given_back.until(call.invoked)


class _Steps:
    """Quantities by time, summed once so that a long history takes no long time."""

    def __init__(self, steps: Iterable[tuple[int, int]]) -> None:
        ordered = sorted(steps)
        self._times = [time for time, _ in ordered]
        self._sums = [0, *accumulate(quantity for _, quantity in ordered)]

    @property
    def total(self) -> int:
        return self._sums[-1]

    def before(self, time: int) -> int:
        return self._sums[bisect_left(self._times, time)]

    def until(self, time: int) -> int:
        return self._sums[bisect_right(self._times, time)]


LAW = Law(name="no_refusal_while_stock_remained", doc=__doc__, judge=_judge)
