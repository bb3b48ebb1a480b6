"""What is heard on a socket, and what becomes of those who wait for it; the peer follows a script."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Ping,
    Pong,
    Request,
    TextMessage,
)

from harness.driving.gate import OpenGate
from harness.model import Answer, Outcome, ReadNotice
from harness.targets import _http_live
from harness.targets._http_live import PATIENT_SALES, LiveNumbers
from tests.targets.peer import Conversation, has_head, peer
from tests.targets.test_http_answers import SALE
from tests.turns import next_turn

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from wsproto.events import Event

    from tests.targets.peer import Script

SNAPSHOT = {"type": "snapshot", "eventId": 7, "tickets": [{"ticketId": "t-1", "available": 9}]}
READ = ReadNotice(ticket="general", person="ada")


class Speaker:
    """The service's end of a socket."""

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation
        self._ws = WSConnection(ConnectionType.SERVER)
        self._events = self._read()

    async def accept(self) -> str:
        """Take the connection, and return what was asked for."""
        request = await anext(self._events)
        assert isinstance(request, Request)
        await self.send(AcceptConnection())
        return request.target

    async def say(self, *messages: Any) -> None:
        """Send messages."""
        for message in messages:
            await self.send(TextMessage(data=json.dumps(message)))

    async def send(self, event: Event) -> None:
        """Send anything."""
        await self._conversation.answer(self._ws.send(event))

    async def hear(self) -> Event:
        """Return what comes next."""
        return await anext(self._events)

    async def hear_sync(self) -> Any:
        """Return the id of the sync that comes next."""
        event = await self.hear()
        assert isinstance(event, TextMessage)
        message = json.loads(event.data)
        assert message["type"] == "sync"
        return message["id"]

    async def _read(self) -> AsyncIterator[Event]:
        while True:
            self._ws.receive_data(await self._conversation.read_until(bool))
            for event in self._ws.events():
                yield event


async def read(script: Script, times: int = 1) -> list[Answer]:
    """Listen to a peer, and read what it says, so many times at once."""
    async with peer(script) as served:
        client = served.buyer()
        numbers = client._numbers
        await numbers.watch([7])
        answers = await asyncio.gather(*(client.perform(SALE, READ, OpenGate()) for _ in range(times)))
        client.abandon()
        numbers.abort()
    return list(answers)


async def test_the_last_number_heard_before_the_answer_to_a_sync() -> None:
    """Others of the event do not count, nor does what is not understood."""

    async def script(conversation: Conversation) -> None:
        speaker = Speaker(conversation)
        assert await speaker.accept() == "/api/events/7/live"
        await speaker.say(SNAPSHOT)
        identity = await speaker.hear_sync()
        await speaker.say(
            {"type": "availability", "ticketId": "t-1", "available": 8},
            {"type": "availability", "ticketId": "t-0", "available": 3},
            {"type": "availability", "ticketId": "t-1", "available": "none"},
            {"type": "weather"},
            [],
            {"type": "synced", "id": identity + 1},
            {"type": "availability", "ticketId": "t-1", "available": 7},
            {"type": "synced", "id": identity},
        )
        await conversation.read_to_the_end()

    assert await read(script) == [Answer(Outcome.ACCEPTED, remaining=7)]


async def test_a_snapshot_stands_for_everything_before() -> None:
    """A ticket type that it leaves out is not known any more."""

    async def script(conversation: Conversation) -> None:
        speaker = Speaker(conversation)
        await speaker.accept()
        await speaker.say(SNAPSHOT, SNAPSHOT | {"tickets": []})
        await speaker.say({"type": "synced", "id": await speaker.hear_sync()})
        await conversation.read_to_the_end()

    (answer,) = await read(script)
    assert answer.outcome is Outcome.UNKNOWN
    assert "nothing was ever said" in answer.detail


async def test_several_readers_share_a_socket_and_have_an_answer_each() -> None:
    """Answers come in any order; each goes to who asked."""

    async def script(conversation: Conversation) -> None:
        speaker = Speaker(conversation)
        await speaker.accept()
        await speaker.say(SNAPSHOT)
        for identity in [await speaker.hear_sync() for _ in range(3)][::-1]:
            await speaker.say({"type": "synced", "id": identity})
        await conversation.read_to_the_end()

    assert await read(script, times=3) == [Answer(Outcome.ACCEPTED, remaining=9)] * 3


