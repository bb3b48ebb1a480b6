"""Who waits longest gets what comes back, and nobody loses their place.

When a place in the line was given before somebody else even asked, nothing may go to that other one as
long as the first still waits: not by a place in the same line, and not past the line by a reserve, a hold
or a group. So in no committed state may one person wait and another stand, or have something held, who
asked later. And whoever was given a place, never left and got nothing, still waits at the end.

"Before" is what the history says for certain: the place had been answered before the other's call was
invoked. Calls that overlapped may have come in either order. Left out are people who may have more than a
place in the line at that event: somebody with a reservation of another ticket type may be passed over
rightly.

Judged on every committed state that shows who waits.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from harness.laws._books import first_commit, needs_rows, people, view
from harness.laws._calls import accounts, happens
from harness.laws._law import Law
from harness.model import Confirm, JoinWaitlist
from harness.model.history import NEVER, ended

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from harness.laws._calls import Account
    from harness.model import Books, Evidence, TicketType, Violation


def _judge(evidence: Evidence) -> Iterator[Violation]:
    known = accounts(evidence)
    busy = _busy(evidence, known.values())
    for ticket in evidence.scenario.tickets:
        mine = {
            person: _Waiter(account, only=(ticket.event, person) not in busy)
            for (name, person), account in known.items()
            if name == ticket.name
        }
        faults: dict[str, tuple[str, Books]] = {}
        for books in (evidence.books, *evidence.states):
            for first, others in _passed_over(books, ticket, mine):
                faults.setdefault(first, (f"{first} still waits, and {people(others)} came later", books))
        for person in _lost(evidence.books, ticket, mine):
            faults.setdefault(person, (f"{person} has lost the place", evidence.books))
        if faults:
            shown = view(evidence, ticket, next(iter(faults.values()))[1])
            told = people(what for what, _ in faults.values())
            commit = first_commit(
                (books.commit, any(_passed_over(books, ticket, mine))) for books in evidence.states
            )
            message = f"{shown.told()}, but the line was not kept: {told}."
            yield shown.violation(LAW.name, message, tuple(faults), commit=commit)


class _Waiter:
    """What one person did to get one ticket type."""

    def __init__(self, account: Account, *, only: bool) -> None:
        self._account = account
        places = [bought.call for bought in account.purchases if bought.waits]
        self.since = max((ended(call) for call in places), default=NEVER) if only else NEVER
        """By when the last place was certainly given; ``NEVER`` when that is not known, or may not be all."""
        self.asked = max((call.invoked for call in places), default=0)
        self._attempts = sorted(_attempts(account))

    @property
    def stays(self) -> bool:
        """A place was given, and nothing can have ended it but being served."""
        account = self._account
        return self.since != NEVER and not account.leaves and not account.undoings

    def first_asked(self, since: int) -> int:
        """Return when the first call was invoked that can be why the person has something after ``since``."""
        return next((begun for begun, over in self._attempts if over > since), -NEVER)


def _attempts(account: Account) -> Iterator[tuple[int, int]]:
    """Yield each try to get something: when it was invoked, and by when what came of it was over."""
    for bought in account.purchases:
        if not (isinstance(bought.call.operation, Confirm) and account.backed(bought)):
            yield bought.call.invoked, account.undone(bought)
    for held in account.holds:
        yield held.call.invoked, account.gone(held)


def _busy(evidence: Evidence, known: Iterable[Account]) -> set[tuple[str, str]]:
    """Return who, at which event, may have had more than a place in one line."""
    events = {ticket.name: ticket.event for ticket in evidence.scenario.tickets}
    lines: dict[tuple[str, str], int] = defaultdict(int)
    busy = set()
    for account in known:
        key = (events[account.ticket], account.person)
        waits = [bought.waits for bought in account.purchases]
        lines[key] += any(waits)
        if account.holds or not all(waits):
            busy.add(key)
    return busy | {key for key, number in lines.items() if number > 1}


def _passed_over(
    books: Books, ticket: TicketType, mine: Mapping[str, _Waiter]
) -> Iterator[tuple[str, list[str]]]:
    """Yield who waits in this state although others, who asked later, have something."""
    waiting = {place.person for place in books.waiting or () if place.ticket == ticket.name}
    certain = [person for person in waiting if person in mine and mine[person].since != NEVER]
    if not certain:
        return
    first = min(certain, key=lambda person: (mine[person].since, person))
    waiter = mine[first]
    rows = (*books.of(ticket.name), *(row for row in books.holds or () if row.ticket == ticket.name))
    served = dict.fromkeys(row.person for row in rows if row.person in mine and row.person not in waiting)
    later = [person for person in served if mine[person].first_asked(waiter.asked) >= waiter.since]
    if later:
        yield first, later


def _lost(books: Books, ticket: TicketType, mine: Mapping[str, _Waiter]) -> Iterator[str]:
    """Yield who was given a place and is at the end neither in the line nor in the books."""
    if books.waiting is None:
        return
    there = {row.person for row in (*books.of(ticket.name), *books.waiting) if row.ticket == ticket.name}
    for person, waiter in mine.items():
        if waiter.stays and person not in there:
            yield person


def _needs(evidence: Evidence) -> str | None:
    if not happens(evidence, JoinWaitlist):
        return "nobody waits in line in this scenario"
    if all(books.waiting is None for books in evidence.every_state()):
        return "the target does not show who waits in line"
    return needs_rows(evidence)


LAW = Law(name="waitlist_in_order", doc=__doc__, judge=_judge, applies=_needs)
