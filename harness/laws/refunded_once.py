"""What is refunded is paid back once, and given back.

A refund takes the reservation back and pays its price back. So of all reservations that one person can
have had of a ticket type, no more are paid back and standing together than there were: none is paid back
twice, and none that was paid back still stands. Every accepted refund is in the books. And nothing was
paid back to anybody who did not ask for it.

Payments are matched with reservations by id where both carry one, and counted by person and ticket type
otherwise. Asking again for a refund that was given is answered like the first time, and pays nothing.
Judged on the final state, where it can be read what was paid back.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from harness.laws._books import by_person, view
from harness.laws._calls import Account, accounts, happens
from harness.laws._law import Law
from harness.model import Outcome, Refund

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from harness.model import Entry, Evidence, Violation


def _judge(evidence: Evidence) -> Iterator[Violation]:
    known = accounts(evidence)
    asked = _asked(evidence)
    for ticket in evidence.scenario.tickets:
        paid = by_person(row for row in evidence.books.refunds or () if row.ticket == ticket.name)
        standing = by_person(evidence.books.of(ticket.name))
        faults: dict[str, dict[str, None]] = defaultdict(dict)
        for person in dict.fromkeys((*paid, *(name for owner, name in asked if owner == ticket.name))):
            account = known.get((ticket.name, person)) or Account(ticket.name, person)
            refunds = asked.get((ticket.name, person), [])
            for what in _faults(account, refunds, paid[person], standing[person]):
                faults[what][person] = None
        if faults:
            yield view(evidence, ticket).faulty(LAW.name, faults)


def _asked(evidence: Evidence) -> Mapping[tuple[str, str], list[tuple[Refund, bool]]]:
    """Return the refunds that each person asked for and may have got, and whether it was accepted."""
    found: dict[tuple[str, str], list[tuple[Refund, bool]]] = defaultdict(list)
    for call in evidence.history:
        operation = call.operation
        if isinstance(operation, Refund) and call.may_have_happened:
            accepted = call.outcome is Outcome.ACCEPTED
            found[operation.ticket, operation.person].append((operation, accepted))
    return found


def _faults(
    account: Account, asked: list[tuple[Refund, bool]], paid: list[Entry], standing: list[Entry]
) -> Iterator[str]:
    """Yield what is wrong with what was paid back to one person for one ticket type."""
    if paid and not asked:
        yield "paid back and never asked for"
    elif len(paid) > len(asked) or _too_many(account, paid):
        yield "paid back more than once"
    elif paid and _too_many(account, [*paid, *standing]):
        yield "paid back and still standing"
    if any(accepted and not _is_paid(account, refund, paid) for refund, accepted in asked):
        yield "accepted and not paid back"


def _too_many(account: Account, rows: list[Entry]) -> bool:
    """Say whether there are more rows than reservations that they can be about."""
    bought = Counter(bought.id for bought in account.purchases)
    named = Counter(row.reservation for row in rows if row.reservation is not None)
    if len(rows) > len(account.purchases):
        return True
    return any(number > bought[name] + bought[None] for name, number in named.items())


def _is_paid(account: Account, refund: Refund, paid: list[Entry]) -> bool:
    """Say whether some payment may be what this refund was answered for."""
    told = {bought.id for bought in account.purchases}
    return any(
        None in (refund.reservation, row.reservation)
        or row.reservation == refund.reservation
        or row.reservation not in told
        for row in paid
    )


def _needs(evidence: Evidence) -> str | None:
    if not happens(evidence, Refund):
        return "nobody is paid back in this scenario"
    return "it cannot be read what was paid back" if evidence.books.refunds is None else None


LAW = Law(name="refunded_once", doc=__doc__, judge=_judge, applies=_needs)
