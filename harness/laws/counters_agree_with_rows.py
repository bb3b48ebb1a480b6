"""The target's own count of what it sold equals the sum of its rows.

A counter that is kept beside the rows, or derived from what remains, drifts away from them when one is
written without the other. Reports, dashboards and sold-out decisions then rest on a number that is wrong.

Judged on the final state only: on the way, an implementation may write one first and the other later.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.laws._books import needs_rows, stock_of, view
from harness.laws._law import Law

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.model import Evidence, Violation


def _judge(evidence: Evidence) -> Iterator[Violation]:
    for ticket in evidence.scenario.tickets:
        shown = view(evidence, ticket)
        stock = stock_of(evidence.books, ticket)
        counted = None if stock is None else stock.sold
        if counted is not None and counted != shown.sold:
            message = f"{shown.told()}, counted in the rows, but the target's own count of sold is {counted}."
            yield shown.violation(LAW.name, message)


def _needs(evidence: Evidence) -> str | None:
    if all(stock.sold is None for stock in evidence.books.stock):
        return "the target keeps no count of what it sold"
    return needs_rows(evidence)


LAW = Law(name="counters_agree_with_rows", doc=__doc__, judge=_judge, applies=_needs)
