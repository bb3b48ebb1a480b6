"""Group RSVPs: for everybody or for nobody, in whatever order they are listed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import asyncpg
import pytest

from harness.ticketing import (
    DuplicateRsvpError,
    InvalidRsvpError,
    NotFoundError,
    SoldOutError,
    cancel_rsvp,
    create_group_rsvp,
    leave_waitlist,
)
from tests.ticketing.shop import (
    all_of,
    beside,
    book,
    books,
    buy,
    code_of,
    email,
    hold,
    on_sale,
    people,
    wait,
)

if TYPE_CHECKING:
    from typing import Any

    from tests.ticketing.shop import Opening, UntilBlocked


async def test_one_for_each(connection: asyncpg.Connection) -> None:
    """Each member gets an RSVP of their own, answered in the order in which they were named."""
    ticket = await on_sale(connection, 5)
    made = await book(connection, ticket, ["zoe", "ann", "mia"])
    assert [rsvp.user_id for rsvp in made.rsvps] == ["zoe", "ann", "mia"]
    assert {(rsvp.status, rsvp.price_paid) for rsvp in made.rsvps} == {("confirmed", ticket.price)}
    assert made.remaining == 2
    assert await books(connection, ticket) == {"available": 2, "sold": 3}
    await cancel_rsvp(connection, made.rsvps[0].id)
    assert await books(connection, ticket) == {"available": 3, "sold": 2}


async def test_all_or_nothing(connection: asyncpg.Connection) -> None:
    """One too many, or one who has something already, and nobody gets anything."""
    ticket = await on_sale(connection, 2)
    with pytest.raises(SoldOutError, match="2 are left, not 3"):
        await book(connection, ticket, ["ann", "bob", "cat"])
    assert await books(connection, ticket) == {"available": 2}
    other = await beside(connection, ticket, 5)
    await buy(connection, other, "ann")
    await hold(connection, other, "bob")
    for member in ("ann", "bob"):
        with pytest.raises(DuplicateRsvpError, match=f"The member '{member}' already has"):
            await book(connection, ticket, ["new", member])
    assert await books(connection, ticket) == {"available": 2}


async def test_who_waits_is_no_member(connection: asyncpg.Connection) -> None:
    """Somebody who waits in line leaves it before they are booked for."""
    ticket = await on_sale(connection, 0)
    other = await beside(connection, ticket, 5)
    await wait(connection, ticket, "ann")
    with pytest.raises(InvalidRsvpError, match="waits in line"):
        await book(connection, other, ["ann", "bob"])
    await leave_waitlist(connection, ticket.event_id, "ann")
    assert (await book(connection, other, ["ann", "bob"])).remaining == 3


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"event_id": None}, "event is missing"),
        ({"ticket_id": ""}, "ticket is missing"),
        ({"user_ids": []}, "from 1 to 100"),
        ({"user_ids": None}, "from 1 to 100"),
        ({"user_ids": [f"p{n}" for n in range(101)]}, "from 1 to 100"),
        ({"user_ids": ["ann", "ann"]}, "named twice"),
        ({"user_ids": ["ann", None]}, "named twice, or not"),
        ({"user_ids": ["ann", " "]}, "user id is missing"),
        ({"names": ["Ann"]}, "needs a name"),
        ({"names": ["Ann", ""]}, "name is missing"),
        ({"emails": None}, "needs a name and an email"),
        ({"emails": ["a@b", "nobody"]}, "not an address"),
    ],
)
async def test_group_refused(connection: asyncpg.Connection, change: dict[str, Any], reason: str) -> None:
    """What is no group is refused by name, and takes nothing."""
    ticket = await on_sale(connection, 200)
    values: dict[str, Any] = {
        "event_id": ticket.event_id,
        "ticket_id": ticket.id,
        "user_ids": ["ann", "bob"],
        "names": ["Ann", "Bob"],
        "emails": ["a@b", "b@b"],
        **change,
    }
    arguments = [values[name] for name in ("event_id", "ticket_id", "user_ids", "names", "emails")]
    if None in arguments:
        call = connection.fetch("select from create_group_rsvp($1, $2, $3, $4, $5)", *arguments)
        with pytest.raises(asyncpg.PostgresError, match=reason):
            await call
    else:
        with pytest.raises(InvalidRsvpError, match=reason):
            await create_group_rsvp(connection, **values)
    assert await books(connection, ticket) == {"available": 200}


async def test_odd_arrays(connection: asyncpg.Connection) -> None:
    """Where an array begins to count makes no difference; one of several dimensions is no list of people."""
    ticket = await on_sale(connection, 2)
    call = "select (g.rsvp).user_id from create_group_rsvp($1, $2, {0}, {0}, '[5:6]={{a@b,c@d}}') as g"
    names = "'{{a,b},{c,d}}'"
    with pytest.raises(asyncpg.PostgresError, match="from 1 to 100"):
        await connection.fetch(call.format(names), ticket.event_id, ticket.id)
    names = "'[0:1]={zoe,ann}'"
    rows = await connection.fetch(call.format(names), ticket.event_id, ticket.id)
    assert [row["user_id"] for row in rows] == ["zoe", "ann"]


async def test_ticket_of_another_event(connection: asyncpg.Connection) -> None:
    """A ticket is not sold for an event that is not its own."""
    ticket, other = await on_sale(connection, 5), await on_sale(connection, 5)
    with pytest.raises(NotFoundError):
        await create_group_rsvp(
            connection,
            event_id=other.event_id,
            ticket_id=ticket.id,
            user_ids=["ann"],
            names=["Ann"],
            emails=[email("ann")],
        )


async def test_same_friends_in_other_orders(opening: Opening) -> None:
    """Groups that name the same people in different orders at once: one gets them, no deadlock."""
    callers = [await opening() for _ in range(6)]
    friends = ["ann", "bob", "cat", "dan"]
    for _ in range(10):
        ticket = await on_sale(callers[0], 8)
        codes = await all_of(
            *(
                code_of(book(caller, ticket, friends[n % 4 :] + friends[: n % 4]))
                for n, caller in enumerate(callers)
            )
        )
        assert codes == {"accepted": 1, "duplicate_rsvp": 5}
        assert await books(callers[0], ticket) == {"available": 4, "sold": 4}


async def test_refused_half_way(opening: Opening, until_blocked: UntilBlocked) -> None:
    """A group that waits for one of its members is refused when that one was sold to, and leaves nothing."""
    first, second = [await opening() for _ in range(2)]
    for decision, expected, sold in (("commit", "duplicate_rsvp", 1), ("rollback", "accepted", 3)):
        ticket = await on_sale(first, 3)
        transaction = first.transaction()
        await transaction.start()
        await buy(first, ticket, "bob")
        waiting = asyncio.create_task(code_of(book(second, ticket, ["cat", "bob", "ann"])))
        await until_blocked(second)
        await getattr(transaction, decision)()
        assert await waiting == expected
        assert len(await people(first, ticket, "confirmed")) == sold
        await books(first, ticket)


async def test_groups_and_singles_for_the_rest(opening: Opening) -> None:
    """Groups of two and singles for five tickets at once: all are sold or fewer than a group is left."""
    callers = [await opening() for _ in range(8)]
    for _ in range(5):
        ticket = await on_sale(callers[0], 5)
        await all_of(
            *(
                code_of(book(caller, ticket, [f"a{n}", f"b{n}"]) if n % 2 else buy(caller, ticket, f"p{n}"))
                for n, caller in enumerate(callers)
            )
        )
        assert (await books(callers[0], ticket)).get("available", 0) <= 1


async def test_member_whose_place_has_just_gone(opening: Opening, until_blocked: UntilBlocked) -> None:
    """A member who cancels while the group waits for them is booked after all."""
    first, second = [await opening() for _ in range(2)]
    ticket = await on_sale(first, 3)
    transaction = first.transaction()
    await transaction.start()
    made = await buy(first, ticket, "bob")
    waiting = asyncio.create_task(code_of(book(second, ticket, ["ann", "bob"])))
    await until_blocked(second)
    await cancel_rsvp(first, made.rsvp.id)
    await transaction.commit()
    assert await waiting == "accepted"
    assert await books(first, ticket) == {"available": 1, "sold": 2}
