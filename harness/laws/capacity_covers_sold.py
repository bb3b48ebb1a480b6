"""The capacity is never lowered below what is sold and held.

Somebody who was promised a place must not learn that the room has become smaller. So a change to fewer
units than were certainly sold and held during the whole call must not be accepted, and in no committed
state are more units sold and held than the capacity that was in force.

The capacity in force is the one that the target shows in the same state, when that is one it was changed
to; otherwise the largest that is possible: at the end, one that no later change has certainly replaced; on
the way, any that it was ever given. What is sold is counted in the rows where they can be read, else as
the target counts it. Without a change of capacity this is what `no_oversell` judges.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.laws._books import first_commit, needs_sold, stock_of, view
from harness.laws._bounds import bounds
from harness.laws._calls import happens
from harness.laws._law import Law
from harness.model import ChangeCapacity, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.laws._books import View
    from harness.laws._bounds import Bounds
    from harness.model import Books, Evidence, TicketType, Violation


def _judge(evidence: Evidence) -> Iterator[Violation]:
    for name, known in bounds(evidence).items():
        ticket = evidence.scenario.ticket(name)
        seen = [_over(evidence, ticket, books, known) for books in (evidence.books, *evidence.states)]
        over, in_force, shown = max(seen, key=lambda found: found[0])
        lowered = _lowered_too_far(evidence, ticket, known)
        if over > 0:
            message = f"{shown.told()}: {over} more than the capacity of {in_force}."
            commit = first_commit((shown.commit, over > 0) for over, _, shown in seen)
            yield shown.violation(LAW.name, message, commit=commit)
        elif lowered is not None:
            capacity, taken = lowered
            shown = view(evidence, ticket)
            message = f"{shown.told()}, but lowered to {capacity} while at least {taken} were sold or held."
            yield shown.violation(LAW.name, message)


def _over(evidence: Evidence, ticket: TicketType, books: Books, known: Bounds) -> tuple[int, int, View]:
    """Return by how much the capacity is exceeded in one state, that capacity, and the state."""
    shown = view(evidence, ticket, books, capacity=known.capacity)
    stock = stock_of(books, ticket)
    in_force = shown.capacities[-1]
    if stock is not None and stock.initial != ticket.initial and stock.initial in shown.capacities:
        in_force = stock.initial
    return (shown.sold or 0) + shown.held - in_force, in_force, shown


def _lowered_too_far(evidence: Evidence, ticket: TicketType, known: Bounds) -> tuple[int, int] | None:
    """Return the first accepted change to less than was taken during the whole call, and what was taken."""
    for call in evidence.history:
        operation = call.operation
        if (
            isinstance(operation, ChangeCapacity)
            and operation.ticket == ticket.name
            and call.outcome is Outcome.ACCEPTED
        ):
            taken, _ = known.taken(call)
            if operation.capacity < taken:
                return operation.capacity, taken
    return None


def _needs(evidence: Evidence) -> str | None:
    if not happens(evidence, ChangeCapacity):
        return "nobody changes the capacity in this scenario"
    return needs_sold(evidence)


LAW = Law(name="capacity_covers_sold", doc=__doc__, judge=_judge, applies=_needs)
