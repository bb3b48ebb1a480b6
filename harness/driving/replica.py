"""The replica: the books of a target's sales, rebuilt from the transactions that it committed.

Pure. It is told of one transaction after the other and keeps an :class:`Account` of every ticket type that is
mentioned: its counters, and what buyers have of it. Totals are kept up to date with every change, so that a
commit costs as much as it changed, however much was sold before; rows are remembered, so that the books as of
a commit can be shown, as long as there are not too many.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from harness.errors import InconclusiveError
from harness.model import Books, Entry, Stock
from harness.model.ledger import Standing
from harness.postgres.pgoutput import ChangeKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from harness.model import Commit
    from harness.model.ledger import Ledger, RowsTable, StockTable
    from harness.postgres.pgoutput import Change, Row, Transaction

MOST_ROWS = 10_000
"""Rows of one ticket type that are remembered; where there are more, only their totals are."""
_MOST_STRANGERS = 200
"""Ticket types that nobody asked about and that are kept all the same: a sale may be about to be followed."""
_MOST_LINES = 8
"""Changed rows of one commit that are told one by one."""


class UnreadableLedgerError(InconclusiveError):
    """The log does not say what the target's description promised."""


Numbers: TypeAlias = "tuple[int | None, int | None, int | None]"
"""The counters of what remains and what was sold, and the capacity; ``None`` where none is kept."""


class Claim(NamedTuple):
    """What one row gives somebody."""

    standing: Standing
    person: str
    quantity: int
    reservation: str | None
    place: int

    def __str__(self) -> str:
        """Return it in words."""
        return f"{self.quantity} {self.standing}"


@dataclass(slots=True, eq=False)
class Account:
    """One ticket type, as of the last transaction."""

    identity: str
    """What the target's tables call it."""
    numbers: Numbers = (None, None, None)
    capacities: tuple[int, ...] = ()
    """Every capacity that it has had."""
    units: int = 0
    """Units sold, counted in the rows."""
    held: int = 0
    free: int = 0
    empty: int = 0
    """Rows of zero or fewer units that count as sold."""
    rows: dict[Claim, int] | None = field(default_factory=dict)
    """What buyers have, and how often; in the order of the commits. ``None``: there were too many."""

    def add(self, claim: Claim) -> None:
        """Take in a row."""
        self._count(claim, +1)
        if self.rows is not None:
            self.rows[claim] = self.rows.get(claim, 0) + 1
            if len(self.rows) > MOST_ROWS:
                self.rows = None

    def remove(self, claim: Claim) -> None:
        """Take a row out; one that is not known was there before anybody looked, and never counted."""
        if self.rows is not None:
            times = self.rows.pop(claim, 0)
            if times == 0:
                return
            if times > 1:
                self.rows[claim] = times - 1
        self._count(claim, -1)

    def claims(self, standing: Standing) -> Iterator[Claim]:
        """Yield what counts as that, as often as it is there."""
        for claim, times in (self.rows or {}).items():
            if claim.standing is standing:
                for _ in range(times):
                    yield claim

    def _count(self, claim: Claim, times: int) -> None:
        if claim.standing is Standing.SOLD:
            self.units += times * claim.quantity
            if claim.quantity <= 0:
                self.empty += times
        elif claim.standing is Standing.HELD:
            self.held += times * claim.quantity
        elif claim.standing is Standing.FREE:
            self.free += times * claim.quantity


