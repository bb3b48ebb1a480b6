"""The replica of a target's books follows what the log tells, commit by commit."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.driving.replica import Replica, UnreadableLedgerError
from harness.model import Books, Entry, Stock
from harness.model.ledger import Ledger, RowsTable, Standing, StockTable
from harness.postgres.pgoutput import Change, ChangeKind, Transaction

TICKETS = StockTable(table="public.tickets", ticket="id", remaining="left", capacity="size")
RSVPS = RowsTable(
    table="public.rsvps",
    ticket="ticket_id",
    person="who",
    quantity="n",
    status="status",
    standing={"confirmed": Standing.SOLD, "cart": Standing.HELD, "queue": Standing.WAITING},
    reservation="id",
    place="number",
)
PLAIN = RowsTable(table="public.seats", ticket="ticket_id")


ON_SALE = {"7": ("general", 2), "8": ("balcony", 5)}


class Shown:
    """A replica, of which two ticket types are shown."""

    def __init__(self, *rows: RowsTable) -> None:
        self.replica = Replica(Ledger(stock=(TICKETS,), rows=rows or (RSVPS,)))

    def take(self, transaction: Transaction) -> bool:
        return not ON_SALE.keys().isdisjoint(self.replica.take(transaction))

    def books(self) -> Books:
        return self.replica.books(ON_SALE)


def transaction(*changes: Change) -> Transaction:
    return Transaction(1, 0, 0, changes)


def inserted(table: str, *row: str | None) -> Change:
    return Change(ChangeKind.INSERT, table, None, row)


def updated(table: str, old: tuple[str | None, ...] | None, new: tuple[str | None, ...]) -> Change:
    return Change(ChangeKind.UPDATE, table, old, new)


def deleted(table: str, *row: str | None) -> Change:
    return Change(ChangeKind.DELETE, table, row, None)


OPENING = transaction(
    inserted("public.tickets", "7", "2", "2"),
    inserted("public.tickets", "8", "5", "5"),
    inserted("public.tickets", "9", "100", "100"),
)
ADA = ("7", "ada", "1", "confirmed", "r1", None)


def test_a_purchase_moves_a_unit_from_the_counter_to_the_rows() -> None:
    """As of its commit, not before."""
    books = Shown()
    assert books.take(OPENING)
    before = books.books()
    assert books.take(
        transaction(
            updated("public.tickets", ("7", "2", "2"), ("7", "1", "2")), inserted("public.rsvps", *ADA)
        )
    )
    assert before.stock[0] == Stock(ticket="general", initial=2, remaining=2)
    assert before.entries == ()
    assert books.books().stock[0] == Stock(ticket="general", initial=2, remaining=1)
    assert books.books().entries == (Entry(ticket="general", person="ada", reservation="r1"),)


def test_a_row_counts_as_its_status_says() -> None:
    """A cart is held, a confirmed one is sold, anything else is nothing."""
    books = Shown()
    books.take(OPENING)
    cart = ("7", "ada", "2", "cart", "r1", None)
    books.take(transaction(inserted("public.rsvps", *cart)))
    assert books.books().stock[0].held == 2
    assert books.books().holds == (Entry(ticket="general", person="ada", quantity=2, reservation="r1"),)
    bought = ("7", "ada", "2", "confirmed", "r1", None)
    books.take(transaction(updated("public.rsvps", cart, bought)))
    assert (books.books().stock[0].held, books.books().holds) == (0, ())
    assert books.books().entries == (Entry(ticket="general", person="ada", quantity=2, reservation="r1"),)
    books.take(transaction(updated("public.rsvps", bought, ("7", "ada", "2", "cancelled", "r1", None))))
    assert books.books().entries == ()


def test_two_rows_alike_are_two_rows() -> None:
    """And one that goes leaves the other."""
    books = Shown()
    books.take(transaction(inserted("public.rsvps", *ADA), inserted("public.rsvps", *ADA)))
    assert len(books.books().entries or ()) == 2
    books.take(transaction(deleted("public.rsvps", *ADA)))
    assert len(books.books().entries or ()) == 1


def test_other_sales_are_other_peoples_affair() -> None:
    """Their rows are in the same tables, and change nothing here."""
    books = Shown()
    books.take(OPENING)
    before = books.books()
    assert not books.take(
        transaction(
            inserted("public.rsvps", "9", "ben", "1", "confirmed", "r1", None),
            updated("public.tickets", ("9", "100", "100"), ("9", "99", "100")),
            inserted("public.something", "7"),
        )
    )
    assert books.books() == before


def test_a_change_that_changes_no_number_is_no_new_state() -> None:
    """Such as a new price, or the end of a cancelled row."""
    books = Shown()
    books.take(OPENING)
    assert not books.take(transaction(updated("public.tickets", ("7", "2", "2"), ("7", "2", "2"))))
    assert not books.take(transaction(inserted("public.rsvps", "7", "ada", "1", "cancelled", "r1", None)))
    assert not books.take(transaction(deleted("public.rsvps", "7", "ada", "1", "cancelled", "r1", None)))


def test_a_table_may_tell_no_more_than_the_ticket_type() -> None:
    """Every row is one unit sold; to whom is not known, so that nobody is shown to have two."""
    books = Shown(PLAIN)
    books.take(OPENING)
    books.take(transaction(inserted("public.seats", "8"), inserted("public.seats", "8")))
    assert books.books().entries is None
    assert books.books().holds is None
    assert books.books().stock[1] == Stock(ticket="balcony", initial=5, remaining=5, sold=2)


def test_what_remains_may_be_kept_in_rows() -> None:
    """Seats that nobody has, or several counters; a transfer between two of them is no change."""
    books = Shown(
        RSVPS,
        RowsTable(table="public.seats", ticket="t", status="owner", standing={"": Standing.FREE}),
        RowsTable(table="public.shards", ticket="t", quantity="n", standing=Standing.FREE),
    )
    books.take(OPENING)
    books.take(transaction(*(inserted("public.seats", "8", None) for _ in range(2))))
    books.take(transaction(*(inserted("public.shards", "8", "10") for _ in range(2))))
    assert books.books().stock[1].remaining == 22
    books.take(transaction(updated("public.seats", ("8", None), ("8", "ada"))))
    books.take(
        transaction(
            updated("public.shards", ("8", "10"), ("8", "7")),
            updated("public.shards", ("8", "10"), ("8", "13")),
        )
    )
    assert books.books().stock[1].remaining == 21
    assert books.books().entries == ()


def test_a_line_is_in_its_order() -> None:
    """By the number of the place, whoever came first to the log."""
    books = Shown()
    books.take(
        transaction(
            inserted("public.rsvps", "7", "ben", "1", "queue", "r2", "12"),
            inserted("public.rsvps", "7", "ada", "1", "queue", "r1", "9"),
        )
    )
    assert [place.person for place in books.books().waiting or ()] == ["ada", "ben"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (Change(ChangeKind.TRUNCATE, "public.rsvps", None, None), "was truncated"),
        (updated("public.rsvps", None, ADA), "as they were"),
        (inserted("public.tickets", "7", "many", "2"), "'many' where a whole number"),
        (inserted("public.rsvps", "7", "ada", "1.5", "confirmed", "r1", None), "'1.5' where a whole number"),
    ],
)
def test_what_cannot_be_read_is_said(change: Change, message: str) -> None:
    """Books that may be wrong are never judged."""
    books = Shown()
    books.take(OPENING)
    with pytest.raises(UnreadableLedgerError, match=message):
        books.take(transaction(change))


def test_a_ledger_that_names_nothing_or_a_table_twice_is_refused() -> None:
    """It could not be read either."""
    with pytest.raises(ValueError, match="at least one table"):
        Ledger()
    with pytest.raises(ValueError, match="named twice"):
        Ledger(rows=(RSVPS, RSVPS))
    for name in ("tickets", "tickets.", ".tickets"):
        with pytest.raises(ValueError, match=r"with its schema, as public\.tickets$"):
            Ledger(stock=(StockTable(table=name, ticket="id"),))
    with pytest.raises(ValueError, match="column of the status and what each status counts as"):
        Ledger(rows=(RowsTable(table="public.rsvps", ticket="t", status="status"),))


def test_a_whole_number_may_be_written_with_a_fraction() -> None:
    """Some shops keep quantities as numerics."""
    books = Shown()
    books.take(OPENING)
    books.take(transaction(inserted("public.rsvps", "7", "ada", "2.00", "confirmed", "r1", None)))
    assert books.replica.accounts["7"].units == 2


def test_a_target_may_count_what_it_sold_itself() -> None:
    """That count stands beside the rows, and is no substitute for them unless there are none."""
    table = StockTable(table="public.tickets", ticket="id", remaining="left", capacity="size", sold="sold")
    row = ("7", "1", "9", "2")
    for rows in ((RSVPS,), ()):
        replica = Replica(Ledger(stock=(table,), rows=rows))
        replica.take(transaction(inserted("public.tickets", *row)))
        (stock,) = replica.books(ON_SALE).stock
        assert (stock.remaining, stock.sold) == (1, 9)
        assert replica.sold(replica.accounts["7"]) == (0 if rows else 9)


def test_of_too_many_rows_only_the_totals_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory does not grow with what is sold, and what is sold is still known to the unit."""
    monkeypatch.setattr("harness.driving.replica.MOST_ROWS", 3)
    books = Shown()
    books.take(OPENING)
    rows = [("7", f"buyer-{number}", "2", "confirmed", f"r{number}", None) for number in range(5)]
    books.take(transaction(*(inserted("public.rsvps", *row) for row in rows)))
    assert books.replica.accounts["7"].rows is None
    assert books.books().entries is None
    assert books.books().stock[0].sold == 10
    books.take(transaction(deleted("public.rsvps", *rows[0]), updated("public.rsvps", rows[1], ADA)))
    assert books.books().stock[0].sold == 7


