"""What a history says for certain about who holds what, and what it leaves open.

Theory of operation. A call takes effect at one moment between ``invoked`` and ``completed``, which nobody
saw. One whose outcome is unknown takes effect at one moment after ``invoked``, perhaps after the history
ends, or never. So of two calls only this can be known: one came *certainly before* the other when it had
been answered, and not with ``unknown``, before the other was invoked. Anything else may have gone either
way, and the laws give the target the benefit of that doubt. Refused calls did nothing.

What may put somebody in the books is a purchase: a reserve, a group's unit for each of its members, the
confirming of a hold, and a place in the line, which may be served at any later time without an answer. A
cancel or a refund without a reservation id gives back whatever the person has of that ticket type; one with
an id gives back that reservation. A cancel by somebody else may have undone it, and never certainly did. The
same goes for holds, and what releases or expires them.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate
from typing import TYPE_CHECKING, Protocol, TypeVar

from harness.laws._memo import once
from harness.laws._steps import FirstAfter
from harness.model import (
    Cancel,
    ChangeCapacity,
    Confirm,
    Expire,
    Hold,
    JoinWaitlist,
    LeaveWaitlist,
    Outcome,
    Refund,
    Release,
    Reserve,
    ReserveGroup,
)
from harness.model.history import NEVER, ended

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from harness.model import Call, Entry, Evidence, Operation


class Claim(Protocol):
    """Something that may have put a row into the books."""

    @property
    def call(self) -> Call:
        """The call that asked for it."""

    @property
    def id(self) -> str | None:
        """The target's own name for it, if it gave one."""

    @property
    def most(self) -> int:
        """How many units it stands for at most."""


_Claim = TypeVar("_Claim", bound=Claim)


@dataclass(frozen=True, slots=True)
class Purchase:
    """One that happened (it was accepted) or may have happened (its outcome is unknown)."""

    call: Call
    quantities: frozenset[int]
    """How many units it may be for: one number, unless it is not known which hold was confirmed."""
    id: str | None = None

    @property
    def accepted(self) -> bool:
        """The buyer was told that it happened. Who waits in line is never told."""
        return self.call.outcome is Outcome.ACCEPTED and not self.waits

    @property
    def waits(self) -> bool:
        """It is a place in the line."""
        return isinstance(self.call.operation, JoinWaitlist)

    @property
    def most(self) -> int:
        """How many units it is for at most."""
        return max(self.quantities)

    @property
    def allowed(self) -> bool:
        """It may succeed at all: none may whose payment proof was refused or cut off."""
        return not (isinstance(self.call.operation, Reserve) and self.call.operation.in_vain)


@dataclass(frozen=True, slots=True)
class Holding:
    """A hold that was accepted or may have happened."""

    call: Call
    most: int
    id: str | None = None

    @property
    def accepted(self) -> bool:
        """The buyer was told that it is held."""
        return self.call.outcome is Outcome.ACCEPTED


@dataclass(frozen=True, slots=True)
class Ending:
    """A call that was accepted or may have happened, and gives something back."""

    call: Call
    name: str | None
    """What it gives back; ``None``: whatever the person has."""
    entitled: bool = True
    """It was asked for by somebody who may."""


class Endings:
    """Calls that give something back, ready to be asked what they can have ended."""

    def __init__(self, endings: Iterable[Ending]) -> None:
        by_name: dict[str | None, list[Ending]] = defaultdict(list)
        for ending in endings:
            by_name[ending.name].append(ending)
        self._certain = {name: _certain(found) for name, found in by_name.items()}
        self._possible = {name: _possible(found) for name, found in by_name.items()}
        self._any = _possible([ending for found in by_name.values() for ending in found])

    def certain(self, claim: Claim) -> int:
        """Return by when it had certainly been given back; ``NEVER`` when it may still be there."""
        if not self._certain:
            return NEVER
        end = ended(claim.call)
        times = (self._certain[name].from_(end) for name in {None, claim.id} if name in self._certain)
        return min(times, default=NEVER)

    def possible(self, claim: Claim) -> int:
        """Return from when on it may have been given back; ``NEVER`` when it surely was not."""
        if not self._possible:
            return NEVER
        begun = claim.call.invoked
        if claim.id is None:
            return max(self._any.beyond(begun), begun)
        times = (self._possible[name].beyond(begun) for name in (None, claim.id) if name in self._possible)
        return max(min(times, default=NEVER), begun)