class Replica:
    """The books of every sale, as of the last transaction it was told of."""

    def __init__(self, ledger: Ledger) -> None:
        """Know how the tables are to be read."""
        self.accounts: dict[str, Account] = {}
        """By what the target's tables call the ticket type."""
        self._followed: set[str] = set()
        self._before: dict[str, Numbers] = {}
        """The counters of what the last transaction changed, as they were before it."""
        self._standings = ledger.standings
        self._keeps_free = Standing.FREE in self._standings
        self._keeps_sold = Standing.SOLD in self._standings
        self._knows_people = all(
            table.person is not None for table in ledger.rows if table.standings != {Standing.FREE}
        )
        self._stock = {table.table: _StockReader(table) for table in ledger.stock}
        self._rows = {table.table: _RowsReader(table) for table in ledger.rows}

    def follow(self, identities: Iterable[str]) -> None:
        """Keep what is known about these ticket types until :meth:`forget`."""
        self._followed.update(identities)

    def forget(self, identities: Iterable[str]) -> None:
        """Let go of what is known about these ticket types."""
        for identity in identities:
            self._followed.discard(identity)
            self.accounts.pop(identity, None)

    def take(self, transaction: Transaction) -> Sequence[str]:
        """Take a transaction in, and return the ticket types whose books it changed, each once.

        :raises UnreadableLedgerError: when a row cannot be read as described.
        """
        before: dict[str, Numbers] = {}
        for change in transaction.changes:
            if change.kind is ChangeKind.TRUNCATE:
                raise UnreadableLedgerError(f"{change.table} was truncated while people were buying")
            reader = self._rows.get(change.table)
            if reader is not None:
                self._take_row(reader, change, before)
            elif (stock := self._stock.get(change.table)) is not None and change.new is not None:
                # A ticket type that is taken out of the table keeps its last numbers.
                self._take_numbers(stock, change.new, before)
        self._before = before
        return tuple(before)

    def remaining(self, account: Account) -> int | None:
        """Return how many units remain, if that is kept."""
        return account.free if self._keeps_free else account.numbers[0]

    def sold(self, account: Account) -> int | None:
        """Return how many units were sold: counted in the rows where there are such, else as told."""
        return account.units if self._keeps_sold else account.numbers[1]

    def stock(self, name: str, initial: int, account: Account, *, total: bool = True) -> Stock:
        """Return the numbers of one ticket type.

        :param total: what was sold is counted in the rows; otherwise they stand for themselves.
        """
        capacity = account.numbers[2]
        return Stock(
            ticket=name,
            initial=initial if capacity is None else capacity,
            remaining=self.remaining(account),
            sold=self.sold(account) if total else account.numbers[1],
            held=account.held,
        )

    def books(
        self,
        tickets: Mapping[str, tuple[str, int]],
        commit: Commit | None = None,
        *,
        all_of_them: bool = False,
    ) -> Books:
        """Return the books of some ticket types as of the last transaction.

        :param tickets: for each, by what the tables call it: the scenario's name, and how much there was.
        :param all_of_them: those as well that no transaction has mentioned: of them there are no rows.
        """
        known = [
            (name, initial, self.accounts.get(identity) or Account(identity))
            for identity, (name, initial) in tickets.items()
            if all_of_them or identity in self.accounts
        ]
        # Rows that do not say whose they are would be taken for one person's.
        complete = self._knows_people and all(account.rows is not None for _, _, account in known)
        shown = self._standings if complete else ()
        return Books(
            stock=tuple(
                self.stock(name, initial, account, total=Standing.SOLD not in shown)
                for name, initial, account in known
            ),
            entries=_entries(known, Standing.SOLD) if Standing.SOLD in shown else None,
            holds=_entries(known, Standing.HELD) if Standing.HELD in shown else None,
            waiting=_line(known) if Standing.WAITING in shown else None,
            commit=commit,
        )

    def uncounted(self, tickets: Mapping[str, tuple[str, int]]) -> tuple[str, ...]:
        """Return the ticket types of which no table of counters has a row, although there are such tables."""
        return tuple(
            name
            for identity, (name, _) in tickets.items()
            if self._stock and not any(number is not None for number in self._numbers(identity))
        )

    def told(self, transaction: Transaction, names: Mapping[str, str]) -> tuple[str, ...]:
        """Return what the last transaction changed of some ticket types, one line for each row.

        :param names: the scenario's names, by what the tables call the ticket types.
        """
        lines = [line for change in transaction.changes if (line := self._line(change, names))]
        lines = list(dict.fromkeys(lines))
        more = len(lines) - _MOST_LINES
        return (*lines[:_MOST_LINES], *([f"and {more} more"] if more > 0 else []))

    def _numbers(self, identity: str) -> Numbers:
        account = self.accounts.get(identity)
        return (None, None, None) if account is None else account.numbers

    def _account(self, identity: str) -> Account:
        account = self.accounts.get(identity)
        if account is None:
            account = self.accounts[identity] = Account(identity)
            if len(self.accounts) > _MOST_STRANGERS + len(self._followed):
                del self.accounts[next(each for each in self.accounts if each not in self._followed)]
        return account

    def _take_numbers(self, reader: _StockReader, row: Row, before: dict[str, Numbers]) -> None:
        identity = row[0]
        if identity is None:
            return
        numbers = reader.numbers(row)
        account = self._account(identity)
        if numbers != account.numbers:
            before.setdefault(identity, account.numbers)
            account.numbers = numbers
            capacity = numbers[2]
            if capacity is not None and capacity not in account.capacities:
                account.capacities += (capacity,)

    def _take_row(self, reader: _RowsReader, change: Change, before: dict[str, Numbers]) -> None:
        if change.old is None:
            if change.kind is not ChangeKind.INSERT:
                raise UnreadableLedgerError(f"the log of {change.table} does not tell rows as they were")
            was = None
        else:
            was = reader.claim(change.old)
        now = reader.claim(change.new)
        if was == now:
            return
        if was is not None:
            account = self._account(was[0])
            before.setdefault(was[0], account.numbers)
            account.remove(was[1])
        if now is not None:
            account = self._account(now[0])
            before.setdefault(now[0], account.numbers)
            account.add(now[1])

    def _line(self, change: Change, names: Mapping[str, str]) -> str:
        """Return in words what became of a row; nothing where that is no affair of these ticket types."""
        identity = (change.new or change.old or (None,))[0] or ""
        name = names.get(identity)
        if name is None:
            return ""
        reader = self._rows.get(change.table)
        if reader is None:
            before, now = self._before.get(identity), self.accounts[identity].numbers
            return "" if before is None else f"{change.table} {name}: {_numbers_told(before, now)}"
        was, became = (claim and str(claim[1]) for claim in map(reader.claim, (change.old, change.new)))
        person = reader.person(change.new or change.old)
        whose = f"{person}, " if person else ""
        return f"{change.table} {name}: {whose}{was or 'nothing'} -> {became or 'nothing'}"


