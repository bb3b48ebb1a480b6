"""Availability live: what a socket hears, in which order, and what becomes of it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket as socket_module
from typing import TYPE_CHECKING, Any

import pytest

from harness.service import Settings
from harness.service.mailbox import QUEUE_LIMIT, Changed, Mailbox, TicketNow
from harness.service.server import _listening
from harness.ticketing import create_event, create_ticket
from tests.service.running import PATIENCE, connection_to, running, until
from tests.service.sockets import ClosedError, opened

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.service.running import Sale, Service

LISTENING = (
    "FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'oversell-service-live'"
)

SELLING = LISTENING.replace("-live", "")
MANY_CHANGES = (
    "DO $$ BEGIN FOR number IN 1..20000 LOOP"
    "  UPDATE tickets SET quantity_available = quantity_available - 1; COMMIT;"
    " END LOOP; END $$"
)


async def test_it_says_what_there_is_and_then_what_changes(sale: Sale) -> None:
    """First all ticket types, then one message for each change, with ever greater numbers."""
    async with opened(sale.service, sale.event) as socket:
        assert await socket.receive() == {
            "type": "snapshot",
            "eventId": sale.event,
            "tickets": [{"ticketId": sale.ticket, "available": 10, "soldOut": False, "sequence": 0}],
        }
        rsvp = (await sale.rsvp()).json()["rsvp"]
        await sale.service.client.delete(f"/api/rsvp/{rsvp['id']}")
        change = {"type": "availability", "eventId": sale.event, "ticketId": sale.ticket, "soldOut": False}
        assert await socket.receive() == change | {"available": 9, "sequence": 1}
        assert await socket.receive() == change | {"available": 10, "sequence": 2}


async def test_a_sold_out_notice_reaches_everybody(service: Service) -> None:
    """Whoever watches learns without asking that nothing is left, and that something came back."""
    single = await service.sale(1)
    async with opened(service, single.event) as ann, opened(service, single.event) as bob:
        for socket in (ann, bob):
            await socket.receive()
        rsvp = (await single.rsvp()).json()["rsvp"]
        for socket in (ann, bob):
            message = await socket.receive()
            assert (message["available"], message["soldOut"]) == (0, True)
        await service.client.delete(f"/api/rsvp/{rsvp['id']}")
        for socket in (ann, bob):
            message = await socket.receive()
            assert (message["available"], message["soldOut"]) == (1, False)


async def test_only_what_one_watches_is_heard(service: Service, sale: Sale) -> None:
    """Changes of another event go to those who watch that one."""
    other = await service.sale()
    async with opened(service, sale.event) as socket:
        await socket.receive()
        await other.rsvp()
        await sale.rsvp()
        assert (await socket.receive())["ticketId"] == sale.ticket


async def test_a_ticket_type_that_is_added_is_heard_of(service: Service, sale: Sale) -> None:
    """It need not have been there when the socket was opened."""
    async with opened(service, sale.event) as socket:
        await socket.receive()
        async with connection_to(service.database) as connection:
            added = await create_ticket(connection, sale.event, "Added", 5, 3)
        message = await socket.receive()
        assert (message["ticketId"], message["available"]) == (added.id, 3)


async def test_an_event_without_ticket_types_is_an_event(service: Service) -> None:
    """Its snapshot is empty."""
    async with connection_to(service.database) as connection:
        event = await create_event(connection, "Nothing yet")
    async with opened(service, event.id) as socket:
        assert (await socket.receive())["tickets"] == []


@pytest.mark.parametrize("event", [2**53 - 1, 2**70, 0, "x", "%C2%B2", "-1", "%00"])
async def test_an_event_that_is_none_closes_with_4404(service: Service, event: object) -> None:
    """An unknown event and what cannot be one end alike."""
    async with opened(service, event) as socket:
        assert await socket.until_closed() == 4404


async def test_every_state_is_heard_in_order_and_none_that_never_was(service: Service) -> None:
    """Through a rush of buyers, each of many sockets counts down one by one, however late it came."""
    sale = await service.sale(20)

    async def watch() -> list[int]:
        async with opened(service, sale.event) as socket:
            return await socket.until_available(0)

    async with asyncio.TaskGroup() as tasks:
        watching = []
        for buyer in range(40):
            watching.append(tasks.create_task(watch()))
            tasks.create_task(sale.rsvp(f"buyer-{buyer}"))
    for task in watching:
        first, *_ = seen = task.result()
        assert seen == list(range(first, -1, -1))


async def test_what_is_rolled_back_was_never_there(sale: Sale) -> None:
    """A purchase that is undone is no change."""
    async with opened(sale.service, sale.event) as socket:
        await socket.receive()
        async with connection_to(sale.service.database) as connection:
            transaction = connection.transaction()
            await transaction.start()
            await connection.execute("SELECT decrement_ticket_quantity($1)", sale.ticket)
            await transaction.rollback()
        assert await socket.sync() == []


async def test_a_sync_is_answered_after_all_that_came_before(service: Service) -> None:
    """Who has had an answer to a purchase finds it among what was heard before the sync's."""
    sale = await service.sale(100)
    async with opened(service, sale.event) as socket:
        await socket.receive()
        for left in range(99, 69, -1):
            await sale.rsvp(f"buyer-{left}")
            assert [message["available"] for message in await socket.sync()] == [left]


