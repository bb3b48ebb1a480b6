"""Which tables and columns of a target carry its stock and its sales.

A target that says so can be audited at every commit, from the log that Postgres writes anyway: nothing is
asked of the target, and no committed state is missed. Two kinds of tables are enough for what is found in
the wild: those with one row for each ticket type, which hold counters, and those with any number of rows, for
what buyers have or for what there still is.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class Standing(StrEnum):
    """What a row of a buyer's counts as."""

    SOLD = "sold"
    HELD = "held"
    WAITING = "waiting"
    """A place in a line: neither sold nor held."""
    FREE = "free"
    """What remains, where it is kept in rows: a seat that nobody has, or one of several counters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StockTable:
    """A table with one row for each ticket type."""

    table: str
    """As ``schema.table``."""
    ticket: str
    """The column that names the ticket type, as the sale does."""
    remaining: str | None = None
    """The column that counts what remains; ``None`` when no such counter is kept."""
    sold: str | None = None
    capacity: str | None = None
    """The column with how many there are to sell in all."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that are read."""
        optional = (self.remaining, self.sold, self.capacity)
        return (self.ticket, *(column for column in optional if column is not None))


@dataclass(frozen=True, slots=True, kw_only=True)
class RowsTable:
    """A table with rows for what buyers have, or for what there still is."""

    table: str
    ticket: str
    person: str | None = None
    quantity: str | None = None
    """The column with the number of units; ``None`` when every row stands for one."""
    status: str | None = None
    """The column that says whether the row stands; ``None`` when every row does."""
    standing: Mapping[str, Standing] | Standing = Standing.SOLD
    """What a row counts as, by its status, where others do not count (an empty text stands for null); or what
    every row counts as."""
    reservation: str | None = None
    """The column by which buyers know the row: what answers name."""
    place: str | None = None
    """The column by which a line is ordered: whole numbers, the smallest is served first."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that are read."""
        optional = (self.person, self.quantity, self.status, self.reservation, self.place)
        return tuple(dict.fromkeys((self.ticket, *(column for column in optional if column is not None))))

    @property
    def standings(self) -> frozenset[Standing]:
        """What its rows can count as."""
        said = self.standing
        return frozenset((said,) if isinstance(said, Standing) else said.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """All tables that carry the stock of a target."""

    stock: tuple[StockTable, ...] = ()
    rows: tuple[RowsTable, ...] = ()

    @property
    def standings(self) -> frozenset[Standing]:
        """What rows can count as: of anything else these tables tell nothing."""
        return frozenset[Standing]().union(*(table.standings for table in self.rows))

    @property
    def columns(self) -> Mapping[str, tuple[str, ...]]:
        """The columns that are read, by table."""
        tables: tuple[StockTable | RowsTable, ...] = (*self.stock, *self.rows)
        return {table.table: table.columns for table in tables}

    @property
    def whole(self) -> frozenset[str]:
        """The tables of which it must be known how a row was before; of others the new one says it all."""
        return frozenset(table.table for table in self.rows)

    def __post_init__(self) -> None:
        """Refuse what says nothing.

        :raises ValueError: when no table is named, one twice or one without its schema, or when statuses are
            told apart without a column.
        """
        names = [table.table for table in self.stock] + [table.table for table in self.rows]
        if not names:
            raise ValueError("a ledger needs at least one table")
        if len(set(names)) != len(names):
            raise ValueError(f"a table is named twice: {', '.join(names)}")
        if bare := [name for name in names if not all(name.partition("."))]:
            raise ValueError(f"a table is named with its schema, as public.{bare[0].strip('.')}")
        for table in self.rows:
            if (table.status is None) != isinstance(table.standing, Standing):
                raise ValueError(
                    f"{table.table}: the column of the status and what each status counts as go together"
                )
