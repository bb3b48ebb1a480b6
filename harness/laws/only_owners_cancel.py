"""Nobody cancels what is somebody else's.

A cancel by another person than the owner must be refused; one that was accepted breaks the law. And
whatever it was answered, refused or lost, the owner's reservation must still be in the books when nobody
who may has given it back.

Judged on the answers, and on the final state where its rows can be read.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from harness.laws._books import people, view
from harness.laws._calls import accounts, certainly_before, matches
from harness.laws._law import Law
from harness.model import Cancel, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from harness.laws._calls import Account
    from harness.model import Call, Entry, Evidence, Violation


def _judge(evidence: Evidence) -> Iterator[Violation]:
    known = accounts(evidence)
    foreign = list(_foreign(evidence))
    standing = _standing(evidence)
    for ticket in evidence.scenario.tickets:
        faults: dict[str, None] = {}
        buyers: dict[str, None] = {}
        for call, cancel, owner in foreign:
            if cancel.ticket == ticket.name:
                what = _fault(call, cancel, known.get((ticket.name, owner)), standing)
                if what is not None:
                    faults[f"{cancel.person} asked for {owner}'s ({what})"] = None
                    buyers[owner] = None
        if faults:
            shown = view(evidence, ticket)
            message = f"{shown.told()}, but somebody else's was cancelled: {people(faults)}."
            yield shown.violation(LAW.name, message, tuple(buyers))


def _foreign(evidence: Evidence) -> Iterator[tuple[Call, Cancel, str]]:
    """Yield the cancels of what is somebody else's, and whose that is."""
    for call in evidence.history:
        operation = call.operation
        if isinstance(operation, Cancel) and operation.whose not in (None, operation.person):
            yield call, operation, str(operation.whose)


def _fault(
    call: Call,
    cancel: Cancel,
    account: Account | None,
    standing: Mapping[tuple[str, str], list[Entry]] | None,
) -> str | None:
    """Return what is wrong after one such cancel, if anything is."""
    if call.outcome is Outcome.ACCEPTED:
        return "accepted"
    if standing is None or account is None:
        return None
    rows = standing.get((account.ticket, account.person), [])
    for bought in account.surely_stand(entitled=True):
        if cancel.reservation not in (None, bought.id) and bought.id is not None:
            continue
        if not certainly_before(call, bought.call) and not any(matches(row, bought) for row in rows):
            return f"{call.outcome.value}, and it is gone"
    return None


def _standing(evidence: Evidence) -> Mapping[tuple[str, str], list[Entry]] | None:
    if evidence.books.entries is None:
        return None
    found: dict[tuple[str, str], list[Entry]] = defaultdict(list)
    for row in evidence.books.entries:
        found[row.ticket, row.person].append(row)
    return found


def _needs(evidence: Evidence) -> str | None:
    operations = (*evidence.scenario.operations(), *(call.operation for call in evidence.history))
    if not any(isinstance(each, Cancel) and each.whose not in (None, each.person) for each in operations):
        return "nobody asks to cancel what is somebody else's in this scenario"
    return None


LAW = Law(name="only_owners_cancel", doc=__doc__, judge=_judge, applies=_needs)
