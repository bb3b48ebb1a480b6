"""Holds: set aside, confirmed, released, and given back by the clock."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from harness.service import Settings, sweeping
from harness.ticketing import expire_holds
from tests.service.running import PATIENCE, connection_to, running, some_key, tally, until

if TYPE_CHECKING:
    from tests.service.running import Sale, Service


async def run_out(sale: Sale) -> None:
    """Let the time of all holds of a sale be over."""
    await sale.service.fetchval(
        "UPDATE rsvps SET expires_at = now() - interval '1 second' WHERE event_id = $1 AND status = 'held'",
        sale.event,
    )


async def test_a_hold_takes_a_ticket_until_it_expires(sale: Sale) -> None:
    """201 with the hold and what is left; ten minutes unless the service was told otherwise."""
    before = datetime.now(UTC)
    response = await sale.hold()
    assert response.status_code == 201
    answer = response.json()
    assert answer["remainingTickets"] == 9
    assert (answer["hold"]["userId"], answer["hold"]["status"]) == ("ann", "held")
    lasts = datetime.fromisoformat(answer["hold"]["expiresAt"]) - before
    assert timedelta(seconds=599) < lasts < timedelta(seconds=660)
    assert await sale.sold() == 0
    assert await sale.people("held") == ["ann"]


async def test_a_hold_is_confirmed_once(sale: Sale) -> None:
    """The RSVP takes the held ticket and no other; asked again, it is the same."""
    hold = (await sale.hold()).json()["hold"]["id"]
    first, second = await sale.confirm(hold), await sale.confirm(hold)
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()
    assert first.json()["rsvp"]["status"] == "confirmed"
    assert first.json()["rsvp"]["email"] == "ann@example.org"
    assert first.json()["remainingTickets"] == 9
    assert await sale.sold() == 1


async def test_a_hold_is_released_once(service: Service) -> None:
    """However often it is asked, one ticket comes back, and somebody else can have it."""
    single = await service.sale(1)
    hold = (await single.hold("ann")).json()["hold"]["id"]
    assert (await single.hold("bob")).json()["error"] == "sold_out"
    responses = await asyncio.gather(*(service.client.delete(f"/api/holds/{hold}") for _ in range(4)))
    assert [response.status_code for response in responses] == [200] * 4
    assert {response.json()["hold"]["status"] for response in responses} == {"released"}
    assert (await single.rsvp("bob")).status_code == 201
    assert (await single.confirm(hold)).json()["error"] == "invalid"
    assert await single.people() == ["bob"]


async def test_who_holds_has_their_place_at_the_event(sale: Sale) -> None:
    """No second hold, and no RSVP beside the hold; and the other way round."""
    await sale.hold("ann")
    await sale.rsvp("bob")
    responses = [await sale.hold("ann"), await sale.rsvp("ann"), await sale.hold("bob")]
    assert tally(responses) == {(409, "duplicate_rsvp"): 3}


async def test_ten_tickets_and_twenty_who_hold(sale: Sale) -> None:
    """As many holds as tickets, and as many RSVPs as holds."""
    holds = await asyncio.gather(*(sale.hold(f"user-{number}") for number in range(20)))
    assert tally(holds) == {(201, None): 10, (409, "sold_out"): 10}
    accepted = [hold.json()["hold"] for hold in holds if hold.status_code == 201]
    await asyncio.gather(*(sale.confirm(hold["id"], hold["userId"]) for hold in accepted))
    assert await sale.sold() == 10


async def test_a_hold_whose_time_is_over_cannot_be_confirmed(sale: Sale) -> None:
    """Swept or not: 409 with a code of its own, and the ticket goes to others once it is swept."""
    hold = (await sale.hold()).json()["hold"]["id"]
    await run_out(sale)
    late = await sale.confirm(hold)
    assert (late.status_code, late.json()["error"]) == (409, "hold_expired")
    swept = await sale.service.client.post("/api/holds/expire")
    assert swept.status_code == 200
    assert swept.json()["expired"] >= 1
    late = await sale.confirm(hold)
    assert (late.status_code, late.json()["error"]) == (409, "hold_expired")
    assert (await sale.service.client.delete(f"/api/holds/{hold}")).json()["hold"]["status"] == "expired"
    assert await sale.people("held") == []
    assert await sale.sold() == 0


async def test_sweeping_is_safe_at_any_time(own_database: str) -> None:
    """Many at once end each hold once, and leave those alone that have time."""
    async with running(own_database, Settings(sweep_every=0)) as service:
        sale = await service.sale(10)
        for user in ("ann", "bob", "cem"):
            await sale.hold(user)
        await run_out(sale)
        await sale.hold("dan")
        responses = await asyncio.gather(*(service.client.post("/api/holds/expire") for _ in range(6)))
        assert sum(response.json()["expired"] for response in responses) == 3
        assert await sale.people("held") == ["dan"]
        assert await sale.sold() == 0


async def test_the_sweeper_gives_back_by_itself(own_database: str) -> None:
    """Nobody has to ask."""
    async with running(own_database, Settings(sweep_every=0.05)) as service:
        sale = await service.sale(1)
        await sale.hold("ann")
        await run_out(sale)

        async def sold_to_bob() -> bool:
            return (await sale.rsvp("bob")).status_code == 201

        await until(sold_to_bob)


async def test_a_hold_lasts_as_long_as_the_service_was_told(own_database: str) -> None:
    """One second is one second."""
    async with running(own_database, Settings(hold_seconds=1, sweep_every=0)) as service:
        sale = await service.sale()
        hold = (await sale.hold()).json()["hold"]["id"]

        async def over() -> bool:
            return bool((await sale.service.client.post("/api/holds/expire")).json()["expired"])

        await until(over)
        assert (await sale.confirm(hold)).json()["error"] == "hold_expired"


async def test_a_sweeper_that_fails_says_so_once_and_goes_on(
    own_database: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without its function it can do nothing; once that is back it does what was left undone."""
    failed = asyncio.Semaphore(0)

    async def noting(connection: Any, limit: int) -> int:
        try:
            return await expire_holds(connection, limit)
        except Exception:
            failed.release()
            raise

    monkeypatch.setattr(sweeping, "expire_holds", noting)
    async with running(own_database, Settings(sweep_every=0.02)) as service:
        sale = await service.sale(1)
        await sale.hold("ann")
        async with connection_to(own_database) as connection:
            await connection.execute("ALTER FUNCTION expire_holds(integer) RENAME TO hidden")
            await run_out(sale)
            async with asyncio.timeout(PATIENCE):
                for _ in range(2):
                    await failed.acquire()
            await connection.execute("ALTER FUNCTION hidden(integer) RENAME TO expire_holds")
        await until(lambda: nobody_holds(sale))
    assert caplog.text.count("Expired holds cannot be given back") == 1


