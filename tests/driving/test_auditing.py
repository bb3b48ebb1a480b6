"""The auditor: every commit of a target judged while it is driven, or as often as can be."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from harness.driving.auditing import AuditMode, Auditor, audited, in_words
from harness.driving.guard import started
from harness.errors import TargetFailedError
from harness.model import Books, Entry, Feature, Stock, TicketType, Verdict
from harness.model.events import EvidenceKept
from harness.model.ledger import Ledger, RowsTable, Standing, StockTable
from harness.postgres import connect
from harness.postgres.audit import WrongLedgerError
from harness.specimens import SPECIMENS
from harness.targets import resolve
from tests.driving.judging import judge_of, shipped
from tests.postgres.support import as_user
from tests.turns import next_turn

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from pathlib import Path

    from harness.postgres import Server

STOCK = StockTable(table="public.tickets", ticket="id", remaining="remaining", capacity="size")
ROWS = RowsTable(
    table="public.rsvps",
    ticket="ticket",
    person="who",
    quantity="n",
    status="status",
    standing={"sold": Standing.SOLD, "held": Standing.HELD},
)
LEDGER = Ledger(stock=(STOCK,), rows=(ROWS,))
SCHEMA = """
    CREATE TABLE tickets (id serial PRIMARY KEY, remaining integer, size integer);
    CREATE TABLE rsvps (ticket integer, who text, n integer DEFAULT 1, status text DEFAULT 'sold');
"""
GENERAL = TicketType(name="general", initial=2)
BALCONY = TicketType(name="balcony", initial=5)


@dataclass
class Shop:
    """Two tables, into which a test writes what it likes."""

    database: str
    db: asyncpg.Connection
    ledger: Ledger | None = LEDGER
    ids: dict[str, int] = field(default_factory=dict)

    async def connect(self, name: str) -> Any:
        """Connect nobody: the test is the only buyer."""

    async def open_sale(self, tickets: Sequence[TicketType]) -> dict[str, int]:
        """Insert stock; more than there is at first, which is nobody's affair before the sale is open."""
        for ticket in tickets:
            self.ids[ticket.name] = await self.db.fetchval(
                "INSERT INTO tickets (remaining, size) VALUES ($1 + 1000, $1) RETURNING id", ticket.initial
            )
            await self.db.execute("UPDATE tickets SET remaining = size WHERE id = $1", self.ids[ticket.name])
        return dict(self.ids)

    def ticket_ids(self, sale: Mapping[str, int]) -> Mapping[str, str]:
        """Return what the table calls them."""
        return {str(identity): name for name, identity in sale.items()}

    async def books(self, sale: Mapping[str, int]) -> Books:
        """Read it all."""
        names = {identity: name for name, identity in sale.items()}
        stock = await self.db.fetch("SELECT * FROM tickets WHERE id = ANY ($1)", list(names))
        rows = await self.db.fetch("SELECT * FROM rsvps WHERE ticket = ANY ($1)", list(names))
        entries = {
            status: tuple(
                Entry(ticket=names[row["ticket"]], person=row["who"], quantity=row["n"])
                for row in rows
                if row["status"] == status
            )
            for status in ("sold", "held")
        }
        return Books(
            stock=tuple(
                Stock(
                    ticket=names[row["id"]],
                    initial=row["size"],
                    remaining=row["remaining"],
                    held=sum(e.quantity for e in entries["held"] if e.ticket == names[row["id"]]),
                )
                for row in stock
            ),
            entries=entries["sold"],
            holds=entries["held"],
        )

    async def sell(self, who: str, ticket: str = "general", *, counted: bool = True) -> int:
        """Sell one, with or without the counter, and return the transaction's number."""
        async with self.db.transaction():
            await self.db.execute("INSERT INTO rsvps (ticket, who) VALUES ($1, $2)", self.ids[ticket], who)
            if counted:
                await self.db.execute(
                    "UPDATE tickets SET remaining = remaining - 1 WHERE id = $1", self.ids[ticket]
                )
            return int(await self.db.fetchval("SELECT pg_current_xact_id()::text"))

    async def execute(self, statement: str, ticket: str = "general") -> None:
        """Run a statement about one ticket type."""
        await self.db.execute(statement, self.ids[ticket])


@pytest.fixture
async def shop(database: str) -> AsyncIterator[Shop]:
    """A shop with its tables."""
    db = await connect(database)
    await db.execute(SCHEMA)
    yield Shop(database, db)
    db.terminate()


