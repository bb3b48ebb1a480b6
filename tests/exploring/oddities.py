"""Applications that make an explorer's life hard, each right or wrong in a way that is known."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import asyncpg

from harness.model import Answer, Feature, Outcome
from harness.postgres import connect
from harness.specimens._running import RunningShop, ShopSale
from harness.specimens._shop import Shop
from harness.specimens._statements import (
    DUPLICATE,
    ONE_PER_PERSON,
    SOLD_OUT,
    Ticket,
    give_back,
    has_rsvp,
    insert_rsvp,
    take,
)
from harness.specimens.atomic import Atomic
from harness.specimens.naive import Naive

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from harness.model import Books, Gate, Operation, Reserve

ACCEPTED = Answer(Outcome.ACCEPTED)


class PooledShop(Shop):
    """A shop whose clients share one pool, as a web application does."""

    supports = frozenset({Feature.RESERVE})
    size: ClassVar[int] = 4

    @contextlib.asynccontextmanager
    async def start(self, database: str, folder: Path) -> AsyncIterator[RunningPool]:  # noqa: ARG002  # no logs
        db = await connect(database)
        pool = await asyncpg.create_pool(database, min_size=self.size, max_size=self.size)
        background = asyncio.create_task(self.background(pool))
        try:
            yield RunningPool(self, database, db, pool)
        finally:
            background.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await background
            pool.terminate()
            db.terminate()

    async def background(self, pool: Any) -> None:
        """What the application does beside serving requests."""

    async def serve(self, pool: Any, ticket: Ticket, operation: Reserve) -> Answer:
        async with pool.acquire() as db:
            return await self.reserve(db, ticket, operation)

    async def reserve(self, db: Any, ticket: Ticket, operation: Reserve) -> Answer:
        return await Atomic().reserve(db, ticket, operation)


@dataclass(slots=True)
class RunningPool(RunningShop):
    """A pooled shop connected to one database."""

    pool: Any

    async def connect(self, name: str) -> Any:  # noqa: ARG002  # one is like another
        return PoolClient(self.shop, self.pool)


@dataclass(slots=True)
class PoolClient:
    """A buyer in front of a pooled shop."""

    shop: Any
    pool: Any

    async def perform(self, sale: Any, operation: Operation, gate: Gate) -> Answer:
        await gate()
        answer: Answer = await self.shop.serve(self.pool, sale.tickets[operation.ticket], operation)
        return answer

    async def close(self) -> None:
        """Nothing is its own."""

    def abandon(self) -> None:
        """Nothing is its own."""


class LockedInTheApplication(PooledShop):
    """Check and write apart, with a lock of the application around them. Right on one server."""

    name = "locked_in_the_application"

    def __init__(self) -> None:
        self.lock = asyncio.Lock()

    async def serve(self, pool: Any, ticket: Ticket, operation: Reserve) -> Answer:
        async with self.lock, pool.acquire() as db:
            left = await db.fetchval("SELECT quantity_available FROM tickets WHERE id = $1", ticket.id)
            if left < 1:
                return SOLD_OUT
            await db.execute("UPDATE tickets SET quantity_available = $2 WHERE id = $1", ticket.id, left - 1)
            return await insert_rsvp(db, ticket, operation)


class SmallPool(PooledShop):
    """One connection for everybody. Right."""

    name = "small_pool"
    constraints = ONE_PER_PERSON
    size = 1


class InParallel(PooledShop):
    """Looks at two things at once, on two connections, then buys in one transaction. Right."""

    name = "in_parallel"
    constraints = ONE_PER_PERSON

    async def serve(self, pool: Any, ticket: Ticket, operation: Reserve) -> Answer:
        async with pool.acquire() as one, pool.acquire() as two:
            has, left = await asyncio.gather(
                has_rsvp(one, ticket, operation),
                two.fetchval("SELECT quantity_available FROM tickets WHERE id = $1", ticket.id),
            )
        if has:
            return DUPLICATE
        if left < 1:
            return SOLD_OUT
        async with pool.acquire() as db:
            return await self.reserve(db, ticket, operation)


class ConnectionAfterConnection(PooledShop):
    """The published fix, each statement on whichever connection is free. Lets one person in twice."""

    name = "connection_after_connection"

    async def serve(self, pool: Any, ticket: Ticket, operation: Reserve) -> Answer:
        if await has_rsvp(pool, ticket, operation):
            return DUPLICATE
        if not await take(pool, ticket, operation):
            return SOLD_OUT
        try:
            return await insert_rsvp(pool, ticket, operation)
        except asyncpg.PostgresError:
            await give_back(pool, ticket, operation.quantity)
            raise


class Polling(PooledShop):
    """Looks at its own tables every 20 ms, whoever is buying. Right."""

    name = "polling"
    constraints = ONE_PER_PERSON

    async def background(self, pool: Any) -> None:
        while True:
            await pool.fetchval("SELECT count(*) FROM rsvps WHERE status = 'confirmed'")
            await asyncio.sleep(0.02)


class PollingNaive(Polling):
    """The same, selling what was checked a statement ago. Wrong."""

    name = "polling_naive"
    constraints = ""

    async def reserve(self, db: Any, ticket: Ticket, operation: Reserve) -> Answer:
        return await Naive().reserve(db, ticket, operation)


class AnswersFirst(PooledShop):
    """Tells the buyer before it commits. Right for whoever counts in the end."""

    name = "answers_first"

    def __init__(self) -> None:
        self.late: set[asyncio.Task[None]] = set()

    async def serve(self, pool: Any, ticket: Ticket, operation: Reserve) -> Answer:
        db = await pool.acquire()
        transaction = db.transaction()
        await transaction.start()
        taken = await take(db, ticket, operation)
        answer = await insert_rsvp(db, ticket, operation) if taken else SOLD_OUT

        async def finish() -> None:
            await transaction.commit()
            with contextlib.suppress(asyncpg.PostgresError):  # The shop may have closed by then.
                await pool.release(db)

        task = asyncio.create_task(finish())
        self.late.add(task)
        task.add_done_callback(self.late.discard)
        return answer


class Silent(PooledShop):
    """Sells from memory and tells the database nothing. Wrong: nobody is in the books."""

    name = "silent"

    async def serve(self, pool: Any, ticket: Ticket, operation: Reserve) -> Answer:  # noqa: ARG002  # all alike
        return ACCEPTED


class Hanging(PooledShop):
    """Looks once and never answers."""

    name = "hanging"

    async def serve(self, pool: Any, ticket: Ticket, operation: Reserve) -> Answer:
        await has_rsvp(pool, ticket, operation)
        await asyncio.Event().wait()
        return SOLD_OUT


class Moody(PooledShop):
    """Sends another statement every other time."""

    name = "moody"
    constraints = ONE_PER_PERSON

    def __init__(self) -> None:
        self.calls = itertools.count()

    async def reserve(self, db: Any, ticket: Ticket, operation: Reserve) -> Answer:
        if next(self.calls) % 3 == 0:
            await db.fetchval("SELECT name FROM tickets WHERE id = $1", ticket.id)
        return await super().reserve(db, ticket, operation)


class Mortal(Shop):
    """Its backend is ended in the middle of the purchase."""

    name = "mortal"

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        async with db.transaction():
            if not await take(db, ticket, operation):
                return SOLD_OUT
            await db.execute("SELECT pg_terminate_backend(pg_backend_pid())")
            return await insert_rsvp(db, ticket, operation)


class OppositeLocks(Shop):
    """Locks two rows in an order that depends on who asks, then buys apart from that. Deadlocks."""

    name = "opposite_locks"
    constraints = """
        CREATE TABLE counters (id int PRIMARY KEY); INSERT INTO counters VALUES (1), (2);
    """

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        order = (1, 2) if operation.person.endswith("1") else (2, 1)
        async with db.transaction():
            for number in order:
                await db.execute("SELECT FROM counters WHERE id = $1 FOR UPDATE", number)
        sold = await db.fetchval(
            "WITH taken AS (UPDATE tickets SET quantity_available = quantity_available - 1"
            " WHERE id = $2 AND quantity_available > 0 RETURNING id)"
            " INSERT INTO rsvps (event_id, ticket_id, user_id, quantity) SELECT $1, id, $3, 1 FROM taken"
            " RETURNING id",
            ticket.event_id,
            ticket.id,
            operation.person,
        )
        return ACCEPTED if sold else SOLD_OUT


class NoWait(Shop):
    """Locks the ticket or gives up at once. Right."""

    name = "nowait"

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        try:
            async with db.transaction():
                left = await db.fetchval(
                    "SELECT quantity_available FROM tickets WHERE id = $1 FOR UPDATE NOWAIT", ticket.id
                )
                if left < 1:
                    return SOLD_OUT
                await take(db, ticket, operation)
                return await insert_rsvp(db, ticket, operation)
        except asyncpg.LockNotAvailableError:
            return Answer(Outcome.RETRYABLE)


class SkipLocked(Shop):
    """Takes the ticket unless somebody has it locked. Right."""

    name = "skip_locked"

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        async with db.transaction():
            free = await db.fetchval(
                "SELECT id FROM tickets WHERE id = $1 AND quantity_available > 0 FOR UPDATE SKIP LOCKED",
                ticket.id,
            )
            if free is None:
                return Answer(Outcome.RETRYABLE)
            await take(db, ticket, operation)
            return await insert_rsvp(db, ticket, operation)


class TryAdvisory(Shop):
    """Takes an advisory lock of the session or gives up at once, and lets go of it at the end. Right."""

    name = "try_advisory"

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        if not await db.fetchval("SELECT pg_try_advisory_lock($1)", ticket.id):
            return Answer(Outcome.RETRYABLE)
        try:
            return await _check_then_write(db, ticket, operation)
        finally:
            await db.execute("SELECT pg_advisory_unlock($1)", ticket.id)


class TryAdvisoryOnRow(TryAdvisory):
    """The same, with the lock asked for in a query on the ticket. Right."""

    name = "try_advisory_on_row"

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        asked = "SELECT pg_try_advisory_lock(id) FROM tickets WHERE id = $1"
        if not await db.fetchval(asked, ticket.id):
            return Answer(Outcome.RETRYABLE)
        try:
            return await _check_then_write(db, ticket, operation)
        finally:
            await db.execute("SELECT pg_advisory_unlock($1)", ticket.id)


class SessionLock(Shop):
    """Waits for an advisory lock of the session. Right."""

    name = "session_lock"

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        await db.execute("SELECT pg_advisory_lock($1)", ticket.id)
        try:
            return await _check_then_write(db, ticket, operation)
        finally:
            await db.execute("SELECT pg_advisory_unlock($1)", ticket.id)


class Uncounted(Shop):
    """A shop that keeps no counter: what is sold is what stands in the rows."""

    @contextlib.asynccontextmanager
    async def start(self, database: str, folder: Path) -> AsyncIterator[RunningUncounted]:  # noqa: ARG002  # no logs
        db = await connect(database)
        try:
            yield RunningUncounted(self, database, db)
        finally:
            db.terminate()


@dataclass(slots=True)
class RunningUncounted(RunningShop):
    """An uncounted shop connected to one database."""

    async def books(self, sale: ShopSale) -> Books:
        books = await RunningShop.books(self, sale)
        return replace(books, stock=tuple(replace(stock, remaining=None) for stock in books.stock))


class CountThenInsert(Uncounted):
    """Counts the rows, then inserts one, in one transaction. A phantom below SERIALIZABLE."""

    name = "count_then_insert"
    begin: ClassVar[str | None] = None

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        async with db.transaction(isolation=self.begin):
            sold = await db.fetchval(
                "SELECT count(*) FROM rsvps WHERE ticket_id = $1 AND status = 'confirmed'", ticket.id
            )
            if sold >= 1:
                return SOLD_OUT
            await db.execute(
                "INSERT INTO rsvps (event_id, ticket_id, user_id, quantity) VALUES ($1, $2, $3, 1)",
                ticket.event_id,
                ticket.id,
                operation.person,
            )
            return ACCEPTED


class ReadModifyWrite(Shop):
    """Reads the counter and writes one less, in one transaction. A lost update under READ COMMITTED."""

    name = "read_modify_write"

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        async with db.transaction():
            return await _check_then_write(db, ticket, operation)


class LooksElsewhereFirst(Uncounted):
    """Under REPEATABLE READ the first query fixes what all see, whatever it looks at.

    It looks at a table of its own first, then counts, then inserts. Asks for the level itself.
    """

    name = "looks_elsewhere_first"
    constraints = "CREATE TABLE settings (id int); INSERT INTO settings VALUES (1);"

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        async with db.transaction(isolation="repeatable_read"):
            await db.fetchval("SELECT id FROM settings")
            await db.execute("LOCK TABLE rsvps IN EXCLUSIVE MODE")
            sold = await db.fetchval(
                "SELECT count(*) FROM rsvps WHERE ticket_id = $1 AND status = 'confirmed'", ticket.id
            )
            if sold >= 1:
                return SOLD_OUT
            return await insert_rsvp(db, ticket, operation)


class CountsAtCommit(Uncounted):
    """Nothing is checked before a trigger counts the rows at commit. A phantom: both may see one row."""

    name = "counts_at_commit"
    constraints = """
        CREATE FUNCTION not_too_many() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF (SELECT count(*) FROM rsvps WHERE ticket_id = NEW.ticket_id)
               > (SELECT quantity_initial FROM tickets WHERE id = NEW.ticket_id)
            THEN RAISE EXCEPTION 'sold out' USING ERRCODE = 'check_violation'; END IF;
            RETURN NULL;
        END $$;
        CREATE CONSTRAINT TRIGGER not_too_many AFTER INSERT ON rsvps
            DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION not_too_many();
    """

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        try:
            async with db.transaction():
                await db.execute(
                    "INSERT INTO rsvps (event_id, ticket_id, user_id, quantity) VALUES ($1, $2, $3, 1)",
                    ticket.event_id,
                    ticket.id,
                    operation.person,
                )
        except asyncpg.CheckViolationError:
            return SOLD_OUT
        return ACCEPTED


class LooksTwiceInOneFunction(Uncounted):
    """Holds, then confirms; a function counts what is sold, then what is held, with a new snapshot for each.

    A hold that is confirmed between the two counts is in neither. Wrong, and no statement shows it.
    """

    name = "looks_twice_in_one_function"
    constraints = """
        CREATE TABLE holds (ticket_id bigint NOT NULL, user_id text NOT NULL);
        CREATE FUNCTION hold(wanted bigint, buyer text) RETURNS boolean LANGUAGE plpgsql AS $$
        DECLARE sold int; held int;
        BEGIN
            PERFORM pg_advisory_xact_lock(wanted);
            sold := (SELECT count(*) FROM rsvps WHERE ticket_id = wanted);
            held := (SELECT count(*) FROM holds WHERE ticket_id = wanted);
            IF sold + held >= 1 THEN RETURN false; END IF;
            INSERT INTO holds VALUES (wanted, buyer);
            RETURN true;
        END $$;
    """

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        if not await db.fetchval("SELECT hold($1, $2)", ticket.id, operation.person):
            return SOLD_OUT
        await db.execute(
            "WITH mine AS (DELETE FROM holds WHERE ticket_id = $2 AND user_id = $3 RETURNING 1)"
            " INSERT INTO rsvps (event_id, ticket_id, user_id, quantity) SELECT $1, $2, $3, 1 FROM mine",
            ticket.event_id,
            ticket.id,
            operation.person,
        )
        return ACCEPTED


async def _check_then_write(db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
    left = await db.fetchval("SELECT quantity_available FROM tickets WHERE id = $1", ticket.id)
    if left < 1:
        return SOLD_OUT
    await db.execute("UPDATE tickets SET quantity_available = $2 WHERE id = $1", ticket.id, left - 1)
    return await insert_rsvp(db, ticket, operation)
