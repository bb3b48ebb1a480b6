"""What a history says for certain about who holds what, and what it leaves open.

Theory of operation. A call takes effect at one moment between ``invoked`` and ``completed``, which nobody
saw. One whose outcome is unknown takes effect at one moment after ``invoked``, perhaps after the history
ends, or never. So of two calls only this can be known: one came *certainly before* the other when it had
been answered, and not with ``unknown``, before the other was invoked. Anything else may have gone either
way, and the laws give the target the benefit of that doubt.

A cancel without a reservation id gives back whatever the person holds of that ticket type; one with an id
gives back that reservation. Refused calls did nothing.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from harness.model import Cancel, Outcome, Proof, Reserve

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from harness.model import Call, Entry, Evidence


@dataclass(frozen=True, slots=True)
class Purchase:
    """A reserve that happened (it was accepted) or may have happened (its outcome is unknown)."""

    call: Call
    reserve: Reserve

    @property
    def accepted(self) -> bool:
        """The buyer was told that it happened."""
        return self.call.outcome is Outcome.ACCEPTED

    @property
    def id(self) -> str | None:
        """The target's own name for what was reserved, if it gave one."""
        return self.call.answer.reservation


@dataclass(frozen=True, slots=True)
class Account:
    """One person's purchases and cancels of one ticket type."""

    ticket: str
    person: str
    purchases: list[Purchase] = field(default_factory=list)
    cancels: list[tuple[Call, Cancel]] = field(default_factory=list)
    """Those that were accepted or may have happened."""

    def surely_stand(self) -> list[Purchase]:
        """Return the accepted purchases that no cancel can have undone: all of these must be in the books."""
        return [bought for bought in self.purchases if bought.accepted and not self._may_be_undone(bought)]

    def may_stand(self) -> list[Purchase]:
        """Return the purchases that no cancel has certainly undone: only these may be in the books."""
        return [bought for bought in self.purchases if self.undone(bought) is None]

    def undone(self, bought: Purchase) -> int | None:
        """Return by when the purchase had certainly been undone, or ``None`` when it may still stand."""
        times = [
            call.completed
            for call, cancel in self.cancels
            if call.outcome is Outcome.ACCEPTED
            and call.completed is not None
            and cancel.reservation in (None, bought.id)
            and certainly_before(bought.call, call)
        ]
        return min(times, default=None)

    def _may_be_undone(self, bought: Purchase) -> bool:
        return any(
            not certainly_before(call, bought.call)
            for call, cancel in self.cancels
            if bought.id is None or cancel.reservation in (None, bought.id)
        )


def certainly_before(first: Call, second: Call) -> bool:
    """Say whether the first call had taken effect, or been refused, before the second was invoked."""
    if first.completed is None or first.outcome is Outcome.UNKNOWN:
        return False
    return first.completed <= second.invoked


def accounts(evidence: Evidence) -> Mapping[tuple[str, str], Account]:
    """Return what the history says of each ticket type and person, in order of first mention."""
    found = _Accounts()
    for call in evidence.history:
        operation = call.operation
        if call.outcome not in (Outcome.ACCEPTED, Outcome.UNKNOWN):
            continue
        if isinstance(operation, Reserve) and not _given_up(call, operation):
            found[operation.ticket, operation.person].purchases.append(Purchase(call, operation))
        elif isinstance(operation, Cancel):
            found[operation.ticket, operation.person].cancels.append((call, operation))
    return found


def may_be_bought(reserve: Reserve) -> bool:
    """Say whether this purchase may succeed at all: none may whose payment proof was refused or cut off."""
    return reserve.proof not in (Proof.REFUSED, Proof.CUT)


def distinct(purchases: Iterable[Purchase]) -> list[Purchase]:
    """Return one purchase for each id, the largest: an id answered twice to one person is one reservation.

    Purchases without an id, such as those whose outcome is unknown, count one by one.
    """
    largest: dict[object, Purchase] = {}
    for bought in purchases:
        key = bought.call.index if bought.id is None else bought.id
        if key not in largest or bought.reserve.quantity > largest[key].reserve.quantity:
            largest[key] = bought
    return list(largest.values())


def unexplained(entries: Iterable[Entry], purchases: Iterable[Purchase]) -> list[Entry]:
    """Return the entries of one person and ticket type that none of these purchases can have made.

    Each purchase makes one entry at most. One whose id is known makes the entry of that id, or one that
    carries none; one without an id may have made any. So entries take the purchase of their own id first,
    then one without an id, and entries without an id take what is left.
    """
    left = distinct(purchases)
    for fits in (_same_id, _no_id_given, _no_id_kept):
        remaining = []
        for entry in entries:
            made_by = next((bought for bought in left if fits(entry, bought)), None)
            if made_by is None:
                remaining.append(entry)
            else:
                left.remove(made_by)
        entries = remaining
    return list(entries)


def _same_id(entry: Entry, bought: Purchase) -> bool:
    return entry.reservation is not None and entry.reservation == bought.id


def _no_id_given(entry: Entry, bought: Purchase) -> bool:
    return entry.reservation is not None and bought.id is None


def _no_id_kept(entry: Entry, _: Purchase) -> bool:
    return entry.reservation is None


class _Accounts(defaultdict[tuple[str, str], Account]):
    def __missing__(self, key: tuple[str, str]) -> Account:
        self[key] = account = Account(*key)
        return account


def _given_up(call: Call, reserve: Reserve) -> bool:
    """Say whether the buyer stopped at a payment proof that failed, and so never asked for the ticket."""
    return call.outcome is Outcome.UNKNOWN and not may_be_bought(reserve)
