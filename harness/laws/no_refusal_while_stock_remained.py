"""Nobody is told "sold out" while there were enough units left.

A sold-out answer must be explained by some order of the overlapping operations. At no moment of the
refused call can more units have been taken than by all purchases and holds that were accepted, or may have
happened, and had been invoked before the refusal was answered, less those that had certainly been given back
before the refused call was invoked. Everybody who waits in line takes a unit, since what comes back is
theirs. If even then as many units were free of the smallest capacity that was possible as the buyer asked
for, the answer was untrue.

The bound is generous, so that a correct target is never blamed: an overlapping reserve counts as taken and
an overlapping cancel as not yet done. Ticket types whose sale has ended are left out, since refusing is
right there whatever the words.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.laws._books import people, view
from harness.laws._bounds import bounds
from harness.laws._law import Law
from harness.model import Hold, Outcome, Reserve, ReserveGroup

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.model import Evidence, Operation, Violation


def _judge(evidence: Evidence) -> Iterator[Violation]:
    known = bounds(evidence)
    refused = [call for call in evidence.history if call.outcome is Outcome.SOLD_OUT]
    for ticket in evidence.scenario.tickets:
        lies: dict[str, str] = {}
        for call in refused:
            if call.operation.ticket == ticket.name and not ticket.closed:
                asked, free = _asked(call.operation), known[ticket.name].least_remaining(call)
                if asked is not None and free >= asked:
                    person = call.operation.person
                    lies[person] = f"{person} (asked for {asked}, {free} free)"
        if lies:
            shown = view(evidence, ticket)
            message = f"{shown.told()}, but told sold out while stock remained: {people(lies.values())}."
            yield shown.violation(LAW.name, message, tuple(lies))


def _asked(operation: Operation) -> int | None:
    """Return how many units were asked for, or ``None`` when it was not about any."""
    if isinstance(operation, ReserveGroup):
        return len(operation.members)
    return operation.quantity if isinstance(operation, Reserve | Hold) else None


LAW = Law(name="no_refusal_while_stock_remained", doc=__doc__, judge=_judge)
