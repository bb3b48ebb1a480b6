"""No two functions of sql/ can deadlock: every pair is run against each other, stopped at every lock.

A function that writes stops at most twice: at a person's place, then at a ticket. A third session holds one
of these; the first function runs until it waits there (or is done), then the second one does; then the third
lets go. Whatever they have locked by then, in whatever order, both must come to an end without error 40P01.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from typing import TYPE_CHECKING
from uuid import UUID

import asyncpg
import pytest

from harness.ticketing import (
    RetryableError,
    TicketingError,
    TicketRow,
    cancel_rsvp,
    change_capacity,
    expire_holds,
    increment_ticket_quantity,
    leave_waitlist,
    refund_rsvp,
    release_hold,
)
from harness.ticketing.rows import to_row
from tests.ticketing.shop import book, books, buy, confirm, hold, run_out, wait

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from typing import Any

    from tests.ticketing.shop import Opening, UntilBlocked

    Call = Callable[[asyncpg.Connection, "Shop"], Awaitable[Any]]


OPEN = """
truncate events, tickets, rsvps, refunds;
insert into events (id, name) overriding system value values (1, 'Concert');
insert into tickets (id, event_id, name, price, quantity_initial, quantity_available)
values ('a', 1, 'A', 10, 3, 3), ('b', 1, 'B', 10, 5, 5);
select create_rsvp(1, 'ann', 'Ann', 'a@x', 'a'), create_hold(1, 'bob', 'a'), create_hold(1, 'cat', 'a');
select join_waitlist(1, 'dan', 'Dan', 'd@x', 'a'), join_waitlist(1, 'eve', 'Eve', 'e@x', 'a');
select create_rsvp(1, 'fay', 'Fay', 'f@x', 'b'), create_hold(1, 'gil', 'b'), create_hold(1, 'ivy', 'b');
update rsvps set expires_at = clock_timestamp() where user_id in ('bob', 'gil', 'ivy');
"""


class Shop:
    """Two tickets of one event, with everything that a person can have there.

    Of the first Ann has an RSVP, Bob and Cat hold one each, Bob's hold has run out, Dan and Eve wait. Of the
    second Fay has an RSVP, Gil and Ivy held one each until their time ran out, and two are free.
    """

    first: TicketRow
    second: TicketRow
    ids: Mapping[str, UUID]

    async def open(self, connection: asyncpg.Connection) -> None:
        """Begin anew."""
        await connection.execute(OPEN)
        tickets = await connection.fetch("select * from tickets order by id")
        self.first, self.second = (to_row(TicketRow, ticket) for ticket in tickets)
        self.ids = {row["user_id"]: row["id"] for row in await connection.fetch("select * from rsvps")}


CALLS: Mapping[str, Call] = {
    "buy": lambda db, shop: buy(db, shop.second, "new"),
    "buy while waiting": lambda db, shop: buy(db, shop.second, "dan"),
    "hold": lambda db, shop: hold(db, shop.second, "new"),
    "confirm": lambda db, shop: confirm(db, shop.ids["cat"]),
    "confirm late": lambda db, shop: confirm(db, shop.ids["bob"]),
    "release": lambda db, shop: release_hold(db, shop.ids["cat"]),
    "release late": lambda db, shop: release_hold(db, shop.ids["ivy"]),
    "expire": lambda db, _: expire_holds(db),
    "group": lambda db, shop: book(db, shop.second, ["zoe", "new"]),
    "group in another order": lambda db, shop: book(db, shop.second, ["new", "zoe"]),
    "cancel": lambda db, shop: cancel_rsvp(db, shop.ids["ann"]),
    "cancel one's own": lambda db, shop: cancel_rsvp(db, shop.ids["fay"], "fay"),
    "refund": lambda db, shop: refund_rsvp(db, shop.ids["ann"]),
    "join": lambda db, shop: wait(db, shop.first, "new"),
    "leave": lambda db, shop: leave_waitlist(db, shop.first.event_id, "dan"),
    "more": lambda db, shop: change_capacity(db, shop.first.id, 5),
    "increment": lambda db, shop: increment_ticket_quantity(db, shop.second.id),
}

GATES: Mapping[str, str] = {
    "both tickets": "select from tickets for no key update",
    "the later ticket": "select from tickets where id = 'b' for no key update",
    "places": "select from rsvps where user_id in ('ann', 'bob', 'cat') for no key update",
    "a later place": "select from rsvps where user_id = 'ivy' for no key update",
    "a new place": "insert into rsvps (event_id, ticket_id, user_id, name, email)"
    " values (1, 'b', 'new', 'n', 'n@x')",
}


STOPPED: Mapping[str, tuple[str, ...]] = {
    "both tickets": tuple(
        name for name in CALLS if name not in ("confirm", "confirm late", "buy while waiting")
    ),
    "the later ticket": (
        "buy",
        "hold",
        "release late",
        "expire",
        "group",
        "group in another order",
        "cancel one's own",
        "increment",
    ),
    "places": ("confirm", "confirm late", "release", "expire", "cancel", "refund"),
    "a later place": ("release late", "expire"),
    "a new place": ("buy", "hold", "group", "group in another order", "join"),
}
"""Who is stopped where."""


async def finished_or_waiting(
    connection: asyncpg.Connection, task: asyncio.Task[str], until_blocked: UntilBlocked
) -> None:
    """Return once the call is over or waits for a lock."""
    waiting = asyncio.ensure_future(until_blocked(connection))
    try:
        await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()
        await asyncio.wait({waiting})


async def outcome(call: Awaitable[Any]) -> str:
    """Return how it ended; a deadlock, and whatever is no refusal, is raised."""
    try:
        await call
    except RetryableError as error:
        raise error.__cause__ or error from None
    except TicketingError as refusal:
        return refusal.code
    return "accepted"


@pytest.mark.parametrize("gate", GATES)
async def test_every_pair_comes_to_an_end(opening: Opening, until_blocked: UntilBlocked, gate: str) -> None:
    """Stopped behind one lock and let go, any two functions both end, and the books add up."""
    gatekeeper, one, other = [await opening() for _ in range(3)]
    for session in (one, other):
        await session.execute("set deadlock_timeout = '20ms'")
    shop = Shop()
    for first, second in itertools.product(STOPPED[gate], CALLS):
        await shop.open(gatekeeper)
        async with asyncio.timeout(30):
            transaction = gatekeeper.transaction()
            await transaction.start()
            await gatekeeper.execute(GATES[gate])
            begun = asyncio.create_task(outcome(CALLS[first](one, shop)))
            await finished_or_waiting(one, begun, until_blocked)
            assert not begun.done(), f"{first} did not come to {gate}"
            followed = asyncio.create_task(outcome(CALLS[second](other, shop)))
            await finished_or_waiting(other, followed, until_blocked)
            await transaction.rollback()
            await asyncio.gather(begun, followed)
        for ticket in (shop.first, shop.second):
            await books(gatekeeper, ticket)


async def test_the_wrong_order_is_seen(opening: Opening, until_blocked: UntilBlocked) -> None:
    """The test above can fail: a canceller that takes the ticket first and the person second deadlocks."""
    gatekeeper, one, other = [await opening() for _ in range(3)]
    await gatekeeper.execute(
        "create function cancel_wrongly(p_id uuid) returns void language plpgsql as $$ begin"
        " perform from tickets where id = 'a' for no key update;"
        " update rsvps set status = 'cancelled', cancelled_at = now() where id = p_id; end $$"
    )
    shop = Shop()
    await shop.open(gatekeeper)
    async with asyncio.timeout(30):
        async with gatekeeper.transaction():
            await gatekeeper.execute("select from tickets where id = 'a' for no key update")
            wrongly = asyncio.create_task(outcome(one.execute("select cancel_wrongly($1)", shop.ids["ann"])))
            await finished_or_waiting(one, wrongly, until_blocked)
            rightly = asyncio.create_task(outcome(cancel_rsvp(other, shop.ids["ann"])))
            await finished_or_waiting(other, rightly, until_blocked)
        ended = await asyncio.gather(wrongly, rightly, return_exceptions=True)
    assert any(isinstance(each, asyncpg.DeadlockDetectedError) for each in ended)


async def test_everything_at_once(opening: Opening) -> None:
    """Twelve sessions doing everything to a few people and tickets never deadlock nor lose a ticket."""
    sessions = [await opening() for _ in range(12)]
    shop = Shop()
    await shop.open(sessions[0])

    async def churn(connection: asyncpg.Connection, seed: int) -> None:
        chance = random.Random(seed)  # noqa: S311  # the same on every run, not a secret
        names = ["ann", "bob", "cat", "dan", "eve", "fay", "gil", "hal"]
        for _ in range(60):
            await outcome(something(connection, shop, chance, names))

    async with asyncio.timeout(120), asyncio.TaskGroup() as group:
        for number, session in enumerate(sessions):
            group.create_task(churn(session, number))
    for ticket in (shop.first, shop.second):
        left = await books(sessions[0], ticket)
        assert not ("available" in left and "waiting" in left), "somebody waits for what is to be had"
    assert await sessions[0].fetch("select * from oversold_tickets") == []
    assert await sessions[0].fetchval("select count(*) from rsvps where status = 'expired'") > 0
    assert await sessions[0].fetchval("select count(*) from refunds") > 0


async def something(
    connection: asyncpg.Connection, shop: Shop, chance: random.Random, names: list[str]
) -> None:
    """Do one thing that somebody could do now."""
    ticket = chance.choice([shop.first, shop.second])
    person = chance.choice(names)
    held = await connection.fetchrow(
        "select id, status from rsvps where event_id = $1 and user_id = $2"
        " and status in ('waiting', 'held', 'confirmed')",
        ticket.event_id,
        person,
    )
    if held is None:
        some = chance.sample(names, 2)
        choices: list[Callable[[], Awaitable[Any]]] = [
            lambda: buy(connection, ticket, person),
            lambda: hold(connection, ticket, person),
            lambda: wait(connection, ticket, person),
            lambda: book(connection, ticket, some),
            lambda: change_capacity(connection, ticket.id, chance.randint(2, 4)),
        ]
    elif held["status"] == "waiting":
        choices = [lambda: leave_waitlist(connection, ticket.event_id, person)]
    elif held["status"] == "held":
        choices = [
            lambda: confirm(connection, held["id"], person),
            lambda: release_hold(connection, held["id"]),
            lambda: expire(connection, held["id"]),
        ]
    else:
        choices = [lambda: cancel_rsvp(connection, held["id"]), lambda: refund_rsvp(connection, held["id"])]
    await chance.choice(choices)()


async def expire(connection: asyncpg.Connection, hold_id: UUID) -> None:
    await run_out(connection, hold_id)
    await expire_holds(connection)
