"""What goes wrong behind the gateway: unknown outcomes, clients that break, names that say too little."""

from __future__ import annotations

import asyncio
import contextlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from harness.contract.answers import answer_of
from harness.contract.requests import Request, request_for
from harness.driving.guard import started
from harness.errors import TargetFailedError
from harness.model import (
    Answer,
    Cancel,
    Confirm,
    Feature,
    Hold,
    LeaveWaitlist,
    Outcome,
    ReadAvailability,
    Refund,
    Reserve,
    TicketType,
)
from harness.swarming.gateway import gateway
from harness.swarming.http import LARGEST_BODY
from harness.swarming.known_sales import REMEMBERED
from harness.targets._http_client import Address, HttpConnection
from tests.driving.fakes import MemoryTarget, as_specified, for_ever

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from harness.load.plan import Tickets
    from harness.model import Operation
    from harness.swarming.gateway import Gateway
    from harness.targets._http_client import Response
    from tests.driving.fakes import MemoryClient, Sale

GENERAL = (TicketType(name="general", initial=2),)
TWO = (TicketType(name="general", initial=2), TicketType(name="balcony", initial=1))
ADA = Reserve(ticket="general", person="ada")
BOB = Reserve(ticket="general", person="bob")


@dataclass
class Door:
    """A gateway to a target in memory, and connections to it."""

    target: MemoryTarget
    gateway: Gateway
    running: Any
    ids: Tickets = field(default_factory=dict)
    _connections: list[HttpConnection] = field(default_factory=list)
    _sales: int = 0

    async def open(self, tickets: Sequence[TicketType] = GENERAL) -> Any:
        """Open one more sale, which is the one that is asked for from now on; return it."""
        sale = await self.running.open_sale(tickets)
        self.ids = self.gateway.opened(self._sales, sale, tickets)
        self._sales += 1
        return sale

    def connection(self) -> HttpConnection:
        """Return a connection of its own, which is broken at the end."""
        self._connections.append(HttpConnection(Address.parse(self.gateway.url)))
        return self._connections[-1]

    async def ask(self, operation: Operation, ids: tuple[str, str] | None = None) -> Answer:
        """Have one operation done, as a buyer has."""
        ids = ids or self.ids[operation.ticket]
        request = request_for(operation, ids)
        assert request is not None
        response = await self.send(request)
        return answer_of(operation, ids, request, response.status, response.body)

    async def send(self, request: Request) -> Response:
        """Send one request."""
        body = b"" if request.body is None else json.dumps(request.body).encode()
        return await self.connection().request(request.method, request.path, body=body)

    def leave(self) -> None:
        """Break all connections."""
        for connection in self._connections:
            connection.abort()


@contextlib.asynccontextmanager
async def door_of(
    target: MemoryTarget, folder: Path, *, clients: int = 2, timeout: float = 30.0
) -> AsyncIterator[Door]:
    """Serve a target in memory, with one sale open."""
    async with (
        started(target, "", folder) as running,
        gateway(running, target.supports, clients=clients, timeout=timeout) as served,
    ):
        door = Door(target, served, running)
        try:
            await door.open()
            yield door
        finally:
            door.leave()


async def broken(_: MemoryClient, __: Sale, ___: Operation) -> Answer:
    """Lose the connection."""
    raise ConnectionError("the database went away")


async def silent(_: MemoryClient, __: Sale, ___: Operation) -> Answer:
    """Never answer."""
    await for_ever()
    raise AssertionError("it never gets here")


async def nonsense(_: MemoryClient, __: Sale, ___: Operation) -> Any:
    """Answer what is no answer."""
    return "sold"


async def own_cancel(_: MemoryClient, __: Sale, ___: Operation) -> Answer:
    """Let a cancellation of its own escape."""
    raise asyncio.CancelledError


@pytest.mark.parametrize(
    ("behave", "words"),
    [
        (broken, "the database went away"),
        (nonsense, "no Answer"),
        (own_cancel, "CancelledError"),
    ],
)
async def test_what_a_target_does_instead_of_answering_is_an_unknown_outcome(
    behave: Any, words: str, tmp_path: Path
) -> None:
    """It may have been done; and the client is replaced, so that the next buyer is served."""
    target = MemoryTarget(behave)
    async with door_of(target, tmp_path, clients=1) as door:
        answer = await door.ask(ADA)
        assert answer.outcome is Outcome.UNKNOWN
        assert words in answer.detail
        assert [client.abandoned for client in target.clients] == [1]
        target.behave = as_specified
        assert (await door.ask(BOB)).outcome is Outcome.ACCEPTED
        assert len(target.clients) == 2