@contextlib.asynccontextmanager
async def following(
    shop: Shop, *tickets: TicketType, **more: int
) -> AsyncIterator[tuple[Auditor, dict[str, int]]]:
    """Audit a shop that has opened one sale."""
    async with audited(shop.database, shop, shop, **more) as auditor:
        sale = await shop.open_sale(tickets or (GENERAL,))
        await auditor.open(sale, tickets or (GENERAL,))
        yield auditor, sale


def remaining(states: Sequence[Books]) -> list[int | None]:
    """Return what remained in each state."""
    return [books.stock[0].remaining for books in states]


async def test_every_commit_is_a_state_with_the_commit_that_made_it(shop: Shop) -> None:
    """In their order; what was committed before the sale was open is none."""
    async with following(shop) as (auditor, sale):
        assert (auditor.mode, in_words(auditor)) == (AuditMode.EVERY_COMMIT, "every commit")
        xids = [await shop.sell(who) for who in ("ada", "ben")]
        progress = await auditor.catch_up()
        first, second = auditor.states()
        assert (progress.commits, auditor.commits(), progress.breaches) == (2, 2, ())
        assert remaining((first, second)) == [1, 0]
        assert [entry.person for entry in second.entries or ()] == ["ada", "ben"]
        assert first.commit is not None
        assert second.commit is not None
        assert [first.commit.xid, second.commit.xid] == xids
        assert first.commit.at <= second.commit.at
        assert first.commit.rows == (
            "public.rsvps general: ada, nothing -> 1 sold",
            "public.tickets general: remaining 2 -> 1",
        )
        assert auditor.numbers() == {"general": Stock(ticket="general", initial=2, remaining=0, sold=2)}
        assert auditor.difference(await shop.books(sale)) == ""


async def test_a_breach_that_was_mended_at_once_is_seen_and_named(shop: Shop) -> None:
    """One transaction sells too much, the next takes it back: only who looks at every commit knows."""
    async with following(shop) as (auditor, sale):
        await shop.sell("ada")
        wrong = await shop.sell("ben", counted=False)
        await shop.execute("DELETE FROM rsvps WHERE ticket = $1 AND who = 'ben'")
        progress = await auditor.catch_up()
        (breach,) = progress.breaches
        assert (breach.law, breach.ticket, breach.number) == ("no_oversell", "general", 0)
        assert breach.message == ("general: started with 2, at one moment sold 2 and 1 remained: 1 too many.")
        assert breach.commit is not None
        assert breach.commit.xid == wrong
        assert breach.commit.rows == ("public.rsvps general: ben, nothing -> 1 sold",)
        assert (await auditor.catch_up()).breaches == ()
        assert auditor.difference(await shop.books(sale)) == ""


@pytest.mark.parametrize(
    ("statement", "law", "what"),
    [
        ("UPDATE tickets SET remaining = -1 WHERE id = $1", "never_negative", "the count of remaining is -1"),
        ("INSERT INTO rsvps VALUES ($1, 'ada', -3)", "never_negative", "1 rows stand for zero or fewer"),
        ("INSERT INTO rsvps VALUES ($1, 'ada', 1, 'held')", "no_oversell", "1 too many"),
        ("UPDATE tickets SET remaining = 3 WHERE id = $1", "no_oversell", "1 too many"),
    ],
)
async def test_each_way_to_break_a_law_about_states_is_told(
    statement: str, law: str, what: str, shop: Shop
) -> None:
    """With the numbers of that commit."""
    async with following(shop) as (auditor, _):
        await shop.execute(statement)
        progress = await auditor.catch_up()
        assert [(breach.law, what in breach.message) for breach in progress.breaches] == [(law, True)]


async def test_one_transaction_is_one_state(shop: Shop) -> None:
    """What it did in between was never committed; ticket types it moves units between are judged after it."""
    async with following(shop, GENERAL, BALCONY) as (auditor, sale):
        async with shop.db.transaction():
            await shop.execute("UPDATE tickets SET remaining = 99 WHERE id = $1")
            await shop.execute("UPDATE tickets SET remaining = 1 WHERE id = $1")
            await shop.execute("UPDATE tickets SET remaining = 4 WHERE id = $1", "balcony")
        progress = await auditor.catch_up()
        assert (progress.commits, progress.breaches) == (1, ())
        (books,) = auditor.states()
        assert remaining((books,)) == [1]
        assert auditor.difference(await shop.books(sale)) == ""