def test_ticket_types_that_nobody_asks_about_are_forgotten_in_time() -> None:
    """The oldest first, and never one that is followed."""
    replica = Replica(Ledger(stock=(TICKETS,)))
    replica.follow(["7"])
    replica.take(OPENING)
    for number in range(100, 400):
        replica.take(transaction(inserted("public.tickets", str(number), "1", "1")))
    assert len(replica.accounts) == 201
    assert "7" in replica.accounts
    assert "100" not in replica.accounts
    replica.forget(["7"])
    assert "7" not in replica.accounts


def test_a_row_that_was_there_before_anybody_looked_never_counted() -> None:
    """Nor is it missed when it goes."""
    books = Shown()
    books.take(OPENING)
    books.take(transaction(deleted("public.rsvps", *ADA)))
    assert books.replica.accounts["7"].units == 0


def test_what_a_commit_changed_is_told_row_by_row() -> None:
    """Of the ticket types that are asked about, and not without end."""
    books = Shown()
    books.take(OPENING)
    change = transaction(
        updated("public.tickets", None, ("7", "1", "2")),
        updated("public.rsvps", ("7", "ada", "1", "cart", "r1", None), ADA),
        inserted("public.rsvps", "9", "ben", "1", "confirmed", "r2", None),
    )
    books.take(change)
    assert books.replica.told(change, {"7": "general"}) == (
        "public.tickets general: remaining 2 -> 1",
        "public.rsvps general: ada, 1 held -> 1 sold",
    )
    many = transaction(
        *(inserted("public.rsvps", "7", f"b{n}", "1", "confirmed", f"b{n}", None) for n in range(20))
    )
    books.take(many)
    *lines, last = books.replica.told(many, {"7": "general"})
    assert (len(lines), last) == (8, "and 12 more")