async def test_syncs_are_told_apart_by_their_ids(sale: Sale) -> None:
    """Many at once have an answer each, with the number they came with."""
    async with opened(sale.service, sale.event) as socket:
        await socket.receive()
        for number in range(30):
            socket.send(f'{{"type": "sync", "id": {number}}}')
        answers = [await socket.receive() for _ in range(30)]
    assert sorted(answer.pop("id") for answer in answers) == list(range(30))
    assert answers == [{"type": "synced"}] * 30


@pytest.mark.parametrize(
    "text", ["", "sync", "{}", "[]", '{"type": "buy"}', '{"type": "sync", "id": "x"}', "[" * 900]
)
async def test_a_message_that_is_not_understood_closes_with_1008(sale: Sale, text: str) -> None:
    """Nothing is guessed."""
    async with opened(sale.service, sale.event) as socket:
        await socket.receive()
        socket.send(text)
        assert await socket.until_closed() == 1008


async def test_a_message_that_is_too_long_closes_with_1009(sale: Sale) -> None:
    """Nobody can have us keep megabytes."""
    async with opened(sale.service, sale.event) as socket:
        await socket.receive()
        socket.send("x" * 100_000)
        assert await socket.until_closed() == 1009


async def test_one_more_than_there_may_be_is_told_to_come_back(own_database: str) -> None:
    """1013 while the place is taken; once its client has left, in whichever way, it is free."""
    async with running(own_database, Settings(live_sockets=1)) as service:
        sale = await service.sale()
        async with opened(service, sale.event) as first:
            await first.receive()
            async with opened(service, sale.event) as second:
                assert await second.until_closed() == 1013
        await until(lambda: has_a_place(sale))


async def test_a_lost_listener_comes_back_and_tells_everybody_what_is_true(
    own_database: str, caplog: pytest.LogCaptureFixture
) -> None:
    """What changed while nobody could listen is in a fresh snapshot, and changes are heard again."""
    async with running(own_database) as service, connection_to(own_database) as connection:
        sale = await service.sale()
        async with opened(service, sale.event) as ann, opened(service, sale.event) as bob:
            for socket in (ann, bob):
                await socket.receive()
            async with nobody_can_connect(own_database):
                await connection.execute(f"SELECT pg_terminate_backend(pid) {LISTENING}")
                await until(lambda: gone(connection))
                await connection.execute("SELECT decrement_ticket_quantity($1)", sale.ticket)
            for socket in (ann, bob):
                message = await socket.receive()
                assert message["type"] == "snapshot"
                assert [ticket["available"] for ticket in message["tickets"]] == [9]
            await sale.rsvp()
            for socket in (ann, bob):
                assert (await socket.receive())["available"] == 8
                assert await socket.sync() == []
    assert caplog.text.count("No changes of availability are heard") == 1


async def test_who_comes_while_nothing_can_be_heard_is_told_to_come_back(own_database: str) -> None:
    """1013 after a bound, and not a number that may be wrong; a sync ends alike."""
    settings = Settings(pool_wait=0.2)
    async with running(own_database, settings) as service, connection_to(own_database) as connection:
        sale = await service.sale()
        async with opened(service, sale.event) as early:
            await early.receive()
            async with nobody_can_connect(own_database):
                await connection.execute(f"SELECT pg_terminate_backend(pid) {LISTENING}")
                await until(lambda: gone(connection))
                early.send('{"type": "sync"}')
                assert await early.until_closed() == 1013
                async with opened(service, sale.event) as late:
                    assert await late.until_closed() == 1013
        await until(lambda: listening(service))
        async with opened(service, sale.event) as again:
            assert (await again.receive())["type"] == "snapshot"