async def test_a_greater_capacity_is_no_oversell(shop: Shop) -> None:
    """As the target's own column has it."""
    async with following(shop) as (auditor, _):
        await shop.execute("UPDATE tickets SET size = 4, remaining = 4 WHERE id = $1")
        assert (await auditor.catch_up()).breaches == ()
        await shop.execute("UPDATE tickets SET remaining = 5 WHERE id = $1")
        (breach,) = (await auditor.catch_up()).breaches
        assert "changed meanwhile to 4" in breach.message


async def test_several_sales_are_followed_at_a_time(shop: Shop) -> None:
    """Each has its own states, and a closed one is forgotten."""
    async with audited(shop.database, shop, shop) as auditor:
        for number in range(3):
            sale = await shop.open_sale((GENERAL,))
            await auditor.open(sale, (GENERAL,), number)
            for _ in range(number):
                await shop.sell("somebody")
        await auditor.catch_up()
        assert [auditor.commits(number) for number in range(3)] == [0, 1, 2]
        assert [remaining(auditor.states(number)) for number in range(3)] == [[], [1], [1, 0]]
        auditor.close(1)
        await shop.sell("late", counted=False)
        (breach,) = (await auditor.catch_up()).breaches
        assert breach.number == 2
        with pytest.raises(KeyError):
            auditor.commits(1)


async def test_a_sale_that_was_read_of_before_it_was_followed_is_known(shop: Shop) -> None:
    """Somebody may be reading while it is opened; the stock is then in the log before anybody asks for it."""
    async with audited(shop.database, shop, shop) as auditor:
        sale = await shop.open_sale((GENERAL,))
        await auditor.catch_up()
        await auditor.open(sale, (GENERAL,))
        assert auditor.numbers()["general"].remaining == 2
        await shop.sell("ada", counted=False)
        (breach,) = (await auditor.catch_up()).breaches
        assert "sold 1 and 2 remained" in breach.message


async def test_of_a_large_sale_only_what_is_news_is_kept(shop: Shop) -> None:
    """The first state in which a law is broken, and one as bad as it got, more or less."""
    async with following(shop, replace(GENERAL, initial=3), most_kept=0) as (auditor, _):
        for number in range(40):
            await shop.sell(f"buyer-{number}", counted=False)
        assert len((await auditor.catch_up()).breaches) == 1
        assert auditor.commits() == 40
        states = auditor.states()
        assert len(states[0].entries or ()) == 1
        assert len(states) == 2
        assert len(states[-1].entries or ()) >= 40 * 0.8


async def test_when_there_is_no_more_room_states_are_no_longer_kept(shop: Shop) -> None:
    """They are judged all the same."""
    async with following(shop, BALCONY, most_kept=5) as (auditor, _):
        for number in range(5):
            await shop.sell(f"buyer-{number}", "balcony")
        await auditor.catch_up()
        assert (auditor.commits(), len(auditor.states())) == (5, 2)
        await shop.sell("one too many", "balcony", counted=False)
        assert len((await auditor.catch_up()).breaches) == 1
        assert len(auditor.states()) == 3


async def test_books_that_say_otherwise_than_the_log_are_noticed(shop: Shop) -> None:
    """A description of the tables that is not true must not lead to a verdict."""
    async with following(shop) as (auditor, sale):
        await shop.sell("ada")
        await auditor.catch_up()
        books = await shop.books(sale)
        assert auditor.difference(books) == ""
        (stock,) = books.stock
        for wrong, said in [
            (replace(books, stock=(replace(stock, remaining=7),)), "remaining is 1 in the log and 7 in"),
            (replace(books, stock=(replace(stock, held=7),)), "held is 0 in the log and 7"),
            (replace(books, entries=()), "entries: 1 in the log, 0 in the books"),
            (replace(books, stock=()), "general is not in the books"),
        ]:
            assert said in auditor.difference(wrong)


async def test_tables_that_nobody_writes_to_are_noticed(shop: Shop) -> None:
    """No commit says anything of them: that must not be taken for books in which all is well."""
    await shop.db.execute("CREATE TABLE shadow (LIKE tickets)")
    shop.ledger = Ledger(stock=(replace(STOCK, table="public.shadow"),))
    async with following(shop) as (auditor, sale):
        await shop.sell("ada")
        assert (await auditor.catch_up()).commits == 0
        books = await shop.books(sale)
        assert "general has no row in the tables of counters" in auditor.difference(books)
        assert auditor.leaves_out(replace(books, entries=None, holds=None, waiting=None))