@dataclass
class Account:
    """What one person did about one ticket type, as far as it was accepted or may have happened."""

    ticket: str
    person: str
    purchases: list[Purchase] = field(default_factory=list)
    undoings: list[Ending] = field(default_factory=list)
    """Cancels and refunds."""
    holds: list[Holding] = field(default_factory=list)
    releases: list[Ending] = field(default_factory=list)
    """Releases and expiries."""
    leaves: list[Call] = field(default_factory=list)
    left: dict[int, int] = field(default_factory=dict)
    """By when a place in the line, by the index of its call, was certainly given up without being served."""
    only_purchase: Purchase | None = None
    """The purchase, where the person did nothing else, as almost everybody in a long history: nothing can
    have undone it, and what it is for is known without looking further."""

    def surely_stand(self, *, entitled: bool = False) -> list[Purchase]:
        """Return the accepted purchases that nothing can have undone: all of these must be in the books.

        :param entitled: whether to leave out what was asked for by somebody who may not.
        """
        if not self.undoings:
            return [bought for bought in self.purchases if bought.accepted]
        endings = self._entitled if entitled else self._undoings
        return [bought for bought in self.purchases if bought.accepted and endings.possible(bought) == NEVER]

    def surely_made(self) -> list[Purchase | Holding]:
        """Return the purchases and holds of which the buyer was told that they happened."""
        bought = [bought for bought in self.purchases if bought.accepted]
        return [*bought, *(held for held in self.holds if held.accepted)]

    @property
    def fewest(self) -> int:
        """How many units whatever stands or is held is for at least: a repeat may have asked for more."""
        return min(self._every_quantity | {held.most for held in self.holds}, default=0)

    def may_stand(self) -> list[Purchase]:
        """Return the purchases that nothing has certainly undone: only these may be in the books."""
        return [bought for bought in self.purchases if self.undone(bought) == NEVER]

    def undone(self, bought: Purchase) -> int:
        """Return by when the purchase had certainly been undone; ``NEVER`` when it may still stand."""
        if bought.waits:
            return self.left.get(bought.call.index, NEVER)
        return self._undoings.certain(bought)

    def may_be_undone(self, bought: Purchase) -> int:
        """Return from when on a purchase may have been undone; ``NEVER`` when it surely was not."""
        return self._undoings.possible(bought)

    def released(self, held: Holding) -> int:
        """Return by when a hold had certainly been released or expired, unless it was confirmed before.

        ``NEVER`` when neither is certain.
        """
        return self._releases.certain(held)

    def may_be_released(self, held: Holding) -> int:
        """Return from when on a hold may have been released or expired; ``NEVER`` when it surely was not."""
        return self._releases.possible(held)

    def may_be_given_back(self, held: Holding) -> int:
        """Return from when on it may have been confirmed and undone; ``NEVER`` when it surely was not."""
        return self._undoings.possible(Holding(held.call, held.most))

    def quantities(self, id: str | None) -> set[int]:
        """Return the quantities that a reservation of that id may have: a repeat may have asked for more."""
        if id is None:
            return self._every_quantity
        return self._quantities[None] | self._quantities.get(id, set())

    def backed(self, confirm: Purchase) -> bool:
        """Say whether some hold that was not certainly over may have been there for this to confirm."""
        wanted = hold_of(confirm)
        named = wanted is not None and wanted in self._until
        names = (wanted, None) if named else self._until
        latest = min(
            (self._until[name].beyond(-ended(confirm.call)) for name in names if name in self._until),
            default=NEVER,
        )
        return latest < -confirm.call.invoked

    def gone(self, held: Holding) -> int:
        """Return by when what was held had certainly been given back: released, or sold and undone."""
        released = self.released(held)
        if self.may_be_confirmed(held) >= released:
            return released
        confirm = self.confirmed(held)
        undone = NEVER if confirm is None else self.undone(confirm)
        return undone if released == NEVER else max(undone, released)

    def may_be_confirmed(self, held: Holding) -> int:
        """Return from when on a hold may have been confirmed; ``NEVER`` when it surely was not."""
        names = self._confirms if held.id is None else (held.id, None)
        times = (
            self._confirmed_from[name].beyond(held.call.invoked) for name in names if name in self._confirms
        )
        return min(times, default=NEVER)

    def may_hold(self) -> list[Holding]:
        """Return the holds that have not certainly ended: only these may be held at the end."""
        return [held for held in self.holds if self.released(held) == NEVER and not self._is_confirmed(held)]

    def _is_confirmed(self, held: Holding) -> bool:
        """Say whether the hold was certainly confirmed, since it is the only one that can have been."""
        if held.id is not None and self._holds_named[held.id] == 1 and held.id in self._confirms:
            return any(bought.accepted for bought in self._confirms[held.id])
        return len(self.holds) == 1 and any(
            bought.accepted for found in self._confirms.values() for bought in found
        )

    def confirmed(self, held: Holding) -> Purchase | None:
        """Return the one confirm that can only be about this hold, if there is just one."""
        own, nameless = self._confirms.get(held.id, []), self._confirms.get(None, [])
        if held.id is not None and len(own) == 1 and not nameless:
            return own[0]
        every = [bought for found in self._confirms.values() for bought in found]
        return every[0] if len(self.holds) == len(every) == 1 else None

    @cached_property
    def _holds_named(self) -> Mapping[str | None, int]:
        return Counter(held.id for held in self.holds)

    @cached_property
    def _every_quantity(self) -> set[int]:
        return {quantity for bought in self.purchases for quantity in bought.quantities}

    @cached_property
    def _quantities(self) -> Mapping[str | None, set[int]]:
        found: dict[str | None, set[int]] = {None: set()}
        for bought in self.purchases:
            found.setdefault(bought.id, set()).update(bought.quantities)
        return found

    @cached_property
    def _confirms(self) -> Mapping[str | None, list[Purchase]]:
        """The confirms, by the name of the hold they were about."""
        found: dict[str | None, list[Purchase]] = {}
        for bought in self.purchases:
            if isinstance(bought.call.operation, Confirm):
                found.setdefault(hold_of(bought), []).append(bought)
        return found

    @cached_property
    def _confirmed_from(self) -> Mapping[str | None, FirstAfter]:
        return {
            name: FirstAfter((ended(bought.call), bought.call.invoked) for bought in found)
            for name, found in self._confirms.items()
        }

    @cached_property
    def _undoings(self) -> Endings:
        return Endings(self.undoings) if self.undoings else _NO_ENDINGS

    @cached_property
    def _entitled(self) -> Endings:
        return Endings(undoing for undoing in self.undoings if undoing.entitled)

    @cached_property
    def _releases(self) -> Endings:
        return Endings(self.releases) if self.releases else _NO_ENDINGS

    @cached_property
    def _until(self) -> Mapping[str | None, FirstAfter]:
        """Until when holds were there, by their names; both times negative, to ask for the latest by then."""
        found: dict[str | None, list[tuple[int, int]]] = defaultdict(list)
        for held in self.holds:
            found[held.id].append((-held.call.invoked, -self.released(held)))
        return {name: FirstAfter(items) for name, items in found.items()}