async def nobody_holds(sale: Sale) -> bool:
    """Say whether nothing is held."""
    return not await sale.people("held")


async def test_the_same_key_holds_once_and_confirms_once(sale: Sale) -> None:
    """A lost answer is asked for again, to the byte, and nothing is taken twice."""
    key = some_key()
    holds = [await sale.hold(key=key) for _ in range(2)]
    assert holds[0].content == holds[1].content
    assert holds[1].headers["idempotency-replayed"] == "true"
    hold = holds[0].json()["hold"]["id"]
    other = some_key()
    confirmed = [await sale.confirm(hold, key=other) for _ in range(2)]
    assert confirmed[0].content == confirmed[1].content
    assert confirmed[1].headers["idempotency-replayed"] == "true"
    assert await sale.sold() == 1


async def test_a_key_belongs_to_one_route(sale: Sale) -> None:
    """The same fields sent elsewhere are another request."""
    key = some_key()
    hold = (await sale.hold("ann")).json()["hold"]["id"]
    other = (await sale.hold("bob")).json()["hold"]["id"]
    assert (await sale.confirm(hold, key=key)).status_code == 201
    assert (await sale.confirm(other, key=key)).json()["error"] == "idempotency_key_reused"


async def test_an_expired_hold_stays_expired_under_its_key(sale: Sale) -> None:
    """What the books refused for good is kept."""
    hold = (await sale.hold()).json()["hold"]["id"]
    await run_out(sale)
    key = some_key()
    first = await sale.confirm(hold, key=key)
    await sale.service.fetchval("UPDATE rsvps SET expires_at = now() + interval '1 hour' WHERE id = $1", hold)
    again = await sale.confirm(hold, key=key)
    assert (first.status_code, first.content) == (409, again.content)
    assert (await sale.confirm(hold, key=some_key())).status_code == 201


async def test_what_is_no_hold(sale: Sale) -> None:
    """404 for one that never was, 400 for what is no id or no request."""
    assert (await sale.confirm(str(uuid4()))).status_code == 404
    assert (await sale.confirm("seven")).status_code == 400
    assert (await sale.service.client.delete(f"/api/holds/{uuid4()}")).status_code == 404
    assert (await sale.service.client.delete("/api/holds/seven")).status_code == 400
    refused = await sale.hold(ticketId="")
    assert (refused.status_code, refused.json()["message"][:9]) == (400, "ticketId ")
    assert (await sale.hold(ticketId="none")).status_code == 404
    hold = (await sale.hold()).json()["hold"]["id"]
    refused = await sale.confirm(hold, email="none")
    assert (refused.status_code, refused.json()["message"][:6]) == (400, "email ")
    unknown = await sale.confirm(hold, paymentProofUrl=f"/api/payment-proofs/{uuid4()}")
    assert unknown.json()["error"] == "unknown_payment_proof"


async def test_a_sale_that_has_ended_holds_nothing(service: Service) -> None:
    """410, as for an RSVP."""
    ended = await service.sale(deadline=datetime.now(UTC) - timedelta(seconds=1))
    assert (await ended.hold()).json()["error"] == "sale_closed"
