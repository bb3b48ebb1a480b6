"""Notices of what is available: at every change, when it is committed, in order, and numbered."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest

from harness.ticketing import (
    CHANNEL,
    AvailabilityNotice,
    cancel_rsvp,
    change_capacity,
    create_event,
    create_ticket,
    read_notice,
    release_hold,
)
from tests.ticketing.shop import all_of, beside, book, buy, code_of, confirm, hold, on_sale, wait

if TYPE_CHECKING:
    import asyncpg

    from tests.ticketing.shop import Opening


class Ear:
    """Somebody who listens on a connection of their own."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection
        self._heard: list[AvailabilityNotice] = []

    async def listen(self) -> None:
        await self._connection.add_listener(CHANNEL, self._hear)

    def _hear(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        self._heard.append(read_notice(str(payload)))

    async def heard(self) -> list[AvailabilityNotice]:
        """Return what has come since the last time; after a statement everything has arrived."""
        await self._connection.fetchval("select 1")
        heard, self._heard = self._heard, []
        return heard

    async def available(self) -> list[int]:
        return [notice.available for notice in await self.heard()]

    async def stop(self) -> None:
        await self._connection.remove_listener(CHANNEL, self._hear)


async def test_every_change(opening: Opening) -> None:
    """A ticket put on sale, sold, held, given back or changed is told; what changes no number is not."""
    seller = await opening()
    ear = Ear(await opening())
    await ear.listen()
    ticket = await on_sale(seller, 2)
    assert await ear.heard() == [
        AvailabilityNotice(
            event_id=ticket.event_id, ticket_id=ticket.id, available=2, sold_out=False, sequence=0
        )
    ]
    made = await buy(seller, ticket, "ann")
    held = await hold(seller, ticket, "bob")
    notices = await ear.heard()
    assert [(notice.available, notice.sold_out, notice.sequence) for notice in notices] == [
        (1, False, 1),
        (0, True, 2),
    ]
    await wait(seller, ticket, "cat")
    await confirm(seller, held.hold.id)
    assert await code_of(buy(seller, ticket, "dan")) == "sold_out"
    await cancel_rsvp(seller, made.rsvp.id)
    assert await ear.heard() == [], "it went to Cat, who waited: nothing became available"
    await change_capacity(seller, ticket.id, 5)
    await book(seller, ticket, ["eve", "fay"])
    notices = await ear.heard()
    assert [(notice.available, notice.sequence) for notice in notices] == [(3, 3), (1, 4)]
    await seller.execute("update tickets set quantity_available = 0, price = 1")
    assert await ear.available() == [0]
    await ear.stop()


async def test_only_what_is_committed(opening: Opening) -> None:
    """What is rolled back is never told, and its number goes to the next that happens."""
    seller = await opening()
    ear = Ear(await opening())
    ticket = await on_sale(seller, 2)
    await ear.listen()
    transaction = seller.transaction()
    await transaction.start()
    await buy(seller, ticket, "ann")
    assert await ear.heard() == []
    await transaction.rollback()
    assert await ear.heard() == []
    held = await hold(seller, ticket, "ann")
    await release_hold(seller, held.hold.id)
    notices = await ear.heard()
    assert [(notice.available, notice.sequence) for notice in notices] == [(1, 1), (2, 2)]
    await ear.stop()


async def test_in_order_under_a_rush(opening: Opening) -> None:
    """Of many buyers at once each leaves one notice; numbers have no gap and what is left only falls."""
    buyers = [await opening() for _ in range(8)]
    ear = Ear(await opening())
    ticket = await on_sale(buyers[0], 6)
    other = await beside(buyers[0], ticket, 6)
    await ear.listen()
    await all_of(*(code_of(buy(buyer, (ticket, other)[n % 2], f"p{n}")) for n, buyer in enumerate(buyers)))
    heard = await ear.heard()
    for each in (ticket, other):
        notices = [notice for notice in heard if notice.ticket_id == each.id]
        assert [notice.sequence for notice in notices] == [1, 2, 3, 4]
        assert [notice.available for notice in notices] == [5, 4, 3, 2]
    await ear.stop()


async def test_longest_payload(connection: asyncpg.Connection) -> None:
    """The longest ticket id there can be still fits into a notice, whatever JSON makes of it."""
    event = await create_event(connection, "Concert")
    ear = Ear(connection)
    await ear.listen()
    await connection.execute(
        "insert into tickets (id, event_id, name, quantity_initial, quantity_available)"
        " values (repeat(chr(1), 200), $1, 'Odd', 1, 1), (repeat('🎟', 200), $1, 'Other', 1, 1)",
        event.id,
    )
    assert [len(notice.ticket_id) for notice in await ear.heard()] == [200, 200]
    await ear.stop()


async def test_who_listens_wakes_up(opening: Opening) -> None:
    """A notice comes by itself: nobody has to ask."""
    seller, listener = [await opening() for _ in range(2)]
    told = asyncio.get_running_loop().create_future()

    def hear(_connection: object, _pid: int, _channel: str, payload: object) -> None:
        told.set_result(read_notice(str(payload)).available)

    event = await create_event(seller, "Concert")
    await listener.add_listener(CHANNEL, hear)
    await create_ticket(seller, event.id, "Standard", 10, 7)
    async with asyncio.timeout(20):
        assert await told == 7
    await listener.remove_listener(CHANNEL, hear)


@pytest.mark.parametrize(
    "payload",
    [
        "",
        "hello",
        "[]",
        "{}",
        json.dumps({"event_id": 1, "ticket_id": "t", "available": 1, "sold_out": False}),
        json.dumps({"event_id": 1, "ticket_id": "t", "available": "1", "sold_out": False, "sequence": 1}),
        json.dumps({"event_id": 1, "ticket_id": "t", "available": True, "sold_out": False, "sequence": 1}),
    ],
)
def test_no_notice(payload: str) -> None:
    """What somebody else sends on the channel is not taken for a notice."""
    with pytest.raises(ValueError, match=r".+"):
        read_notice(payload)
