"""The replica: a target's books, rebuilt from the transactions that it committed.

Pure. It is told of one transaction after the other and keeps, for the ticket types of one sale, the counters
of its stock tables and the rows of what buyers have. After each it can show the books as of that commit.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from harness.errors import InconclusiveError
from harness.model import Books, Entry, Stock
from harness.model.ledger import Standing
from harness.postgres.pgoutput import ChangeKind

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from harness.model.ledger import Ledger, RowsTable, StockTable
    from harness.postgres.pgoutput import Change, Row, Transaction


class UnreadableLedgerError(InconclusiveError):
    """The log does not say what the target's description promised."""


@dataclass(frozen=True, slots=True)
class _Claim:
    """What one row gives somebody."""

    ticket: str
    person: str
    quantity: int
    standing: Standing


@dataclass(slots=True)
class Replica:
    """The books of one sale, as of the last transaction it was told of."""

    ledger: Ledger
    tickets: Mapping[str, str]
    """The scenario's name of each ticket type, by what the target's tables call it."""
    _numbers: dict[str, dict[str, int | None]] = field(default_factory=dict)
    """Counters by ticket type."""
    _claims: Counter[_Claim] = field(default_factory=Counter)

    def take(self, transaction: Transaction) -> bool:
        """Take a transaction in, and say whether it changed the books of this sale.

        :raises UnreadableLedgerError: when a row cannot be read as described.
        """
        touched = False
        for change in transaction.changes:
            touched |= self._take(change)
        return touched

    def books(self) -> Books:
        """Return the books as of the last transaction."""
        claims = sorted(self._claims.elements(), key=lambda claim: (claim.ticket, claim.person))
        return Books(
            stock=tuple(self._stock(name) for name in self.tickets.values()),
            entries=_entries(claims, Standing.SOLD) if self.ledger.rows else None,
            holds=_entries(claims, Standing.HELD) if self._knows_holds else None,
        )

    @property
    def _knows_holds(self) -> bool:
        return any(Standing.HELD in (table.standing or {}).values() for table in self.ledger.rows)

    def _stock(self, ticket: str) -> Stock:
        numbers = self._numbers.get(ticket, {})
        held = sum(
            claim.quantity * times
            for claim, times in self._claims.items()
            if claim.ticket == ticket and claim.standing is Standing.HELD
        )
        return Stock(
            ticket=ticket,
            initial=numbers.get("capacity") or 0,
            remaining=numbers.get("remaining"),
            sold=numbers.get("sold"),
            held=held,
        )

    def _take(self, change: Change) -> bool:
        if change.kind is ChangeKind.TRUNCATE:
            raise UnreadableLedgerError(f"{change.table} was truncated while people were buying")
        if change.kind is not ChangeKind.INSERT and change.old is None:
            raise UnreadableLedgerError(f"the log of {change.table} does not tell rows as they were")
        for stock in self.ledger.stock:
            if stock.table == change.table:
                return self._take_stock(stock, change)
        for rows in self.ledger.rows:
            if rows.table == change.table:
                return self._take_rows(rows, change)
        return False

    def _take_stock(self, table: StockTable, change: Change) -> bool:
        if change.new is None:
            return False  # A ticket type that is taken out of the table keeps its last numbers.
        values = dict(zip(table.columns, change.new, strict=True))
        ticket = self.tickets.get(values[table.ticket] or "")
        if ticket is None:
            return False
        before = self._numbers.get(ticket)
        self._numbers[ticket] = {
            name: _number(table.table, values[column]) for name, column in _counters(table)
        }
        return before != self._numbers[ticket]

    def _take_rows(self, table: RowsTable, change: Change) -> bool:
        before, after = self._claim(table, change.old), self._claim(table, change.new)
        if before == after:
            return False
        if before is not None:
            self._claims[before] -= 1
            self._claims += Counter()
        if after is not None:
            self._claims[after] += 1
        return True

    def _claim(self, table: RowsTable, row: Row | None) -> _Claim | None:
        """Return what a row gives somebody of this sale, if it gives anything."""
        if row is None:
            return None
        values = dict(zip(table.columns, row, strict=True))
        ticket = self.tickets.get(values[table.ticket] or "")
        standing: Standing | None = Standing.SOLD
        if table.standing is not None and table.status is not None:
            standing = table.standing.get(values[table.status] or "")
        if ticket is None or standing is None:
            return None
        quantity = 1 if table.quantity is None else _number(table.table, values[table.quantity]) or 0
        person = "" if table.person is None else values[table.person] or ""
        return _Claim(ticket, person, quantity, standing)


def _counters(table: StockTable) -> Iterator[tuple[str, str]]:
    """Yield the counters a table has, with their columns."""
    columns = {"remaining": table.remaining, "sold": table.sold, "capacity": table.capacity}
    yield from ((name, column) for name, column in columns.items() if column is not None)


def _number(table: str, value: str | None) -> int | None:
    """Read a whole number.

    :raises UnreadableLedgerError: when it is none.
    """
    try:
        return None if value is None else int(value)
    except ValueError:
        raise UnreadableLedgerError(f"{table} holds {value!r} where a whole number was promised") from None


def _entries(claims: Sequence[_Claim], standing: Standing) -> tuple[Entry, ...]:
    return tuple(
        Entry(ticket=claim.ticket, person=claim.person, quantity=claim.quantity)
        for claim in claims
        if claim.standing is standing
    )