async def test_an_answer_that_never_comes_is_an_unknown_outcome(tmp_path: Path) -> None:
    """After the time-out, and the client is abandoned, since something may still be under way on it."""
    target = MemoryTarget(silent)
    async with door_of(target, tmp_path, clients=1, timeout=0.1) as door:
        assert await door.ask(ADA) == Answer(Outcome.UNKNOWN, detail="no answer within 0.1 s")
        assert target.clients[0].abandoned >= 1


async def test_a_request_that_gets_no_client_was_not_done(tmp_path: Path) -> None:
    """None comes free for as long as anybody waits: come back later."""
    async with door_of(MemoryTarget(), tmp_path, clients=0, timeout=0.1) as door:
        assert await door.ask(ADA) == Answer(Outcome.RETRYABLE, detail="no client came free within 0.1 s")


async def test_a_target_that_takes_no_new_client_has_done_nothing(tmp_path: Path) -> None:
    """Its fault is kept, until a client can be connected again."""
    target = MemoryTarget(broken)
    async with door_of(target, tmp_path, clients=1) as door:
        connect = door.running.connect
        await door.ask(ADA)

        async def refuse(_: str) -> Any:
            raise TargetFailedError("nobody is there")

        door.running.connect = refuse
        assert await door.ask(ADA) == Answer(Outcome.RETRYABLE, detail="nobody is there")
        assert door.gateway.fault == "nobody is there"
        door.running.connect, target.behave = connect, as_specified
        assert (await door.ask(ADA)).outcome is Outcome.ACCEPTED
        assert door.gateway.fault is None


async def test_a_buyer_who_goes_away_changes_nothing(tmp_path: Path) -> None:
    """What was asked for runs to its end, and the client is used again."""
    begun, go, done = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def slow(client: MemoryClient, sale: Sale, operation: Operation) -> Answer:
        begun.set()
        await go.wait()
        answer = await as_specified(client, sale, operation)
        done.set()
        return answer

    target = MemoryTarget(slow)
    async with door_of(target, tmp_path, clients=1) as door:
        asking = asyncio.create_task(door.ask(ADA))
        await begun.wait()
        door.leave()
        asking.cancel()
        await asyncio.wait({asking})
        go.set()
        await done.wait()
        assert (await door.ask(ADA)).outcome is Outcome.DUPLICATE
        assert len(target.clients) == 1


async def test_as_many_are_served_at_once_as_there_are_clients(tmp_path: Path) -> None:
    """Neither fewer, which would hide races, nor more."""
    under_way = most = 0
    together = asyncio.Event()

    async def meet(client: MemoryClient, sale: Sale, operation: Operation) -> Answer:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        if under_way == 3:
            together.set()
        await together.wait()
        under_way -= 1
        return await as_specified(client, sale, operation)

    async with door_of(MemoryTarget(meet), tmp_path, clients=3) as door:
        buyers = [Reserve(ticket="general", person=f"buyer-{number}") for number in range(6)]
        await asyncio.gather(*(door.ask(buyer) for buyer in buyers))
    assert most == 3


async def test_what_is_under_way_at_the_end_is_not_known(tmp_path: Path) -> None:
    """The block ends although the target never answers, and no client is left."""
    begun = asyncio.Event()

    async def stuck(_: MemoryClient, __: Sale, ___: Operation) -> Answer:
        begun.set()
        await for_ever()
        raise AssertionError("it never gets here")

    target = MemoryTarget(stuck)
    async with started(target, "", tmp_path) as running:
        async with gateway(running, target.supports, clients=2) as served:
            door = Door(target, served, running)
            await door.open()
            asking = asyncio.create_task(door.ask(ADA))
            await begun.wait()
        answer = await asking
    assert answer.outcome is Outcome.UNKNOWN
    assert all(client.abandoned for client in target.clients)


async def test_what_the_target_does_not_offer_is_refused(tmp_path: Path) -> None:
    """It is not even asked."""
    target = MemoryTarget(broken, supports=frozenset({Feature.RESERVE}))
    async with door_of(target, tmp_path) as door:
        answer = await door.ask(Hold(ticket="general", person="ada"))
    assert answer == Answer(Outcome.INVALID, detail="Hold is not offered here")


async def test_what_is_asked_of_a_reservation_is_asked_by_whose_it_is(tmp_path: Path) -> None:
    """The request names neither the ticket type nor, for a refund, the person."""
    seen: list[Operation] = []

    async def keep(client: MemoryClient, sale: Sale, operation: Operation) -> Answer:
        seen.append(operation)
        return await as_specified(client, sale, operation)

    async with door_of(MemoryTarget(keep), tmp_path) as door:
        name = (await door.ask(ADA)).reservation
        held = (await door.ask(Hold(ticket="general", person="bob"))).reservation
        await door.open(TWO)
        await door.ask(Cancel(ticket="general", person="eve", reservation=name))
        await door.ask(Refund(ticket="general", person="ada", reservation=name))
        await door.ask(Confirm(ticket="general", person="bob", hold=held))
    assert seen[2:] == [
        Cancel(ticket="general", person="eve", reservation=name, whose="ada"),
        Refund(ticket="general", person="ada", reservation=name),
        Confirm(ticket="general", person="bob", hold=held),
    ]


