"""Capacity changes that never go below what is taken; refunds that happen once."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from harness.ticketing import (
    InvalidRsvpError,
    NotFoundError,
    NotOwnerError,
    RetryableError,
    cancel_rsvp,
    change_capacity,
    refund_rsvp,
)
from tests.ticketing.shop import all_of, books, buy, code_of, confirm, hold, on_sale

if TYPE_CHECKING:
    import asyncpg

    from harness.ticketing import RefundRow
    from tests.ticketing.shop import Opening, UntilBlocked


async def test_capacity_moves_both(connection: asyncpg.Connection) -> None:
    """More or less to sell is more or less available; what is sold and held stays."""
    ticket = await on_sale(connection, 3)
    await buy(connection, ticket, "ann")
    await hold(connection, ticket, "bob")
    for capacity, available in ((5, 3), (2, 0), (4, 2), (4, 2)):
        changed = await change_capacity(connection, ticket.id, capacity)
        assert (changed.quantity_initial, changed.quantity_available) == (capacity, available)
        numbers = await books(connection, ticket)
        assert (numbers["sold"], numbers["held"]) == (1, 1)


async def test_not_below_what_is_taken(connection: asyncpg.Connection) -> None:
    """Fewer than are sold and held cannot be; nothing is changed then."""
    ticket = await on_sale(connection, 3)
    await buy(connection, ticket, "ann")
    await hold(connection, ticket, "bob")
    for capacity, reason in ((1, "2 are sold or held"), (0, "cannot be 0"), (-1, "0 or more")):
        with pytest.raises(InvalidRsvpError, match=reason):
            await change_capacity(connection, ticket.id, capacity)
    with pytest.raises(NotFoundError):
        await change_capacity(connection, "nothing", 1)
    assert await books(connection, ticket) == {"available": 1, "sold": 1, "held": 1}


async def test_lowered_beside_a_buyer(opening: Opening, until_blocked: UntilBlocked) -> None:
    """Who lowers the capacity waits for who is buying, and counts them if they commit."""
    buyer, organizer = [await opening() for _ in range(2)]
    for decision, expected in (("commit", "invalid"), ("rollback", "accepted")):
        ticket = await on_sale(buyer, 2)
        transaction = buyer.transaction()
        await transaction.start()
        await buy(buyer, ticket, "ann")
        lowering = asyncio.create_task(code_of(change_capacity(organizer, ticket.id, 0)))
        await until_blocked(organizer)
        await getattr(transaction, decision)()
        assert await lowering == expected
        await books(buyer, ticket)


async def test_bought_while_lowered(opening: Opening, until_blocked: UntilBlocked) -> None:
    """A buyer who waits for the organizer gets one only if there still is one."""
    organizer, buyer = [await opening() for _ in range(2)]
    for decision, expected in (("commit", "sold_out"), ("rollback", "accepted")):
        ticket = await on_sale(organizer, 1)
        transaction = organizer.transaction()
        await transaction.start()
        await change_capacity(organizer, ticket.id, 0)
        buying = asyncio.create_task(code_of(buy(buyer, ticket, "ann")))
        await until_blocked(buyer)
        await getattr(transaction, decision)()
        assert await buying == expected
        await books(organizer, ticket)


async def test_capacities_and_buyers_at_once(opening: Opening) -> None:
    """Capacities going up and down under a rush: never more sold than the last capacity."""
    callers = [await opening() for _ in range(8)]
    for _ in range(8):
        ticket = await on_sale(callers[0], 4)
        await all_of(
            *(code_of(change_capacity(callers[n], ticket.id, n)) for n in range(4)),
            *(code_of(buy(callers[n], ticket, f"p{n}")) for n in range(4, 8)),
        )
        await books(callers[0], ticket)


async def test_refund_gives_back_and_pays(connection: asyncpg.Connection) -> None:
    """A refund cancels, gives the ticket back, and writes the price down that was paid, not today's."""
    ticket = await on_sale(connection, 2)
    made = await buy(connection, ticket, "ann")
    await connection.execute("update tickets set price = 99")
    refund = await refund_rsvp(connection, made.rsvp.id)
    assert (refund.rsvp_id, refund.amount) == (made.rsvp.id, ticket.price)
    assert await books(connection, ticket) == {"available": 2}


async def test_price_not_written_down(connection: asyncpg.Connection) -> None:
    """For an RSVP from before prices were written down the present price is paid back."""
    ticket = await on_sale(connection, 1)
    made = await buy(connection, ticket, "ann")
    await connection.execute("update rsvps set price_paid = null")
    await connection.execute("update tickets set price = 7")
    assert (await refund_rsvp(connection, made.rsvp.id)).amount == Decimal(7)


async def test_price_of_the_moment_of_purchase(opening: Opening, until_blocked: UntilBlocked) -> None:
    """Who buys while the price changes pays what the row says once it is locked."""
    organizer, buyer = [await opening() for _ in range(2)]
    ticket = await on_sale(organizer, 2)
    async with organizer.transaction():
        await organizer.execute("update tickets set price = 12")
        buying = asyncio.create_task(buy(buyer, ticket, "ann"))
        await until_blocked(buyer)
    made = await buying
    assert made.rsvp.price_paid == Decimal(12)
    assert (await refund_rsvp(organizer, made.rsvp.id)).amount == Decimal(12)


