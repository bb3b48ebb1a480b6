"""Every accepted reservation is in the books exactly once, and every accepted cancel is really gone.

Each accepted reserve, confirmed hold or place in an accepted group that no cancel or refund can have undone
stands once, for that person, with its quantity. A cancel that was refused undoes nothing; one whose outcome
is unknown, or which overlapped the reserve, may have undone it.

Reservations are matched by the id that the target answered with, where its rows carry ids too, and are
counted by person and ticket type otherwise. An id answered twice to one person is one reservation (the
target recognised the repeat), and so are repeated acceptances without an id, since one person has one
reservation for an event. An id answered to two people, both of whom must have it, is one sold twice.

Judged on the final state. A reservation whose outcome is unknown may be in the books or not, and so may one
of somebody who waits in line.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from harness.laws._books import by_person, needs_rows, view
from harness.laws._calls import Account, accounts, matches, unexplained
from harness.laws._law import Law
from harness.model.history import NEVER

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from harness.model import Entry, Evidence, Violation

_Fault = tuple[str, str]
"""What is wrong, and with whom."""


def _judge(evidence: Evidence) -> Iterator[Violation]:
    known = accounts(evidence)
    for ticket in evidence.scenario.tickets:
        mine = [account for (name, _), account in known.items() if name == ticket.name]
        faults: dict[str, dict[str, None]] = defaultdict(dict)
        for what, who in (*_shared_ids(mine), *_faults(mine, evidence.books.of(ticket.name))):
            faults[what][who] = None
        if faults:
            yield view(evidence, ticket).faulty(LAW.name, faults)


def _faults(mine: Iterable[Account], entries: Iterable[Entry]) -> Iterator[_Fault]:
    """Yield what is wrong with the entries of each person."""
    held = by_person(entries)
    for account in mine:
        if _is_as_it_should_be(account, held[account.person]):
            continue
        for bought in account.surely_stand():
            standing = [entry for entry in held[account.person] if matches(entry, bought)]
            if not standing:
                yield "accepted and not in the books", account.person
            elif not {entry.quantity for entry in standing} & account.quantities(bought.id):
                yield "in the books with another quantity", account.person
        if any(bought.accepted for bought in account.purchases):
            for entry in unexplained(held[account.person], account.may_stand()):
                gone = any(account.undone(b) != NEVER and matches(entry, b) for b in account.purchases)
                yield "cancelled and still in the books" if gone else "in the books too often", account.person


def _is_as_it_should_be(account: Account, entries: Sequence[Entry]) -> bool:
    """Say of the usual case that all is well: somebody bought once, and has that, and nothing else."""
    bought = account.only_purchase
    if bought is None or not bought.accepted or len(entries) != 1:
        return False
    return matches(entries[0], bought) and entries[0].quantity in bought.quantities


def _shared_ids(mine: Iterable[Account]) -> Iterator[_Fault]:
    """Yield the people who were given an id that somebody else must have too."""
    first: dict[str, str] = {}
    shared: dict[str, dict[str, None]] = {}
    for account in mine:
        for bought in account.surely_stand():
            if bought.id is not None:
                other = first.setdefault(bought.id, account.person)
                if other != account.person:
                    shared.setdefault(bought.id, {other: None})[account.person] = None
    for people_with_it in shared.values():
        yield from (("given one reservation between them", person) for person in people_with_it)


LAW = Law(name="accepted_in_books_once", doc=__doc__, judge=_judge, applies=needs_rows)