def certainly_before(first: Call, second: Call) -> bool:
    """Say whether the first call had taken effect, or been refused, before the second was invoked."""
    return ended(first) <= second.invoked


@once
def accounts(evidence: Evidence) -> Mapping[tuple[str, str], Account]:
    """Return what the history says of each ticket type and person, in order of first mention."""
    found = _Accounts()
    confirms: list[tuple[Call, Confirm]] = []
    for call in evidence.history:
        if call.may_have_happened:
            _enter(found, call)
            if isinstance(call.operation, Confirm):
                confirms.append((call, call.operation))
    for call, confirm in confirms:
        account = found[confirm.ticket, confirm.person]
        account.purchases.append(Purchase(call, _held(account, confirm), call.answer.reservation))
    _leave(found, evidence)
    for account in found.values():
        if len(account.purchases) == 1 and not (
            account.undoings or account.holds or account.releases or account.leaves
        ):
            account.only_purchase = account.purchases[0]
    return found


def hold_of(confirm: Purchase) -> str | None:
    """Return the name of the hold that was to be confirmed, if it was known."""
    return confirm.call.operation.hold if isinstance(confirm.call.operation, Confirm) else None


def distinct(claims: Iterable[_Claim]) -> list[_Claim]:
    """Return one claim for each id, the largest: an id answered twice to one person is one reservation.

    Claims without an id, such as those whose outcome is unknown, count one by one.
    """
    largest: dict[object, _Claim] = {}
    for claim in claims:
        key = claim.call.index if claim.id is None else claim.id
        if key not in largest or claim.most > largest[key].most:
            largest[key] = claim
    return list(largest.values())


