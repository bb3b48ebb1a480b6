"""What is held is what buyers hold, and every hold ends once.

A hold ends by being confirmed, released or expired. What it set aside then goes on to a reservation or
back on sale, once. So:

- a confirm that was invoked after the hold had certainly been released or expired must not be accepted,
  and none is accepted from somebody for whom nothing was ever held;
- one hold is not confirmed into two reservations;
- at the end nothing is held that had certainly ended or was never asked for, and everything is held that
  was accepted and that nothing can have ended;
- at the end the target's count of what is held lies between the least and the most that can be held, and
  equals its rows.

A confirm that is answered with a reservation that the person may have anyway, or that repeats an earlier
confirm, is taken for a repeat. Where the rows of holds cannot be read, a count of zero may mean that
nothing is counted, and only a count that is too great is judged.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from typing import TYPE_CHECKING

from harness.laws._books import by_person, stock_of, view
from harness.laws._calls import accounts, distinct, happens, hold_of, matches, unexplained
from harness.laws._law import Law
from harness.model import Confirm, Expire, Hold, Release
from harness.model.history import NEVER, ended

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from harness.laws._calls import Account, Holding, Purchase
    from harness.model import Evidence, TicketType, Violation

_Fault = tuple[str, str]
"""What is wrong, and with whom."""


def _judge(evidence: Evidence) -> Iterator[Violation]:
    known = accounts(evidence)
    claimed = _claimed(evidence, known.values())
    for ticket in evidence.scenario.tickets:
        mine = {person: account for (name, person), account in known.items() if name == ticket.name}
        surely = {person: _surely_held(account, claimed) for person, account in mine.items()}
        faults: dict[str, dict[str, None]] = defaultdict(dict)
        for what, who in (*_confirms(mine.values()), *_rows(evidence, ticket, mine, surely)):
            faults[what][who] = None
        counts = list(_counts(evidence, ticket, mine, surely))
        if faults or counts:
            yield view(evidence, ticket).faulty(LAW.name, faults, *counts)


def _claimed(evidence: Evidence, known: Iterable[Account]) -> Mapping[tuple[str, str], list[int]]:
    """Return by when each person had asked for something, anything, of the event of each ticket type."""
    events = {ticket.name: ticket.event for ticket in evidence.scenario.tickets}
    asked: dict[tuple[str, str], list[int]] = defaultdict(list)
    for account in known:
        calls = [claim.call for claim in account.purchases] + [held.call for held in account.holds]
        asked[events[account.ticket], account.person] += map(ended, calls)
    ordered = {key: sorted(ends) for key, ends in asked.items()}
    return {
        (account.ticket, account.person): ordered[events[account.ticket], account.person] for account in known
    }


def _surely_held(account: Account, claimed: Mapping[tuple[str, str], list[int]]) -> list[Holding]:
    """Return the holds that must be there at the end: nothing can have ended them, or taken their place."""
    ends = claimed[account.ticket, account.person]
    return [
        held
        for held in account.holds
        if held.accepted
        and account.may_be_released(held) == NEVER
        and account.may_be_confirmed(held) == NEVER
        and len(ends) - bisect_right(ends, held.call.invoked) <= 1
    ]


def _confirms(mine: Iterable[Account]) -> Iterator[_Fault]:
    """Yield the people whose confirms were accepted and must not have been."""
    for account in mine:
        confirms = [bought for bought in account.purchases if isinstance(bought.call.operation, Confirm)]
        others = [bought.id for bought in account.purchases if bought not in confirms] if confirms else []
        if _from_nothing(account, confirms, others):
            yield "confirmed without a hold that was still there", account.person
        if _twice(account, confirms, others):
            yield "one hold confirmed into two reservations", account.person


def _from_nothing(account: Account, confirms: list[Purchase], others: list[str | None]) -> bool:
    """Say whether a confirm was accepted when nothing can have been held, and repeats nothing either."""
    first: dict[str | None, int] = {}
    unbacked = []
    for bought in confirms:
        if account.backed(bought):
            name = hold_of(bought)
            first[name] = min(first.get(name, bought.call.invoked), bought.call.invoked)
        elif bought.accepted and (bought.id is None or not {bought.id, None} & set(others)):
            unbacked.append(bought)
    for bought in unbacked:
        names = first if hold_of(bought) is None else {hold_of(bought), None} & first.keys()
        if not any(first[name] < ended(bought.call) for name in names):
            return True
    return False


def _twice(account: Account, confirms: list[Purchase], others: list[str | None]) -> bool:
    """Say whether there are more reservations that come of holds of one name than there can be such holds."""
    unheard = others.count(None)
    made: dict[str | None, set[str]] = defaultdict(set)
    for bought in confirms:
        if bought.accepted and bought.id is not None and bought.id not in others:
            made[hold_of(bought)].add(bought.id)
    there: dict[str | None, int] = defaultdict(int)
    for held in account.holds:
        there[held.id] += 1
    for name, reservations in made.items():
        holds = there[name] + there[None] if name in there and name is not None else len(account.holds)
        if 0 < holds < len(reservations) - unheard:
            return True
    return False


def _rows(
    evidence: Evidence,
    ticket: TicketType,
    mine: Mapping[str, Account],
    surely: Mapping[str, list[Holding]],
) -> Iterator[_Fault]:
    """Yield what is wrong with the holds of each person at the end."""
    if evidence.books.holds is None:
        return
    rows = by_person(row for row in evidence.books.holds if row.ticket == ticket.name)
    for person, held in rows.items():
        account = mine.get(person)
        if account is None or not account.holds:
            yield "held and never asked for", person
        elif unexplained(held, account.may_hold()):
            yield "ended and still held", person
    for person, holds in surely.items():
        if any(not any(matches(row, held) for row in rows[person]) for held in holds):
            yield "accepted and not held any more", person


def _counts(
    evidence: Evidence,
    ticket: TicketType,
    mine: Mapping[str, Account],
    surely: Mapping[str, list[Holding]],
) -> Iterator[str]:
    """Yield in words what is wrong with the target's count of what is held at the end."""
    stock = stock_of(evidence.books, ticket)
    if stock is None:
        return
    most = sum(held.most for account in mine.values() for held in distinct(account.may_hold()))
    if stock.held > most:
        yield f"the count of held is {stock.held}, and at most {most} can be held"
    if evidence.books.holds is None:
        return
    fewest = sum(min(held.most for held in mine[person].holds) for person, holds in surely.items() if holds)
    if stock.held < fewest:
        yield f"the count of held is {stock.held}, and at least {fewest} must be held"
    counted = sum(row.quantity for row in evidence.books.holds if row.ticket == ticket.name)
    if stock.held != counted:
        yield f"the count of held is {stock.held}, and the rows hold {counted}"


def _needs(evidence: Evidence) -> str | None:
    if not happens(evidence, Hold, Confirm, Release, Expire):
        return "nothing is held in this scenario"
    return None


LAW = Law(name="holds_end_once", doc=__doc__, judge=_judge, applies=_needs)