async def test_what_the_log_does_not_tell_is_left_out(shop: Shop) -> None:
    """So that whoever drives knows that the books must be looked at besides."""
    shop.ledger = Ledger(stock=(STOCK,), rows=(replace(ROWS, standing=Standing.SOLD, status=None),))
    async with following(shop) as (auditor, sale):
        await auditor.catch_up()
        books = await shop.books(sale)
        assert auditor.leaves_out(books)
        assert not auditor.leaves_out(replace(books, holds=None))


@pytest.mark.parametrize("without", ["ledger", "ids"])
async def test_a_target_that_does_not_say_is_sampled(without: str, shop: Shop) -> None:
    """Which of the two things it does not say is told; breaches are found where a sample happens to lie."""
    shop.ledger = None if without == "ledger" else LEDGER
    running: Any = shop
    if without == "ids":
        running = _WithoutIds(shop)
    async with audited(shop.database, shop, running) as auditor:
        assert auditor.mode is AuditMode.SAMPLED
        assert in_words(auditor).startswith("sampled: the target does not say ")
        sale = await shop.open_sale((GENERAL,))
        await auditor.open(sale, (GENERAL,))
        await auditor.catch_up()
        await auditor.catch_up()
        await shop.sell("ada", counted=False)
        (breach,) = (await auditor.catch_up()).breaches
        assert (breach.law, breach.commit) == ("no_oversell", None)
        assert len(auditor.states()) == 2
        assert auditor.numbers()["general"].sold == 1
        assert (await auditor.catch_up()).breaches == ()
        assert (auditor.commits(), auditor.trouble) == (0, "")
        auditor.close()


async def test_a_sample_tells_a_lowered_capacity_as_lowered(shop: Shop) -> None:
    """What the sale started with stays what it was."""
    shop.ledger = None
    async with following(shop, BALCONY) as (auditor, _):
        await shop.execute("UPDATE tickets SET size = 3, remaining = 9 WHERE id = $1", "balcony")
        (breach,) = (await auditor.catch_up()).breaches
        assert "balcony: started with 5, changed meanwhile to 3, " in breach.message


@dataclass
class _WithoutIds:
    """The same shop, which does not tell what it calls its ticket types."""

    shop: Shop

    async def connect(self, name: str) -> Any:
        """Connect nobody."""

    async def open_sale(self, tickets: Sequence[TicketType]) -> Any:
        """Open one."""
        return await self.shop.open_sale(tickets)

    async def books(self, sale: Any) -> Books:
        """Read them."""
        return await self.shop.books(sale)


async def test_where_the_log_cannot_be_had_the_reason_is_told(shop: Shop) -> None:
    """And snapshots are taken."""
    role = "somebody_who_may_not_replicate"
    await shop.db.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'secret'")
    try:
        url = as_user(shop.database, role, "secret")
        async with audited(url, shop, shop) as auditor:
            assert in_words(auditor).startswith("sampled: the log of this database cannot be read: ")
            assert in_words(auditor).endswith("The user needs REPLICATION and must own the tables.")
            assert "secret" not in in_words(auditor)
    finally:
        await shop.db.execute(f"DROP ROLE {role}")


async def test_a_ledger_that_does_not_fit_is_one_clear_error(shop: Shop) -> None:
    """It is the person's mistake, not a reason to look less closely."""
    shop.ledger = Ledger(stock=(replace(STOCK, remaining="left"),))
    with pytest.raises(WrongLedgerError, match=r"public.tickets.left, which is not there"):
        async with audited(shop.database, shop, shop):
            pass


async def test_a_target_that_names_no_ticket_has_failed(shop: Shop) -> None:
    """Its books could not be told from those of others."""
    async with audited(shop.database, shop, shop) as auditor:
        sale = await shop.open_sale((GENERAL,))
        with pytest.raises(TargetFailedError, match="what its tables call balcony"):
            await auditor.open(sale, (GENERAL, BALCONY))


