"""Coverage: what the examples of a check reached, and what is missing for a pass to say anything."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from harness.model import Outcome
from harness.model.operations import kind_name, kind_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from harness.drawing.vocabulary import Vocabulary
    from harness.drawing.walk import Walk
    from harness.model import Evidence


def nothing_reached(vocabulary: Vocabulary) -> Counter[str]:
    """Return every count at zero, in the order in which reports show them."""
    counts = ["steps", "overlapping_steps", "sold_out", "lock_waits"]
    for name in map(kind_name, vocabulary.kinds):
        counts += [name, f"{name}_accepted"]
    return Counter(dict.fromkeys([*counts, "examples_left_out"], 0))


def reached(walk: Walk) -> Counter[str]:
    """Return what one example reached."""
    evidence = walk.last_evidence
    counts = Counter(
        steps=len(evidence.scenario.phases),
        overlapping_steps=overlapping(evidence),
        sold_out=sold_out(evidence),
        lock_waits=sum(ran.waits for ran in walk.seen),
    )
    for call in evidence.history:
        counts[kind_of(call.operation)] += 1
        counts[f"{kind_of(call.operation)}_accepted"] += call.outcome is Outcome.ACCEPTED
    return counts


def doubts(coverage: Mapping[str, int], vocabulary: Vocabulary) -> Iterable[str]:
    """Yield why a pass says nothing: the interesting states that no example reached."""
    if vocabulary.can_sell_out and not coverage["sold_out"]:
        yield "stock never ran out, although the people who were drawn could take all of it"
    never = [name for name in map(kind_name, vocabulary.kinds) if not coverage[f"{name}_accepted"]]
    if never:
        yield f"operations that were never accepted, so that nothing was seen of them: {', '.join(never)}"


def overlapping(evidence: Evidence) -> int:
    """Return in how many phases two requests were under way at the same time."""
    found = 0
    for number in range(len(evidence.scenario.phases)):
        calls = [call for call in evidence.history if call.phase == number]
        found += any(one.overlaps(other) for at, one in enumerate(calls) for other in calls[:at])
    return found


def contenders(evidence: Evidence) -> int:
    """Return how many pairs of overlapping calls wanted units of a ticket type of which too few remained."""
    wanted = [call for call in evidence.history if call.outcome in (Outcome.ACCEPTED, Outcome.SOLD_OUT)]
    return sum(
        Outcome.SOLD_OUT in (one.outcome, other.outcome)
        and Outcome.ACCEPTED in (one.outcome, other.outcome)
        and one.operation.ticket == other.operation.ticket
        and one.overlaps(other)
        for at, one in enumerate(wanted)
        for other in wanted[:at]
    )


def sold_out(evidence: Evidence) -> int:
    """Return how often a ticket type that is on sale ran out of stock, by the states that were seen."""
    times = 0
    for ticket in evidence.scenario.tickets:
        before = ticket.initial
        for books in evidence.every_state():
            for stock in books.stock:
                if stock.ticket == ticket.name and not ticket.closed:
                    left = stock.remaining
                    if left is None:
                        left = stock.initial - (books.sold(stock) or 0) - stock.held
                    times += left <= 0 < before
                    before = left
    return times