def unexplained(entries: Iterable[Entry], claims: Iterable[Claim]) -> list[Entry]:
    """Return the entries of one person and ticket type that none of these claims can have made.

    Each claim makes one entry at most. One whose id is known makes the entry of that id, or one that
    carries none; one without an id may have made any. So entries take the claim of their own id first,
    then one without an id, and entries without an id take what is left.
    """
    left = distinct(claims)
    for fits in (_same_id, _no_id_given, _no_id_kept):
        remaining = []
        for entry in entries:
            made_by = next((claim for claim in left if fits(entry, claim)), None)
            if made_by is None:
                remaining.append(entry)
            else:
                left.remove(made_by)
        entries = remaining
    return list(entries)


def matches(entry: Entry, claim: Claim) -> bool:
    """Say whether the entry may be the row of that claim, as far as their ids tell."""
    return None in (entry.reservation, claim.id) or entry.reservation == claim.id


def happens(evidence: Evidence, *kinds: type[Operation]) -> bool:
    """Say whether the scenario, or what was drawn from it, has an operation of one of these kinds."""
    return not _kinds(evidence).isdisjoint(kinds)


@once
def _kinds(evidence: Evidence) -> frozenset[type[Operation]]:
    asked = {type(call.operation) for call in evidence.history}
    return frozenset(asked.union(map(type, evidence.scenario.operations())))


def _same_id(entry: Entry, claim: Claim) -> bool:
    return entry.reservation is not None and entry.reservation == claim.id


def _no_id_given(entry: Entry, claim: Claim) -> bool:
    return entry.reservation is not None and claim.id is None


def _no_id_kept(entry: Entry, _: Claim) -> bool:
    return entry.reservation is None


class _Accounts(defaultdict[tuple[str, str], Account]):
    def __missing__(self, key: tuple[str, str]) -> Account:
        self[key] = account = Account(*key)
        return account