KINDS = [ChangeKind.INSERT, ChangeKind.UPDATE, ChangeKind.DELETE]
TICKET_IDS = st.sampled_from(["7", "8", "9"])
A_ROW = st.tuples(
    TICKET_IDS,
    st.sampled_from(["ada", "ben"]),
    st.sampled_from(["0", "1", "2", "-1"]),
    st.sampled_from(["confirmed", "cart", "queue", "cancelled"]),
    st.just("r1"),
    st.sampled_from(["1", "2"]),
)


@settings(deadline=None)
@given(st.data())
def test_totals_that_follow_every_change_are_those_of_the_table(data: st.DataObject) -> None:
    """Whatever is inserted, updated and deleted, in whatever transactions, however many rows are alike."""
    most = data.draw(st.sampled_from([0, 2, 1000]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("harness.driving.replica.MOST_ROWS", most)
        books = Shown()
        books.take(OPENING)
        table: list[tuple[str, ...]] = []
        for _ in range(data.draw(st.integers(1, 6))):
            changes = []
            for _ in range(data.draw(st.integers(1, 4))):
                kind = data.draw(st.sampled_from(KINDS if table else KINDS[:1]))
                old = None
                if kind is not ChangeKind.INSERT:
                    old = table.pop(data.draw(st.integers(0, len(table) - 1)))
                new = data.draw(A_ROW) if kind is not ChangeKind.DELETE else None
                table += [new] if new else []
                changes.append(Change(kind, "public.rsvps", old, new))
            books.take(transaction(*changes))
            for ticket in ("7", "8"):
                assert_same(books.replica, ticket, [row for row in table if row[0] == ticket])


def assert_same(replica: Replica, ticket: str, table: list[tuple[str, ...]]) -> None:
    """Hold what the replica says of a ticket type against its rows, counted."""
    account = replica.accounts[ticket]
    sold = [row for row in table if row[3] == "confirmed"]
    held = [row for row in table if row[3] == "cart"]
    assert account.units == sum(int(row[2]) for row in sold)
    assert account.held == sum(int(row[2]) for row in held)
    assert account.empty == sum(int(row[2]) <= 0 for row in sold)
    name = ON_SALE[ticket][0]
    shown = replica.books({ticket: ON_SALE[ticket]})
    if account.rows is not None:
        told = [(row.ticket, row.person, row.quantity) for row in shown.entries or ()]
        assert sorted(told) == sorted((name, row[1], int(row[2])) for row in sold)
        assert len(shown.waiting or ()) == sum(row[3] == "queue" for row in table)