async def test_a_name_that_two_people_were_given_says_too_little(tmp_path: Path) -> None:
    """Nothing is done in the name of the wrong one; where the request says who asks, that decides."""
    seen: list[Operation] = []

    async def alike(_: MemoryClient, __: Sale, operation: Operation) -> Answer:
        seen.append(operation)
        return Answer(Outcome.ACCEPTED, reservation="seat-1")

    async with door_of(MemoryTarget(alike), tmp_path) as door:
        await door.ask(ADA)
        await door.ask(ADA)
        await door.ask(BOB)
        refused = await door.ask(Refund(ticket="general", person="ada", reservation="seat-1"))
        cancel = Cancel(ticket="general", person="bob", reservation="seat-1")
        await door.ask(cancel)
    assert refused.outcome is Outcome.RETRYABLE
    assert seen[3:] == [cancel]


async def test_all_ticket_types_of_an_event_are_told(tmp_path: Path) -> None:
    """A request for availability names the event only; nobody else's event is told."""
    async with door_of(MemoryTarget(), tmp_path) as door:
        await door.open((*TWO, TicketType(name="elsewhere", initial=9, event="sunday")))
        request = request_for(ReadAvailability(ticket="general", person="ada"), door.ids["general"])
        assert request is not None
        data = json.loads((await door.send(request)).body)
    told = {each["ticketId"]: each["available"] for each in data["tickets"]}
    assert told == {door.ids["general"][1]: 2, door.ids["balcony"][1]: 1}


async def test_a_request_must_say_which_line_is_left_where_there_are_several(tmp_path: Path) -> None:
    """And may leave it out where there is one."""
    async with door_of(MemoryTarget(), tmp_path) as door:
        request = request_for(LeaveWaitlist(ticket="general", person="ada"), door.ids["general"])
        assert request is not None
        path = request.path.partition("?")[0]
        alone = await door.send(Request("DELETE", path, None, ()))
        await door.open(TWO)
        path = path.replace(f"/events/{1}/", f"/events/{2}/")
        several = await door.send(Request("DELETE", path, None, ()))
    assert b"does not wait" in alone.body
    assert b"ticketId" in several.body
    assert (alone.status, several.status) == (400, 400)


async def test_only_the_newest_sales_are_known(tmp_path: Path) -> None:
    """What is sold for hours must not fill the memory."""
    async with door_of(MemoryTarget(), tmp_path) as door:
        first = door.ids["general"]
        for _ in range(REMEMBERED - 1):
            await door.open()
        assert (await door.ask(ADA, first)).outcome is Outcome.ACCEPTED
        await door.open()
        assert (await door.ask(BOB, first)).outcome is Outcome.INVALID
        assert (await door.ask(BOB)).outcome is Outcome.ACCEPTED


async def test_ids_that_do_not_belong_together_are_nothing(tmp_path: Path) -> None:
    """An event of one sale and a ticket type of another."""
    async with door_of(MemoryTarget(), tmp_path) as door:
        event = door.ids["general"][0]
        await door.open()
        assert (await door.ask(ADA, (event, door.ids["general"][1]))).outcome is Outcome.INVALID


async def test_trouble_of_the_request_itself_is_told(tmp_path: Path) -> None:
    """A body that is too large, no JSON, a path that is none; and a connection can be warmed."""
    async with door_of(MemoryTarget(), tmp_path) as door:
        client = door.connection()
        assert (await client.request("GET", "/healthz")).status == 200
        assert (await client.request("POST", "/api/rsvp", body=b"{")).status == 400
        assert (await client.request("GET", "/api/nothing")).status == 404
        large = await client.request("POST", "/api/rsvp", body=b" " * (LARGEST_BODY + 1))
        assert large.status == 413


async def test_a_gateway_needs_its_clients(tmp_path: Path) -> None:
    """A target that does not take them is at fault, and what was connected is let go of."""
    target = MemoryTarget()
    async with started(target, "", tmp_path) as running:
        plain = running.connect

        async def once(name: str) -> Any:
            if target.clients:
                raise TargetFailedError("only one")
            return await plain(name)

        running.connect = once  # type: ignore[method-assign]  # the guard in the way of it
        with pytest.raises(TargetFailedError, match="only one"):
            async with gateway(running, target.supports, clients=2):
                raise AssertionError("it never gets here")
    assert [client.abandoned for client in target.clients] == [1]