async def test_a_sync_that_others_are_in_the_way_of_is_told_to_come_back(
    own_database: str, caplog: pytest.LogCaptureFixture
) -> None:
    """1013, as for any passing trouble, and no line in the log: nothing is wrong on our side."""
    async with running(own_database, Settings(lock_wait=0.1)) as service:
        sale = await service.sale()
        async with opened(service, sale.event) as socket:
            await socket.receive()
            async with connection_to(own_database) as connection, connection.transaction():
                await connection.execute("LOCK TABLE tickets IN ACCESS EXCLUSIVE MODE")
                socket.send('{"type": "sync"}')
                assert await socket.until_closed() == 1013
    assert caplog.text == ""


async def test_a_listener_that_falls_silent_is_found_out(own_database: str) -> None:
    """A connection that stands but no longer answers is given up after a while, and made anew."""
    settings = Settings(listen_check=0.05, statement_wait=0.2)
    async with running(own_database, settings) as service, connection_to(own_database) as connection:
        sale = await service.sale()
        async with opened(service, sale.event) as socket:
            await socket.receive()
            async with connection.transaction():
                await connection.execute("LOCK TABLE events IN ACCESS EXCLUSIVE MODE")
                (before,) = await connection.fetchval(f"SELECT array_agg(pid) {LISTENING}")
                await until(lambda: another(service, before))
            message = await socket.receive()
            assert message["type"] == "snapshot"