async def test_pings_are_answered_and_messages_may_come_in_parts() -> None:
    """As the protocol has it, byte by byte too."""

    async def script(conversation: Conversation) -> None:
        speaker = Speaker(conversation)
        await speaker.accept()
        await speaker.send(Ping(payload=b"there?"))
        pong = await speaker.hear()
        assert isinstance(pong, Pong)
        assert bytes(pong.payload) == b"there?"
        whole = json.dumps(SNAPSHOT)
        await speaker.send(TextMessage(data=whole[:20], message_finished=False))
        await speaker.send(TextMessage(data=whole[20:]))
        await speaker.send(BytesMessage(data=b"\x00"))
        identity = await speaker.hear_sync()
        answer = speaker._ws.send(TextMessage(data=json.dumps({"type": "synced", "id": identity})))
        for byte in answer:
            await conversation.answer(bytes([byte]))
            await next_turn()
        await conversation.read_to_the_end()

    assert await read(script) == [Answer(Outcome.ACCEPTED, remaining=9)]


@pytest.mark.parametrize("status", [404, 403, 200, 500])
async def test_a_service_without_sockets_does_not_offer_notices(status: int) -> None:
    """A sale is opened all the same, and whoever asks is told why there is no number."""

    async def script(conversation: Conversation) -> None:
        await conversation.read_until(has_head)
        await conversation.answer(f"HTTP/1.1 {status} X\r\nContent-Length: 2\r\n\r\n{{}}".encode())
        await conversation.read_to_the_end()

    (answer,) = await read(script)
    assert answer == Answer(Outcome.INVALID, detail=f"status {status} where notices were asked for")


async def test_where_it_did_not_work_no_later_sale_waits_for_it() -> None:
    """One attempt when the first sale is opened, none for the second."""

    async def script(conversation: Conversation) -> None:
        await conversation.read_until(has_head)
        await conversation.answer(b"HTTP/1.1 404 X\r\nContent-Length: 0\r\n\r\n")
        await conversation.read_to_the_end()

    async with peer(script) as served:
        numbers = LiveNumbers(served.address)
        for _ in range(3):
            await numbers.watch([7, 8])
        assert len(served.conversations) == 1


@pytest.mark.parametrize(
    "garbage",
    [
        b"220 smtp.example ESMTP\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: wrong\r\n\r\n",
    ],
)
async def test_what_is_no_websocket_is_an_unknown_outcome(garbage: bytes) -> None:
    """It is said that this is none that we know."""

    async def script(conversation: Conversation) -> None:
        await conversation.read_until(has_head)
        await conversation.answer(garbage)
        await conversation.read_to_the_end()

    (answer,) = await read(script)
    assert answer.outcome is Outcome.UNKNOWN
    assert "no WebSocket that we know" in answer.detail


@pytest.mark.parametrize("frame", [b"\xff\xff\xff", b"\x81\x01x", b"\x81\x03[1,"])
async def test_garbage_on_an_open_socket_is_an_unknown_outcome(frame: bytes) -> None:
    """Frames that are none, and texts that are no JSON."""

    async def script(conversation: Conversation) -> None:
        speaker = Speaker(conversation)
        await speaker.accept()
        await speaker.say(SNAPSHOT)
        await speaker.hear_sync()
        await conversation.answer(frame)
        await conversation.read_to_the_end()

    (answer,) = await read(script)
    assert answer.outcome is Outcome.UNKNOWN


async def test_a_socket_that_is_closed_says_why() -> None:
    """Code and reason are in the answer."""

    async def script(conversation: Conversation) -> None:
        speaker = Speaker(conversation)
        await speaker.accept()
        await speaker.say(SNAPSHOT)
        await speaker.hear_sync()
        await speaker.send(CloseConnection(code=1013, reason="come back later"))
        await conversation.read_to_the_end()

    (answer,) = await read(script)
    assert answer.outcome is Outcome.UNKNOWN
    assert "1013 come back later" in answer.detail


