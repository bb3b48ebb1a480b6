"""What was refused, or never asked for, is not in the books.

Every entry must be explained by a purchase of that person and ticket type that was accepted or whose outcome
is unknown, and that no accepted cancel or refund certainly undid: a reserve, a confirmed hold, a place in a
group, or a place in the line that was not certainly given up before anything came back. Each explains one
entry, and all entries of a person together stand for no more units than were asked for. A purchase whose
payment proof was refused or cut off explains nothing: the buyer never got as far as asking.

Judged on the final state.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.laws._books import by_person, needs_rows, people, view
from harness.laws._calls import Account, accounts, distinct, matches, unexplained
from harness.laws._law import Law
from harness.laws._memo import once
from harness.model import ReserveGroup
from harness.model.operations import READS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from harness.model import Entry, Evidence, Outcome, Violation


def _judge(evidence: Evidence) -> Iterator[Violation]:
    known = accounts(evidence)
    for ticket in evidence.scenario.tickets:
        shown = view(evidence, ticket)
        faults: dict[str, str] = {}
        for person, entries in by_person(evidence.books.of(ticket.name)).items():
            account = known.get((ticket.name, person)) or Account(ticket.name, person)
            if fault := _fault(account, entries, evidence):
                faults[person] = f"{person} ({fault})"
        if faults:
            message = f"{shown.told()}, but the books hold what nobody may have bought: "
            yield shown.violation(LAW.name, f"{message}{people(faults.values())}.", tuple(faults))


def _fault(account: Account, entries: list[Entry], evidence: Evidence) -> str | None:
    """Return what is wrong with one person's entries of one ticket type, if anything is."""
    only = account.only_purchase
    if only is not None and only.allowed and len(entries) == 1 and matches(entries[0], only):
        return _too_many(entries[0].quantity, only.most)
    allowed = [bought for bought in account.may_stand() if bought.allowed]
    if unexplained(entries, allowed):
        if allowed:
            return f"stands {len(entries)} times, explained {len(distinct(allowed))}"
        told = _last_told(evidence).get((account.ticket, account.person))
        if told is None:
            return "never asked"
        return _gave_up(account) if account.purchases else f"was told {told.value}"
    stands = sum(entry.quantity for entry in entries)
    asked = sum(bought.most for bought in distinct(allowed))
    return _too_many(stands, asked)


def _too_many(stands: int, asked: int) -> str | None:
    return f"stands with {stands}, asked for {asked}" if stands > asked else None


def _gave_up(account: Account) -> str:
    return "had left the line" if all(bought.waits for bought in account.purchases) else "had cancelled"


@once
def _last_told(evidence: Evidence) -> Mapping[tuple[str, str], Outcome]:
    """Return what each person was last told about each ticket type, reads apart."""
    told: dict[tuple[str, str], Outcome] = {}
    for call in evidence.history:
        operation = call.operation
        if not isinstance(operation, READS):
            members = operation.members if isinstance(operation, ReserveGroup) else ()
            for person in members or (operation.person,):
                told[operation.ticket, person] = call.outcome
    return told


LAW = Law(name="refused_not_in_books", doc=__doc__, judge=_judge, applies=needs_rows)