async def test_a_notification_that_is_none_of_ours_is_passed_over(
    own_database: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Anybody may notify any channel; nobody loses their socket by it, and the log has one line."""
    async with running(own_database) as service, connection_to(own_database) as connection:
        sale = await service.sale()
        async with opened(service, sale.event) as socket:
            await socket.receive()
            for payload in ("", "garbage", "[]", '{"event_id": "x"}', "[" * 5000):
                await connection.execute("SELECT pg_notify('ticket_availability', $1)", payload)
            assert await socket.sync() == []
            await sale.rsvp()
            assert (await socket.receive())["available"] == 9
    assert caplog.text.count("none of ours") == 1


async def test_a_slow_reader_gets_the_latest_and_costs_no_memory(own_database: str) -> None:
    """One who does not read for a while misses steps, but neither the end nor the order, nor others' time."""
    async with running(own_database) as service, connection_to(own_database) as connection:
        sale = await service.sale(1_000_000)
        # Long names fill what the kernel keeps for who does not read.
        await connection.execute("UPDATE tickets SET id = repeat('x', 200)")
        async with opened(service, sale.event, buffer=4096) as slow, opened(service, sale.event) as fast:
            await slow.receive()
            await fast.receive()
            await connection.execute(MANY_CHANGES)
            seen = [await socket.until_available(980_000) for socket in (fast, slow)]
    for numbers in seen:
        assert numbers == sorted(numbers, reverse=True)
    assert len(seen[1]) < 20_000


async def test_a_reader_that_takes_nothing_is_given_up(own_database: str) -> None:
    """Its place is free again, and the service ends without waiting for it."""
    settings = Settings(stalled_wait=0.3, live_sockets=1)
    async with running(own_database, settings) as service, connection_to(own_database) as connection:
        sale = await service.sale(1_000_000)
        async with opened(service, sale.event, buffer=4096) as stuck:
            await stuck.receive()
            flooding = asyncio.create_task(flood(connection))
            await until(lambda: has_a_place(sale))
            flooding.cancel()
            await asyncio.wait({flooding})


async def test_a_client_that_does_not_answer_pings_is_given_up(own_database: str) -> None:
    """Who does not answer has gone without a word: 1011."""
    async with running(own_database, Settings(ping_every=0.1)) as service:
        sale = await service.sale()
        async with (
            opened(service, sale.event, answers_pings=False) as silent,
            opened(service, sale.event) as lively,
        ):
            hearing = asyncio.create_task(lively.until_available(9))
            assert await silent.until_closed() == 1011
            await sale.rsvp()
            assert await hearing == [10, 9]


async def test_many_sockets(own_database: str) -> None:
    """Two hundred of them, opened at once, hear the same; one query told all of them what there is."""
    async with running(own_database) as service:
        sale = await service.sale(2)

        async def watch() -> list[int]:
            async with opened(service, sale.event) as socket:
                first = await socket.receive()
                ready.release()
                return [first["tickets"][0]["available"], *await socket.until_available(0)]

        ready = asyncio.Semaphore(0)
        async with asyncio.TaskGroup() as tasks:
            watching = [tasks.create_task(watch()) for _ in range(200)]
            for _ in watching:
                await ready.acquire()
            await sale.rsvp("ann")
            await sale.rsvp("bob")
        assert {tuple(task.result()) for task in watching} == {(2, 1, 0)}


async def test_the_service_ends_with_sockets_open(own_database: str) -> None:
    """Told to stop, it says 1012 to everybody, and does not wait for them to leave."""
    async with (
        asyncio.timeout(PATIENCE),
        running(own_database) as service,
        connection_to(own_database) as connection,
        contextlib.AsyncExitStack() as stack,
    ):
        sale = await service.sale()
        sockets = [await stack.enter_async_context(opened(service, sale.event)) for _ in range(5)]
        for socket in sockets:
            await socket.receive()
        service.stop.set()
        for socket in sockets:
            assert await socket.until_closed() == 1012
        await until(lambda: gone(connection))


async def test_the_service_ends_although_somebody_takes_nothing(own_database: str) -> None:
    """Nobody can hold up the end by not reading, and nothing stays behind on the event loop."""
    settings = Settings(shutdown_wait=1)
    async with connection_to(own_database) as connection, contextlib.AsyncExitStack() as stack:
        async with asyncio.timeout(PATIENCE), running(own_database, settings) as service:
            sale = await service.sale(1_000_000)
            await connection.execute("UPDATE tickets SET id = repeat('x', 200)")
            stuck = await stack.enter_async_context(opened(service, sale.event, buffer=4096))
            await stuck.receive()
            await connection.execute(MANY_CHANGES)
        assert await gone(connection)
        # Cut, not closed: an orderly end would still be waiting for somebody to take what comes before it.
        assert await stuck.until_closed() == 1006


async def test_what_was_heard_while_it_was_read_counts_if_it_is_newer(own_database: str) -> None:
    """The snapshot is the newer of what was read and what was notified; what is older is never told."""
    async with running(own_database) as service, connection_to(own_database) as connection:
        sale = await service.sale()

        async def notify(available: int, sequence: int) -> None:
            fields = {"event_id": sale.event, "ticket_id": sale.ticket, "sold_out": False}
            notice = json.dumps(fields | {"available": available, "sequence": sequence})
            await connection.execute("SELECT pg_notify('ticket_availability', $1)", notice)

        async with contextlib.AsyncExitStack() as stack:
            async with connection_to(own_database) as other, other.transaction():
                await other.execute("LOCK TABLE events IN ACCESS EXCLUSIVE MODE")
                socket = await stack.enter_async_context(opened(service, sale.event))
                await until(lambda: reading(connection))
                await notify(5, 5)
            (ticket,) = (await socket.receive())["tickets"]
            assert (ticket["available"], ticket["sequence"]) == (5, 5)
            await notify(7, 3)
            await notify(6, 5)
            assert await socket.sync() == []


async def test_a_sync_waits_for_what_is_still_on_its_way(own_database: str) -> None:
    """While Postgres is slow to deliver, the change comes first and the answer after it."""
    async with running(own_database) as service, connection_to(own_database) as connection:
        sale = await service.sale()
        async with opened(service, sale.event) as socket:
            await socket.receive()
            (listener,) = await connection.fetchval(f"SELECT array_agg(pid) {LISTENING}")
            os.kill(listener, signal.SIGSTOP)
            try:
                await sale.rsvp()
                before = await connection.fetchval(f"SELECT max(query_start) {SELLING}")
                socket.send('{"type": "sync"}')
                await until(lambda: asked_since(connection, before))
            finally:
                os.kill(listener, signal.SIGCONT)
            assert (await socket.receive())["available"] == 9
            assert await socket.receive() == {"type": "synced"}


async def test_a_sync_waits_until_what_a_lost_connection_missed_was_read(own_database: str) -> None:
    """The new connection hears the mark before it has read what changed; the answer comes after that."""
    async with running(own_database) as service, connection_to(own_database) as connection:
        sale = await service.sale()
        async with opened(service, sale.event) as socket, connection_to(own_database) as other:
            await socket.receive()
            async with nobody_can_connect(own_database):
                await connection.execute(f"SELECT pg_terminate_backend(pid) {LISTENING}")
                await until(lambda: gone(connection))
                await sale.rsvp()
                await other.execute("BEGIN; LOCK TABLE events IN ACCESS EXCLUSIVE MODE")
            await until(lambda: reading(connection))
            before = await connection.fetchval(f"SELECT max(query_start) {SELLING}")
            synced = asyncio.create_task(socket.sync())
            await until(lambda: asked_since(connection, before))
            await other.execute("COMMIT")
            (message,) = await synced
            assert [ticket["available"] for ticket in message["tickets"]] == [9]


@pytest.mark.parametrize("count", [1, QUEUE_LIMIT, QUEUE_LIMIT + 1, QUEUE_LIMIT + 2, 1000, 10_000])
async def test_a_mailbox_is_bounded_and_keeps_the_latest_of_each(count: int) -> None:
    """However much comes in, what waits is a few messages in order, the newest of each among them."""
    mailbox = Mailbox(1)
    mailbox.begin([])
    for number in range(count):
        mailbox.offer(TicketNow.of(f"ticket-{number % 3}", number, number))
    changes = [message for message in await mailbox.take() if isinstance(message, Changed)]
    assert len(changes) <= QUEUE_LIMIT
    assert [change.sequence for change in changes] == sorted(change.sequence for change in changes)
    newest = {number % 3: number for number in range(count)}
    assert {change.ticket_id: change.available for change in changes} == {
        f"ticket-{which}": number for which, number in newest.items()
    }


async def test_a_peer_that_takes_nothing_loses_its_connection_at_last() -> None:
    """Closing would wait for it for ever; the kernel does not, once told so for every connection."""
    with (
        _listening("127.0.0.1", 0, Settings(stalled_wait=1.5)) as listener,
        socket_module.create_connection(listener.getsockname()),
        listener.accept()[0] as accepted,
    ):
        wait = accepted.getsockopt(socket_module.IPPROTO_TCP, socket_module.TCP_USER_TIMEOUT)
    assert wait == 1500


@contextlib.asynccontextmanager
async def nobody_can_connect(database: str) -> AsyncIterator[None]:
    """Refuse new connections to a database; those that stand may stay."""
    name = database.rpartition("/")[2].partition("?")[0]
    async with connection_to(database.rpartition("/")[0] + "/postgres") as control:
        await control.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        try:
            yield
        finally:
            await control.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')


async def has_a_place(sale: Sale) -> bool:
    """Say whether one more may watch."""
    async with opened(sale.service, sale.event) as socket:
        try:
            return bool(await socket.receive())
        except ClosedError:
            return False


async def gone(connection: Any) -> bool:
    """Say whether no session of the service listens."""
    return not await connection.fetchval(f"SELECT count(*) {LISTENING}")


async def reading(connection: Any) -> bool:
    """Say whether the listener waits for a lock, as it does in the middle of reading."""
    return bool(await connection.fetchval(f"SELECT count(*) {LISTENING} AND wait_event_type = 'Lock'"))


async def asked_since(connection: Any, before: Any) -> bool:
    """Say whether the pool has asked something since, and has had its answer."""
    return bool(
        await connection.fetchval(
            f"SELECT max(query_start) > $1 AND bool_and(state = 'idle') {SELLING}", before
        )
    )


async def listening(service: Service) -> bool:
    """Say whether a session of the service listens."""
    return bool(await service.fetchval(f"SELECT count(*) {LISTENING}"))


async def another(service: Service, before: int) -> bool:
    """Say whether it is not that session that listens."""
    return before not in (await service.fetchval(f"SELECT array_agg(pid) {LISTENING}") or ())


async def flood(connection: Any) -> None:
    """Change what is available, again and again."""
    while True:
        await connection.execute(
            "DO $$ BEGIN FOR number IN 1..1000 LOOP"
            "  UPDATE tickets SET quantity_available = quantity_available - 1; COMMIT;"
            "  UPDATE tickets SET quantity_available = quantity_available + 1; COMMIT;"
            " END LOOP; END $$"
        )