async def test_a_lost_socket_is_opened_again_by_who_asks() -> None:
    """As a page does; what it begins with is what is true now."""
    answers = iter(({"available": 9}, {"available": 4}))

    async def script(conversation: Conversation) -> None:
        speaker = Speaker(conversation)
        await speaker.accept()
        await speaker.say(SNAPSHOT | {"tickets": [{"ticketId": "t-1"} | next(answers)]})
        if len(served.conversations) == 1:
            return  # and the connection is closed
        await speaker.say({"type": "synced", "id": await speaker.hear_sync()})
        await conversation.read_to_the_end()

    async with peer(script) as served:
        client = served.buyer()
        numbers = client._numbers
        await numbers.watch([7])
        await served.finished.get()
        while numbers._sockets[7].usable:
            await next_turn()  # The end of a stream sets no event of ours.
        assert await client.perform(SALE, READ, OpenGate()) == Answer(Outcome.ACCEPTED, remaining=4)
        numbers.abort()


async def test_a_sync_without_an_answer_is_an_unknown_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the bound, which says how long that was."""
    monkeypatch.setattr(_http_live, "TIMEOUT", 0.2)

    async def script(conversation: Conversation) -> None:
        speaker = Speaker(conversation)
        await speaker.accept()
        await speaker.say(SNAPSHOT)
        await conversation.read_to_the_end()

    assert await read(script) == [Answer(Outcome.UNKNOWN, detail="no answer to a sync within 0.2 s")]


async def test_a_message_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody can have us keep more than a message of the contract may need."""
    monkeypatch.setattr(_http_live, "_LONGEST", 100)

    async def script(conversation: Conversation) -> None:
        speaker = Speaker(conversation)
        await speaker.accept()
        await speaker.say(SNAPSHOT)
        await speaker.hear_sync()
        for _ in range(5):
            await speaker.send(TextMessage(data="x" * 50, message_finished=False))
        await conversation.read_to_the_end()

    (answer,) = await read(script)
    assert "a message without end" in answer.detail


async def test_a_new_sale_leaves_the_old_one() -> None:
    """Its sockets are closed, so that they do not pile up over the runs."""
    ended = asyncio.Event()

    async def script(conversation: Conversation) -> None:
        speaker = Speaker(conversation)
        await speaker.accept()
        await speaker.say(SNAPSHOT)
        await conversation.read_to_the_end()
        ended.set()

    async with peer(script) as served:
        numbers = LiveNumbers(served.address)
        await numbers.watch([7])
        await numbers.watch([])
        await ended.wait()


async def test_sales_of_which_nobody_wants_to_hear_are_not_listened_to_for_ever() -> None:
    """The first are; later ones no more, until somebody has asked, and then all of them again."""

    async def script(conversation: Conversation) -> None:
        speaker = Speaker(conversation)
        await speaker.accept()
        await speaker.say(SNAPSHOT)
        await speaker.say({"type": "synced", "id": await speaker.hear_sync()})
        await conversation.read_to_the_end()

    async with peer(script) as served:
        client = served.buyer()
        numbers = client._numbers
        for _ in range(PATIENT_SALES + 5):
            await numbers.watch([7])
        assert len(served.conversations) == PATIENT_SALES
        assert await client.perform(SALE, READ, OpenGate()) == Answer(Outcome.ACCEPTED, remaining=9)
        for _ in range(2):
            await numbers.watch([7])
        assert len(served.conversations) == PATIENT_SALES + 3
        numbers.abort()


async def test_what_did_not_work_once_is_listened_to_again_once_somebody_could_read() -> None:
    """A service that could not be reached for a moment is not left unheard for all sales to come."""

    async def script(conversation: Conversation) -> None:
        if len(served.conversations) == 1:
            return  # and the connection is closed
        speaker = Speaker(conversation)
        await speaker.accept()
        await speaker.say(SNAPSHOT)
        await speaker.say({"type": "synced", "id": await speaker.hear_sync()})
        await conversation.read_to_the_end()

    async with peer(script) as served:
        client = served.buyer()
        numbers = client._numbers
        for _ in range(2):
            await numbers.watch([7])
        assert len(served.conversations) == 1
        assert await client.perform(SALE, READ, OpenGate()) == Answer(Outcome.ACCEPTED, remaining=9)
        await numbers.watch([7])
        assert len(served.conversations) == 3
        numbers.abort()
