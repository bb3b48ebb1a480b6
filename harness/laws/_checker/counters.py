"""The fast decision about a history: reduced to counters, each of them swept, the explanation checked."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from harness.laws._checker.reduction import OtherStructureError, reduced
from harness.laws._checker.roles import PLENTY
from harness.laws._checker.search import search
from harness.laws._checker.sweep import sweep
from harness.model.history import Explained, Finding, Part, surroundings

if TYPE_CHECKING:
    from harness.laws._checker.reduction import Reduced

METHOD = "counters"


def decide(part: Part, *, budget: int) -> Finding:
    """Decide about the calls of one event; the books at the end are not looked at.

    :param budget: how many states may be looked at for each ticket type where the greedy walk is stuck.
    """
    try:
        found = reduced(part)
    except OtherStructureError as error:
        return _undecided(f"it is more than a counter: {error}")
    if found.contradiction is not None:
        return _contradiction(found, budget)
    orders: dict[str, list[int]] = {}
    doubts: list[str] = []
    for name, columns in found.columns.items():
        swept = sweep(columns, budget=budget)
        if swept.stuck is not None:
            call = part.calls[columns.source[swept.stuck]]
            return Finding(
                explained=Explained.NO,
                method=METHOD,
                ticket=name,
                call=call,
                around=surroundings(part.calls, call),
                reason="no moments within the calls up to its answer make all numbers come true",
            )
        if swept.order is None:
            doubts.append(f"{name}: {swept.undecided}")
        else:
            orders[name] = swept.order
    if found.unsaid:
        doubts.append(found.unsaid)
    if doubts:
        return _undecided(doubts[0])
    if not found.fits(orders):
        return _undecided("the calls of somebody that overlap fit none of the explanations that were found")
    return Finding(explained=Explained.YES, method=METHOD)


def _contradiction(found: Reduced, budget: int) -> Finding:
    """Name the first call that nothing explains of people whom no stock helps."""
    calls = tuple(found.calls[at] for at in found.contradiction or ())
    plenty = tuple(replace(ticket, initial=PLENTY) for ticket in found.tickets)
    finding = search(Part(plenty, calls), budget=budget)
    return replace(finding, method=METHOD) if finding.explained is Explained.NO else finding


def _undecided(reason: str) -> Finding:
    return Finding(explained=Explained.UNDECIDED, method=METHOD, reason=reason)