class _StockReader:
    """Reads rows of counters. The ticket type comes first in them."""

    def __init__(self, table: StockTable) -> None:
        self._table = table.table
        columns = (table.remaining, table.sold, table.capacity)
        self._places = tuple(None if each is None else table.columns.index(each) for each in columns)

    def numbers(self, row: Row) -> Numbers:
        """Return what remains, what was sold, and the capacity."""
        remaining, sold, capacity = self._places
        return (
            None if remaining is None else _number(self._table, row[remaining]),
            None if sold is None else _number(self._table, row[sold]),
            None if capacity is None else _number(self._table, row[capacity]),
        )


class _RowsReader:
    """Reads rows of what buyers have. The ticket type comes first in them."""

    def __init__(self, table: RowsTable) -> None:
        self._table = table.table
        columns = table.columns
        optional = (table.person, table.quantity, table.status, table.reservation, table.place)
        places = [None if each is None else columns.index(each) for each in optional]
        self._person, self._quantity, self._status, self._reservation, self._place = places
        self._standing = table.standing

    def claim(self, row: Row | None) -> tuple[str, Claim] | None:
        """Return what a row gives whom, with the ticket type, if it gives anything."""
        if row is None or (ticket := row[0]) is None:
            return None
        standing = self._standing
        if not isinstance(standing, Standing):
            status = row[self._status] if self._status is not None else None
            found = standing.get(status or "")
            if found is None:
                return None
            standing = found
        quantity, reservation, place = self._quantity, self._reservation, self._place
        return ticket, Claim(
            standing,
            self.person(row),
            1 if quantity is None else _number(self._table, row[quantity]) or 0,
            None if reservation is None else row[reservation],
            0 if place is None else _number(self._table, row[place]) or 0,
        )

    def person(self, row: Row | None) -> str:
        """Return whose row it is; nobody's where the table does not say."""
        return "" if self._person is None or row is None else row[self._person] or ""


def _numbers_told(before: Numbers, now: Numbers) -> str:
    """Return in words what became of the counters."""
    parts = [
        f"{name} {'' if old is None else f'{old} -> '}{new}"
        for name, old, new in zip(("remaining", "sold", "capacity"), before, now, strict=True)
        if old != new
    ]
    return ", ".join(parts) or "unchanged"


def _number(table: str, value: str | None) -> int | None:
    """Read a whole number.

    :raises UnreadableLedgerError: when it is none.
    """
    if value is None:
        return None
    try:
        return int(value)
    except ValueError:
        whole, _, fraction = value.partition(".")  # as of a column of type numeric
        if whole.lstrip("-").isdecimal() and not fraction.strip("0"):
            return int(whole)
    raise UnreadableLedgerError(f"{table} holds {value!r} where a whole number was promised")


def _entries(known: Iterable[tuple[str, int, Account]], standing: Standing) -> tuple[Entry, ...]:
    return tuple(
        Entry(ticket=name, person=claim.person, quantity=claim.quantity, reservation=claim.reservation)
        for name, _, account in known
        for claim in account.claims(standing)
    )


def _line(known: Iterable[tuple[str, int, Account]]) -> tuple[Entry, ...]:
    """Return who waits, the first first."""
    places = [
        (claim.place, Entry(ticket=name, person=claim.person, reservation=claim.reservation))
        for name, _, account in known
        for claim in account.claims(Standing.WAITING)
    ]
    return tuple(entry for _, entry in sorted(places, key=lambda place: place[0]))