class Broken(Shop):
    """Does not know what its tables call a ticket type."""

    name = "broken"
    supports = frozenset[Feature]()

    def ticket_ids(self, sale: Mapping[str, int]) -> Mapping[str, str]:
        """Fail."""
        raise LookupError(f"no idea what {sale} is called")

    async def install(self, database: str) -> None:
        """Do nothing: the tables are there."""

    @contextlib.asynccontextmanager
    async def start(self, database: str, folder: Path) -> AsyncIterator[Shop]:  # noqa: ARG002  # it runs
        """Be started already."""
        yield self


async def test_the_guard_names_a_target_that_raises(shop: Shop, tmp_path: Path) -> None:
    """While it is asked what its tables call a ticket type."""
    broken = Broken(shop.database, shop.db)
    async with (
        started(broken, shop.database, tmp_path) as running,
        audited(shop.database, broken, running) as auditor,
    ):
        with pytest.raises(TargetFailedError, match=r"what its tables call a ticket type: .*no idea"):
            await auditor.open(await running.open_sale((GENERAL,)), (GENERAL,))


async def test_everything_gathered_before_the_end_of_an_audit_is_kept(shop: Shop) -> None:
    """The session that reads is ended; what was judged stays judged, and the rest is in doubt."""
    async with following(shop) as (auditor, sale):
        await shop.sell("ada")
        await auditor.catch_up()
        await shop.db.fetchval(
            "SELECT pg_terminate_backend(active_pid, 10000) FROM pg_replication_slots"
            " WHERE slot_name LIKE 'oversell_audit_%' AND database = current_database()"
        )
        await shop.sell("ben")
        progress = await auditor.catch_up()
        assert "can no longer be read" in auditor.trouble
        assert (progress.commits, remaining(auditor.states())) == (1, [1])
        assert progress.lag_seconds > 0
        assert (await auditor.catch_up()).lag_seconds >= progress.lag_seconds
        assert auditor.difference(await shop.books(sale)) == ""
        await auditor.open(sale, (GENERAL,), 1)


async def test_books_that_cannot_be_read_from_the_log_end_the_audit(shop: Shop) -> None:
    """A table that is emptied takes away what was known of it."""
    async with following(shop) as (auditor, _):
        await shop.sell("ada")
        await shop.db.execute("TRUNCATE rsvps")
        await auditor.catch_up()
        assert auditor.trouble == "public.rsvps was truncated while people were buying"
        assert auditor.commits() == 1


async def test_several_may_ask_it_to_catch_up_at_the_same_time(shop: Shop) -> None:
    """Nothing is judged twice, and nothing left out."""
    async with following(shop, replace(GENERAL, initial=100)) as (auditor, _):
        for number in range(20):
            await asyncio.gather(*(auditor.catch_up() for _ in range(3)))
            await shop.sell(f"buyer-{number}")
        await auditor.catch_up()
        assert remaining(auditor.states()) == list(range(99, 79, -1))


async def test_a_reading_that_is_broken_off_ends_the_audit(shop: Shop) -> None:
    """What it had taken from the log is nowhere any more."""
    async with following(shop) as (auditor, _):
        await shop.sell("ada")
        reading = asyncio.create_task(auditor.catch_up())
        await next_turn()
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        assert (await auditor.catch_up()).commits == 0
        assert auditor.trouble == "a reading of the log was broken off"


async def test_a_burst_names_the_commit_that_broke_a_law(server: Server, tmp_path: Path) -> None:
    """The first one, with what it changed; and says that it looked at every commit."""
    async with judge_of(server, SPECIMENS.get("naive").target, tmp_path) as judge:
        check = await judge.check(shipped("last_ticket"), rounds=2)
        (kept, *_) = judge.heard.of(EvidenceKept)
    assert (check.verdict, check.audit) == (Verdict.VIOLATED, "every commit")
    broken = next(violation for violation in check.violations if violation.law == "no_oversell")
    assert broken.commit is not None
    assert any("nothing -> 1 sold" in row for row in broken.commit.rows)
    states = kept.evidence.states
    known = [books.commit for books in states if books.commit is not None]
    first = next(
        books.commit
        for books in states
        if len(books.entries or ()) + (books.stock[0].remaining or 0)
        > kept.evidence.scenario.tickets[0].initial
    )
    assert broken.commit == first
    assert check.commits_audited >= len(known)


