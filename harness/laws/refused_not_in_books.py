"""What was refused, or never asked for, is not in the books.

Every entry must be explained by a reserve of that person and ticket type that was accepted or whose
outcome is unknown, and that no accepted cancel certainly undid. Each reserve explains one entry, and all
entries of a person together stand for no more units than those reserves asked for. A purchase whose
payment proof was refused or cut off explains nothing: the buyer never got as far as asking.

Judged on the final state.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.laws._books import needs_rows, people, view
from harness.laws._calls import Account, accounts, distinct, may_be_bought, unexplained
from harness.laws._law import Law
from harness.model import ReadAvailability

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from harness.model import Entry, Evidence, Violation


def _judge(evidence: Evidence) -> Iterator[Violation]:
    known = accounts(evidence)
    for ticket in evidence.scenario.tickets:
        shown = view(evidence.books, ticket)
        faults: dict[str, str] = {}
        for person, entries in _by_person(evidence.books.of(ticket.name)).items():
            account = known.get((ticket.name, person)) or Account(ticket.name, person)
            if fault := _fault(evidence, account, entries):
                faults[person] = f"{person} ({fault})"
        if faults:
            message = f"{shown.told()}, but the books hold what nobody may have bought: "
            yield shown.violation(LAW.name, f"{message}{people(faults.values())}.", tuple(faults))


def _fault(evidence: Evidence, account: Account, entries: list[Entry]) -> str | None:
    """Return what is wrong with one person's entries of one ticket type, if anything is."""
    allowed = [bought for bought in account.may_stand() if may_be_bought(bought.reserve)]
    if unexplained(entries, allowed):
        if allowed:
            return f"stands {len(entries)} times, explained {len(distinct(allowed))}"
        return _told(evidence, account)
    stands = sum(entry.quantity for entry in entries)
    asked = sum(bought.reserve.quantity for bought in distinct(allowed))
    return f"stands with {stands}, asked for {asked}" if stands > asked else None


def _told(evidence: Evidence, account: Account) -> str:
    """Return what the person was last told about this ticket type."""
    told = [
        call.outcome.value
        for call in evidence.history
        if (call.operation.ticket, call.operation.person) == (account.ticket, account.person)
        and not isinstance(call.operation, ReadAvailability)
    ]
    if not told:
        return "never asked"
    return "had cancelled" if account.purchases else f"was told {told[-1]}"


def _by_person(entries: tuple[Entry, ...]) -> Mapping[str, list[Entry]]:
    found: dict[str, list[Entry]] = {}
    for entry in entries:
        found.setdefault(entry.person, []).append(entry)
    return found


LAW = Law(name="refused_not_in_books", doc=__doc__, judge=_judge, applies=needs_rows)
