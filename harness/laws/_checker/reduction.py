"""Reduces the calls of one event to what they do to the number of units that remain of each ticket type.

Most people's calls come one after the other and are answered. Then each answer says what its call did, and
one pass over the history reads that off. Where a person's calls overlap, or something of unknown outcome is
followed by more, the specification is asked what each call can have done (``roles.py``), for
these people alone.

What is lost is only the order in which such a person's calls come among each other. So when the columns have
no explanation, the history has none; and an explanation of the columns is one of the history if the
specification accepts the moments that it gives to the calls of these people, which :meth:`Reduced.fits` asks.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from harness.laws._checker.columns import GIVE, GONE, READ, REFUSAL, TAKE, Columns
from harness.laws._checker.roles import Step, TooManyError, roles
from harness.model.answers import Outcome
from harness.model.history import NEVER, ended
from harness.model.operations import (
    READS,
    Cancel,
    ChangeCapacity,
    Confirm,
    Expire,
    Hold,
    JoinWaitlist,
    LeaveWaitlist,
    ReadAvailability,
    ReadNotice,
    ReadSales,
    Refund,
    Release,
    Reserve,
    ReserveGroup,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from harness.model.evidence import Call
    from harness.model.history import Part
    from harness.model.scenario import TicketType


class OtherStructureError(Exception):
    """The history does not have the structure of a counter; the text says why."""


@dataclass(slots=True)
class Reduced:
    """The columns of each ticket type, and the people about whom they do not say all."""

    tickets: tuple[TicketType, ...]
    calls: tuple[Call, ...]
    columns: dict[str, Columns]
    crowds: list[list[int]] = field(default_factory=list)
    """Calls of people whose calls have to be explained by themselves as well, by place in the history."""
    contradiction: list[int] | None = None
    """Calls of people that nothing explains, whatever the stock."""
    unsaid: str = ""
    """What the columns leave out, so that they can show that there is no explanation, not that there is."""

    def fits(self, orders: Mapping[str, Sequence[int]]) -> bool:
        """Say whether the explanations of the columns leave one for the people whose calls overlap."""
        if not self.crowds:
            return True
        wanted = {at for crowd in self.crowds for at in crowd}
        moments: dict[int, tuple[int, int]] = {}
        changes: dict[int, int] = {}
        for name, order in orders.items():
            columns, moment = self.columns[name], -NEVER
            invoked = columns.invoked
            rows = {row for row, source in enumerate(columns.source) if source in wanted}
            for place, row in enumerate(order):
                if invoked[row] > moment:
                    moment = invoked[row]
                if row in rows and columns.kind[row] in (TAKE, GIVE):
                    sign = 1 if columns.kind[row] == GIVE else -1
                    moments[columns.source[row]] = (moment, place)
                    changes[columns.source[row]] = sign * columns.amount[row]
        return all(self._fits(crowd, moments, changes) for crowd in self.crowds)

    def _fits(
        self, crowd: list[int], moments: Mapping[int, tuple[int, int]], changes: Mapping[int, int]
    ) -> bool:
        """Ask the specification, with the calls that have a moment narrowed down to it."""
        scale = len(crowd) + 1
        ranked = {at: rank for rank, at in enumerate(sorted(moments.keys() & crowd, key=moments.__getitem__))}
        steps: list[Step] = []
        for at in crowd:
            call, change = self.calls[at], changes.get(at, 0)
            if at in ranked:
                moment = moments[at][0] * scale + ranked[at]
                steps.append(Step(call, moment, moment + 1, change))
            else:
                end = ended(call)
                steps.append(Step(call, call.invoked * scale, end * scale if end < NEVER else NEVER, change))
        try:
            return roles(self.tickets, steps) is not None
        except TooManyError:
            return False


def reduced(part: Part) -> Reduced:
    """Reduce the calls of one event.

    :raises OtherStructureError: when what they do to the counters cannot be told.
    """
    scan = _Scan(part)
    scan.run()
    found = Reduced(part.tickets, part.calls, scan.columns, unsaid=scan.unsaid)
    if scan.doubtful:
        _add_crowds(found, scan)
    return found


def _add_crowds(found: Reduced, scan: _Scan) -> None:
    """Let the specification say what the calls of doubtful people can have done."""
    crowd_of = _crowds(scan)
    calls_of: dict[int, list[int]] = defaultdict(list)
    for at, call in enumerate(found.calls):
        operation = call.operation
        if type(operation) is ReserveGroup:
            number = next((crowd_of[each] for each in operation.members if each in crowd_of), None)
        else:
            number = crowd_of.get(operation.person)
        if number is not None and not _says_itself(call):
            calls_of[number].append(at)
    found.crowds = list(calls_of.values())
    known = {at for crowd in found.crowds for at in crowd}
    rows: dict[int, int] = {}
    for columns in found.columns.values():
        for row, at in enumerate(columns.source):
            if at in known:
                rows[at] = row
                columns.kind[row] = GONE
    for crowd in found.crowds:
        _add_crowd(found, crowd, rows)
    for name, columns in found.columns.items():
        found.columns[name] = columns.tidied()


def _add_crowd(found: Reduced, crowd: list[int], rows: Mapping[int, int]) -> None:
    """Put what these calls can have done into their rows, where they have one, or into new ones."""
    calls = [found.calls[at] for at in crowd]
    try:
        known = roles(found.tickets, [Step(call, call.invoked, ended(call)) for call in calls])
    except TooManyError:
        raise OtherStructureError("one person's calls can be ordered in too many ways") from None
    if known is None:
        found.contradiction = found.contradiction or crowd
        return
    taken: dict[str, list[int]] = defaultdict(list)
    for at, call, role in zip(crowd, calls, known, strict=True):
        changes = role.changes - {0}
        if len(changes) > 1:
            raise OtherStructureError("one call can have done different things")
        for change in changes:
            certain = role.changes == changes
            end = min(role.until, ended(call)) if certain else ended(call)
            kind = GIVE if change > 0 else TAKE
            columns = found.columns[call.operation.ticket]
            columns.put(rows.get(at), kind, abs(change), call.invoked, end, not certain or end == NEVER, at)
            mine = taken[call.operation.ticket]
            if kind == TAKE:
                mine.append(at)
            elif mine:
                columns.after[at] = mine.pop()


def _crowds(scan: _Scan) -> dict[str, int]:
    """Return doubtful people, and those who share calls with them, each with the number of their crowd."""
    shared: dict[str, list[tuple[str, ...]]] = defaultdict(list)
    for group in scan.groups:
        for person in group:
            shared[person].append(group)
    crowd_of: dict[str, int] = {}
    for number, first in enumerate(sorted(scan.doubtful)):
        stack = [first]
        while stack:
            person = stack.pop()
            if person not in crowd_of:
                crowd_of[person] = number
                stack.extend(other for group in shared[person] for other in group)
    return crowd_of


def _says_itself(call: Call) -> bool:
    """Say whether the call says the same of the counter whoever made it."""
    operation = call.operation
    if call.outcome is Outcome.SOLD_OUT:
        return isinstance(operation, (Reserve, Hold, ReserveGroup))
    return isinstance(operation, (*READS, ChangeCapacity)) and call.may_have_happened


class _Scan:
    """One pass over the history, which reads off what single answers say."""

    def __init__(self, part: Part) -> None:
        self.columns: dict[str, Columns] = {}
        self.doubtful: set[str] = set()
        """People of whom the answers, one by one, do not say all."""
        self.groups: list[tuple[str, ...]] = []
        """People who share calls."""
        self.unsaid = ""
        self._part = part
        self._rows: dict[str, list[int]] = {ticket.name: [] for ticket in part.tickets}
        """The rows of each ticket type's columns, end to end: to extend one list is the cheapest."""
        self._people: dict[str, _Standing] = {}
        self._closed = {ticket.name for ticket in part.tickets if ticket.closed}
        self._capacity = {ticket.name: (-NEVER, ticket.initial) for ticket in part.tickets}
        self._sales: list[int] = []
        """Reads of sales statistics."""
        self._mixed: set[str] = set()
        """Ticket types of which what is sold does not say how many remain: held ones, changed capacities."""

    def run(self) -> None:
        """Go over all calls.

        :raises OtherStructureError: when one does not fit a counter.
        """
        rows, doubtful, readers = self._rows, self.doubtful, _READERS
        unknown, sold_out, reserve, read = Outcome.UNKNOWN, Outcome.SOLD_OUT, Reserve, ReadAvailability
        for at, call in enumerate(self._part.calls):
            operation, answer, begin, end = call.operation, call.answer, call.invoked, call.completed
            kind, outcome = type(operation), answer.outcome
            mine = rows.get(operation.ticket)
            if mine is None:
                raise OtherStructureError(f"there is no ticket type {operation.ticket}")
            if end is None or outcome is unknown:
                end = NEVER
            elif end <= begin:
                end = begin + 1
            # The two most frequent ones first, which say the same whoever asks.
            if kind is reserve and outcome is sold_out and end < NEVER:
                mine.extend((REFUSAL, operation.quantity, begin, end, False, at))  # type: ignore[union-attr]
            elif kind is read and outcome is Outcome.ACCEPTED and end < NEVER:
                if answer.remaining is not None:
                    mine.extend((READ, answer.remaining, begin, end, False, at))
            elif not readers[kind](self, call, begin, end, at):
                doubtful.add(operation.person)
        for ticket in self._part.tickets:
            flat = rows[ticket.name]
            self.columns[ticket.name] = Columns.of(ticket.initial, (flat[number::6] for number in range(6)))
        self._read_sales()

    def sale(self, call: Call, begin: int, end: int, at: int) -> bool:
        """Read off a reserve or a hold. Like all of these: say whether nothing is left in doubt."""
        wanted: Reserve | Hold = call.operation  # type: ignore[assignment]  # see the table
        ticket, person, units = wanted.ticket, wanted.person, wanted.quantity
        outcome = call.answer.outcome
        if outcome is Outcome.SOLD_OUT:
            if end < NEVER:
                self._rows[ticket].extend((REFUSAL, units, begin, end, False, at))
            return True
        held = isinstance(wanted, Hold)
        if held:
            self._mixed.add(ticket)
        until, standing, _, _, _ = self._people.get(person, _NOBODY)
        if until > begin:
            return False
        if outcome is Outcome.DUPLICATE:
            self._people[person] = (end, *self._people.get(person, _NOBODY)[1:])
            return standing != _FREE
        vain = isinstance(wanted, Reserve) and wanted.in_vain
        if standing != _FREE or units < 1 or vain or ticket in self._closed:
            return False
        self._people[person] = (end, _HELD if held else _STANDS, call.answer.reservation, units, ticket)
        self._rows[ticket].extend((TAKE, units, begin, end, end == NEVER, at))
        return True

    def group(self, call: Call, begin: int, end: int, at: int) -> bool:
        """Read off a reserve for several people."""
        wanted: ReserveGroup = call.operation  # type: ignore[assignment]  # see the table
        ticket, members, names = wanted.ticket, wanted.members, call.answer.group
        if call.answer.outcome is Outcome.SOLD_OUT:
            if end < NEVER:
                self._rows[ticket].extend((REFUSAL, len(members), begin, end, False, at))
            return True
        self.groups.append(members)
        free = all(
            until <= begin and standing == _FREE
            for until, standing, *_ in (self._people.get(member, _NOBODY) for member in members)
        )
        plain = call.answer.outcome is Outcome.ACCEPTED and ticket not in self._closed and free
        if not (plain and members and len(set(members)) == len(members) == len(names)):
            self.doubtful.update(members)
            return bool(members)
        for member, name in zip(members, names, strict=True):
            self._people[member] = (end, _STANDS, name, 1, ticket)
        self._rows[ticket].extend((TAKE, len(members), begin, end, False, at))
        return True

    def give_back(self, call: Call, begin: int, end: int, at: int) -> bool:
        """Read off a cancel, a refund or a release."""
        asked: Cancel | Refund | Release = call.operation  # type: ignore[assignment]  # see the table
        person, ticket = asked.person, asked.ticket
        until, standing, name, units, of = self._people.get(person, _NOBODY)
        release = isinstance(asked, Release)
        named = asked.hold if isinstance(asked, Release) else asked.reservation
        if (
            until > begin
            or standing != (_HELD if release else _STANDS)
            or ticket != of
            or named not in (None, name)
            or not call.may_have_happened
            or (isinstance(asked, Cancel) and asked.whose not in (None, person))
        ):
            return False
        self._people[person] = (end, _FREE, None, 0, "")
        self._rows[ticket].extend((GIVE, units, begin, end, end == NEVER, at))
        return True

    def confirm(self, call: Call, begin: int, end: int, at: int) -> bool:  # noqa: ARG002  # as all of these
        """Read off a confirm, which leaves as many as before."""
        asked: Confirm = call.operation  # type: ignore[assignment]  # see the table
        until, standing, name, units, of = self._people.get(asked.person, _NOBODY)
        plain = until <= begin and standing == _HELD and of == asked.ticket and asked.hold in (None, name)
        if plain and call.answer.outcome is Outcome.ACCEPTED:
            self._people[asked.person] = (end, _STANDS, call.answer.reservation, units, of)
            return True
        return False

    def expire(self, call: Call, begin: int, end: int, at: int) -> bool:  # noqa: ARG002  # as all of these
        """Leave it to the specification what of a person's holds ran out."""
        return False

    def read(self, call: Call, begin: int, end: int, at: int) -> bool:
        """Read off how many remained."""
        if end < NEVER and call.answer.remaining is not None:
            self._rows[call.operation.ticket].extend((READ, call.answer.remaining, begin, end, False, at))
        return _says_itself(call)

    def sales(self, call: Call, begin: int, end: int, at: int) -> bool:  # noqa: ARG002  # as all of these
        """Note how many were sold, to be read off when it is known what else was taken."""
        if end < NEVER and call.answer.sold is not None:
            self._sales.append(at)
        return _says_itself(call)

    def change(self, call: Call, begin: int, end: int, at: int) -> bool:
        """Read off a change of capacity, which takes or gives the difference to the one before."""
        asked: ChangeCapacity = call.operation  # type: ignore[assignment]  # see the table
        if not _says_itself(call):
            return False
        until, capacity = self._capacity[asked.ticket]
        if until > begin or end == NEVER:
            raise OtherStructureError("changes of capacity overlap, or it is not known whether one happened")
        self._mixed.add(asked.ticket)
        self._capacity[asked.ticket] = (end, asked.capacity)
        kind = GIVE if asked.capacity > capacity else TAKE
        self._rows[asked.ticket].extend((kind, abs(asked.capacity - capacity), begin, end, False, at))
        return True

    def line(self, call: Call, begin: int, end: int, at: int) -> bool:  # noqa: ARG002  # as all of these
        """Give up on waiting lines: what comes back goes to whoever waits, and how many remain stays."""
        if call.may_have_happened:
            raise OtherStructureError("somebody waits in line")
        return False

    def _read_sales(self) -> None:
        for at in self._sales:
            call = self._part.calls[at]
            ticket, sold = call.operation.ticket, call.answer.sold
            columns = self.columns[ticket]
            if ticket in self._mixed or sold is None:
                self.unsaid = f"{ticket}: what is sold does not say how many remain"
            else:
                columns.add(READ, columns.initial - sold, call.invoked, ended(call), False, at)
        for ticket in {self._part.calls[at].operation.ticket for at in self._sales}:
            self.columns[ticket] = self.columns[ticket].tidied()


_Standing: TypeAlias = tuple[int, int, str | None, int, str]
"""Of one person: until when the last call lasted; free, standing or held; under what name; how many units; of
which ticket type."""
_FREE, _STANDS, _HELD = range(3)
_NOBODY: _Standing = (-NEVER, _FREE, None, 0, "")
_READERS: Mapping[type, Callable[[_Scan, Call, int, int, int], bool]] = {
    Reserve: _Scan.sale,
    Hold: _Scan.sale,
    ReserveGroup: _Scan.group,
    Cancel: _Scan.give_back,
    Refund: _Scan.give_back,
    Release: _Scan.give_back,
    Confirm: _Scan.confirm,
    Expire: _Scan.expire,
    ReadAvailability: _Scan.read,
    ReadNotice: _Scan.read,
    ReadSales: _Scan.sales,
    ChangeCapacity: _Scan.change,
    JoinWaitlist: _Scan.line,
    LeaveWaitlist: _Scan.line,
}
"""How each kind of operation is read off."""