async def test_a_burst_judges_every_commit_of_the_shipped_functions(server: Server, tmp_path: Path) -> None:
    """As many as were accepted, where nothing else changes the books."""
    async with judge_of(server, resolve("sql"), tmp_path) as judge:
        check = await judge.check(shipped("rush"), rounds=2)
    assert (check.verdict, check.reasons) == (Verdict.SAFE, ())
    assert check.commits_audited == check.outcomes["accepted"]


@pytest.mark.parametrize(
    ("target", "scenario"),
    [
        ("sql", "holds_race"),
        ("sql", "waiting_in_line"),
        ("sql", "capacity_raised_for_the_line"),
        ("service", "cancel_and_resell"),
        ("specimen:box_office", "waitlist_promotion"),
        ("specimen:box_office", "expired_holds_resell"),
        ("specimen:hold_as_status", "confirm_races_release"),
        ("specimen:waiting_line", "waitlist_promotion"),
        ("specimen:seat_pool", "cancel_and_resell"),
        ("specimen:sharded_counter", "rush"),
        ("specimen:guarded_update", "rush"),
    ],
)
async def test_what_the_tables_tell_is_what_the_books_show(
    target: str, scenario: str, server: Server, tmp_path: Path
) -> None:
    """Nothing right is accused in between, and nothing has to be looked at beside the log."""
    async with judge_of(server, resolve(target), tmp_path) as judge:
        check = await judge.check(shipped(scenario), rounds=2)
    assert (check.verdict, check.reasons, check.violations) == (Verdict.SAFE, (), ())
    assert check.audit == "every commit"
    assert check.states_audited == check.commits_audited + check.runs


async def test_what_the_log_does_not_tell_is_sampled_beside_it(server: Server, tmp_path: Path) -> None:
    """This specimen counts what remains in a table that no ledger can describe."""
    async with judge_of(server, resolve("specimen:exclusion_constraint"), tmp_path) as judge:
        check = await judge.check(shipped("rush"), rounds=2)
    assert (check.verdict, check.audit) == (Verdict.SAFE, "every commit")
    assert check.commits_audited == check.outcomes["accepted"]
    assert check.states_audited > check.commits_audited + check.runs


async def test_a_burst_believes_no_log_that_the_books_contradict(server: Server, tmp_path: Path) -> None:
    """A column that never changes looks like an oversell after every commit; the target is right."""
    target = SPECIMENS.get("guarded_update").target
    described: Ledger = target.ledger  # type: ignore[attr-defined]  # most specimens have one
    stock = replace(described.stock[0], remaining="quantity_initial", capacity=None)

    class Misdescribed(type(target)):  # type: ignore[misc]  # the specimen's own class, whatever it is
        """Names the wrong column."""

        ledger = replace(described, stock=(stock,))

    async with judge_of(server, Misdescribed(), tmp_path) as judge:
        check = await judge.check(shipped("last_ticket"), rounds=2)
    assert (check.verdict, check.violations) == (Verdict.INCONCLUSIVE, ())
    assert any("the log and the target's books do not agree" in reason for reason in check.reasons)


async def test_a_burst_whose_audit_ends_is_inconclusive(server: Server, tmp_path: Path) -> None:
    """Never safe: commits were made that nobody looked at."""
    target = SPECIMENS.get("guarded_update").target

    class Sabotaged(type(target)):  # type: ignore[misc]  # the specimen's own class, whatever it is
        """Ends every session that reads the log while people are buying."""

        @contextlib.asynccontextmanager
        async def start(self, database: str, folder: Path) -> AsyncIterator[Any]:
            async with super().start(database, folder) as running:
                yield _Sabotage(running, database)

    async with judge_of(server, Sabotaged(), tmp_path) as judge:
        check = await judge.check(shipped("last_ticket"), rounds=3)
    assert (check.verdict, check.runs) == (Verdict.INCONCLUSIVE, 1)
    assert any("the log can no longer be read" in reason for reason in check.reasons)


@dataclass
class _Sabotage:
    running: Any
    database: str

    def __getattr__(self, name: str) -> Any:
        return getattr(self.running, name)

    async def books(self, sale: Any) -> Books:
        """Read the books, after the audit was ended."""
        db = await connect(self.database)
        await db.fetchval(
            "SELECT pg_terminate_backend(active_pid, 10000) FROM pg_replication_slots"
            " WHERE slot_name LIKE 'oversell_audit_%' AND database = current_database()"
        )
        await db.close()
        books: Books = await self.running.books(sale)
        return books