async def test_refunded_once(connection: asyncpg.Connection) -> None:
    """Asked again, a refund answers the same and neither pays nor gives back."""
    ticket = await on_sale(connection, 2)
    held = (await hold(connection, ticket, "ann")).hold
    made = await confirm(connection, held.id)
    first = await refund_rsvp(connection, made.rsvp.id)
    assert await refund_rsvp(connection, made.rsvp.id) == first
    assert (await cancel_rsvp(connection, made.rsvp.id)).status == "cancelled"
    assert await books(connection, ticket) == {"available": 2}
    assert await connection.fetchval("select count(*) from refunds") == 1


async def test_nothing_to_refund(connection: asyncpg.Connection) -> None:
    """What was cancelled, is only held, or never was, is not paid back."""
    ticket = await on_sale(connection, 2)
    made = await buy(connection, ticket, "ann")
    await cancel_rsvp(connection, made.rsvp.id)
    with pytest.raises(InvalidRsvpError, match="without a refund"):
        await refund_rsvp(connection, made.rsvp.id)
    held = await hold(connection, ticket, "bob")
    for nothing in (held.hold.id, uuid4()):
        with pytest.raises(NotFoundError):
            await refund_rsvp(connection, nothing)
    assert await connection.fetchval("select count(*) from refunds") == 0


async def test_refunds_at_once(opening: Opening) -> None:
    """Refunds and cancels of one RSVP at once give one ticket back and pay at most once."""
    callers = [await opening() for _ in range(8)]
    for _ in range(5):
        ticket = await on_sale(callers[0], 3)
        made = await buy(callers[0], ticket, "ann")
        codes = await all_of(
            *(
                code_of((cancel_rsvp, refund_rsvp)[n % 2](caller, made.rsvp.id))
                for n, caller in enumerate(callers)
            )
        )
        paid = await callers[0].fetchval("select count(*) from refunds where rsvp_id = $1", made.rsvp.id)
        assert codes == ({"accepted": 8} if paid else {"accepted": 4, "invalid": 4})
        assert await books(callers[0], ticket) == {"available": 3}


async def test_refund_beside_cancel(opening: Opening, until_blocked: UntilBlocked) -> None:
    """A refund that waits for a cancel pays only if the cancel does not happen."""
    first, second = [await opening() for _ in range(2)]
    for decision, expected in (("commit", "invalid"), ("rollback", "accepted")):
        ticket = await on_sale(first, 1)
        made = await buy(first, ticket, "ann")
        transaction = first.transaction()
        await transaction.start()
        await cancel_rsvp(first, made.rsvp.id)
        refunding = asyncio.create_task(code_of(refund_rsvp(second, made.rsvp.id)))
        await until_blocked(second)
        await getattr(transaction, decision)()
        assert await refunding == expected
        assert await books(first, ticket) == {"available": 1}


@pytest.mark.parametrize("isolation", ["repeatable_read", "serializable"])
async def test_refund_under_higher_isolation(
    opening: Opening, until_blocked: UntilBlocked, isolation: str
) -> None:
    """Under stronger isolation the second of two refunds is told to retry, and then answers the same."""
    first, second = [await opening() for _ in range(2)]
    ticket = await on_sale(first, 1)
    made = await buy(first, ticket, "ann")
    transaction = first.transaction(isolation=isolation)
    await transaction.start()
    refund = await refund_rsvp(first, made.rsvp.id)

    async def again() -> RefundRow:
        async with second.transaction(isolation=isolation):
            return await refund_rsvp(second, made.rsvp.id)

    refunding = asyncio.create_task(again())
    await until_blocked(second)
    await transaction.commit()
    with pytest.raises(RetryableError):
        await refunding
    assert await again() == refund
    assert await books(first, ticket) == {"available": 1}


async def test_only_ones_own(connection: asyncpg.Connection) -> None:
    """Asked for by a person, a cancel is refused for what is somebody else's, before and after."""
    ticket = await on_sale(connection, 2)
    made = await buy(connection, ticket, "ann")
    with pytest.raises(NotOwnerError, match="somebody else"):
        await cancel_rsvp(connection, made.rsvp.id, "bob")
    assert await books(connection, ticket) == {"available": 1, "sold": 1}
    for _ in range(2):
        assert (await cancel_rsvp(connection, made.rsvp.id, "ann")).status == "cancelled"
    with pytest.raises(NotOwnerError):
        await cancel_rsvp(connection, made.rsvp.id, "bob")
    with pytest.raises(NotFoundError):
        await cancel_rsvp(connection, uuid4(), "ann")
    with pytest.raises(InvalidRsvpError, match="user id is missing"):
        await cancel_rsvp(connection, made.rsvp.id, " ")
    assert await books(connection, ticket) == {"available": 2}