def _enter(found: _Accounts, call: Call) -> None:
    """Enter a call into the account it is about; confirms come later, when all holds are known."""
    name = call.answer.reservation
    match call.operation:
        case Reserve() as reserve:
            if not _given_up(call, reserve):
                quantities = _ONE if reserve.quantity == 1 else frozenset({reserve.quantity})
                bought = Purchase(call, quantities, name)
                found[reserve.ticket, reserve.person].purchases.append(bought)
        case ReserveGroup(ticket=ticket, members=members):
            for member, given in zip(members, _names(call, members), strict=True):
                found[ticket, member].purchases.append(Purchase(call, _ONE, given))
        case JoinWaitlist(ticket=ticket, person=person):
            found[ticket, person].purchases.append(Purchase(call, _ONE))
        case LeaveWaitlist(ticket=ticket, person=person):
            found[ticket, person].leaves.append(call)
        case Hold(ticket=ticket, person=person, quantity=quantity):
            found[ticket, person].holds.append(Holding(call, quantity, name))
        case Release(ticket=ticket, person=person, hold=hold):
            found[ticket, person].releases.append(Ending(call, hold))
        case Expire(ticket=ticket, person=person):
            found[ticket, person].releases.append(Ending(call, None))
        case Refund(ticket=ticket, person=person, reservation=reservation):
            found[ticket, person].undoings.append(Ending(call, reservation))
        case Cancel(ticket=ticket, person=person, reservation=reservation, whose=whose):
            owner = whose or person
            found[ticket, owner].undoings.append(Ending(call, reservation, entitled=owner == person))


def _given_up(call: Call, reserve: Reserve) -> bool:
    """Say whether the buyer stopped at a payment proof that failed, and so never asked for the ticket."""
    return call.outcome is Outcome.UNKNOWN and reserve.in_vain


def _names(call: Call, members: tuple[str, ...]) -> Iterable[str | None]:
    """Return the name of each member's reservation; one name for several is the group's, not theirs."""
    given = call.answer.group
    return given if len(set(given)) == len(given) == len(members) else (None,) * len(members)


def _held(account: Account, confirm: Confirm) -> frozenset[int]:
    """Return the quantities of the holds that may be what was confirmed."""
    named = {held.most for held in account.holds if confirm.hold in (None, held.id) or held.id is None}
    return frozenset(named or {held.most for held in account.holds} or {1})


def _leave(found: _Accounts, evidence: Evidence) -> None:
    """Note which places in a line were certainly given up before anything can have come back."""
    leaving = [account for account in found.values() if account.leaves]
    for ticket in evidence.scenario.tickets:
        mine = [account for account in leaving if account.ticket == ticket.name]
        if mine:
            sold_out = _sold_out_from(found, ticket.name, ticket.initial)
            back = _back_from(evidence, ticket.name)
            for account in mine:
                _leave_line(account, sold_out, back)


def _leave_line(account: Account, sold_out: int, back: int) -> None:
    leaves = FirstAfter((call.invoked, ended(call)) for call in account.leaves)
    for place in account.purchases:
        left = leaves.from_(ended(place.call)) if place.waits and place.call.invoked >= sold_out else NEVER
        if left <= back and left != NEVER:
            account.left[place.call.index] = left


def _sold_out_from(found: Mapping[tuple[str, str], Account], ticket: str, initial: int) -> int:
    """Return from when on nothing remained as long as nothing came back: each person counted once."""
    taken = sorted(
        (min(ended(claim.call) for claim in made), account.fewest)
        for (name, _), account in found.items()
        if name == ticket and (made := account.surely_made())
    )
    sums = accumulate(quantity for _, quantity in taken)
    times = (time for (time, _), total in zip(taken, sums, strict=True) if total >= initial)
    return next(times, NEVER if initial > 0 else -NEVER)


def _back_from(evidence: Evidence, ticket: str) -> int:
    """Return from when on something may have come back, or been added."""
    kinds = (Cancel, Refund, Release, Expire, ChangeCapacity)
    return min(
        (
            call.invoked
            for call in evidence.history
            if isinstance(call.operation, kinds)
            and call.operation.ticket == ticket
            and call.may_have_happened
        ),
        default=NEVER,
    )


def _certain(endings: list[Ending]) -> FirstAfter:
    """Ask with the end of a claim's call by when it had certainly been ended."""
    return FirstAfter((ending.call.invoked, ended(ending.call)) for ending in endings if ending.entitled)


def _possible(endings: list[Ending]) -> FirstAfter:
    """Ask with the beginning of a claim's call from when on it may have been ended."""
    return FirstAfter((ended(ending.call), ending.call.invoked) for ending in endings)


_NO_ENDINGS = Endings(())
_ONE = frozenset({1})
