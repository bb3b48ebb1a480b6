"""What responses of a service mean to a buyer, the sensible ones and the others."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from harness.driving.gate import OpenGate
from harness.driving.program import Patience, Recorder, drive_program
from harness.model import (
    Answer,
    Cancel,
    ChangeCapacity,
    Confirm,
    Hold,
    JoinWaitlist,
    LeaveWaitlist,
    Outcome,
    Program,
    Proof,
    ReadAvailability,
    ReadSales,
    Refund,
    Release,
    Reserve,
    ReserveGroup,
)
from harness.targets._ticketing import Sale
from tests.targets.peer import Conversation, has_head, peer

if TYPE_CHECKING:
    from harness.model import Operation
    from tests.targets.peer import Script

SALE = Sale(events={"event": 7}, tickets={"general": "t-1"}, event_of={"general": 7})
BUY = Reserve(ticket="general", person="ada")


async def asked(script: Script, operation: Operation, timeout: float = 30.0) -> tuple[Answer, bool]:
    """Have one operation done over HTTP; return the answer, and whether the client is usable."""
    recorder = Recorder()
    async with peer(script) as served:
        usable = await drive_program(
            served.buyer(),
            SALE,
            Program("client", (operation,)),
            phase=0,
            recorder=recorder,
            gate=OpenGate(),
            patience=Patience(timeout),
        )
    return recorder.calls[0].answer, usable


def answering(*replies: tuple[int, Any], seen: list[bytes] | None = None) -> Script:
    """Return a server that answers request after request like this."""

    async def script(conversation: Conversation) -> None:
        for status, body in replies:
            request = await conversation.read_until(_whole)
            if seen is not None:
                seen.append(request)
            data = json.dumps(body).encode()
            await conversation.answer(
                f"HTTP/1.1 {status} X\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data
            )
        await conversation.read_to_the_end()

    return script


def _whole(data: bytes) -> bool:
    head, end, body = data.partition(b"\r\n\r\n")
    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return bool(end) and len(body) >= (int(lengths[0].split(b":")[1]) if lengths else 0)


async def test_a_purchase_is_the_contracts_request() -> None:
    """Path, type and fields as documented."""
    seen: list[bytes] = []
    answer, usable = await asked(answering((201, {"rsvp": {"id": "r-1"}}), seen=seen), BUY)
    assert (answer.reservation, usable) == ("r-1", True)
    head, _, body = seen[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /api/rsvp HTTP/1.1\r\n")
    assert b"content-type: application/json" in head.lower()
    assert json.loads(body) == {
        "eventId": 7,
        "userId": "ada",
        "name": "ada",
        "email": "ada@example.com",
        "ticketId": "t-1",
    }


async def test_a_cancel_names_its_reservation_safely() -> None:
    """A reservation's name is one part of the path, whatever is in it."""
    seen: list[bytes] = []
    cancel = Cancel(ticket="general", person="ada", reservation="a b/../c\r\nX: y")
    await asked(answering((200, {"success": True}), seen=seen), cancel)
    assert seen[0].startswith(b"DELETE /api/rsvp/a%20b%2F..%2Fc%0D%0AX%3A%20y?userId=ada HTTP/1.1\r\n")


@pytest.mark.parametrize("kind", [Cancel, Refund, Confirm, Release])
async def test_what_is_about_nothing_is_not_sent(kind: Any) -> None:
    """There is no reservation and no hold to name."""
    answer, usable = await asked(answering(), kind(ticket="general", person="ada"))
    assert (answer.outcome, usable) == (Outcome.INVALID, True)


PERSON = {"name": "ada", "email": "ada@example.com"}
WANTED = {"eventId": 7, "ticketId": "t-1", "userId": "ada"}


@pytest.mark.parametrize(
    ("operation", "line", "body"),
    [
        (Hold(ticket="general", person="ada"), "POST /api/holds", WANTED),
        (
            Confirm(ticket="general", person="ada", hold="h/1"),
            "POST /api/holds/h%2F1/confirm",
            PERSON,
        ),
        (Release(ticket="general", person="ada", hold="h/1"), "DELETE /api/holds/h%2F1", None),
        (
            ReserveGroup(ticket="general", person="bob", members=("ada",)),
            "POST /api/group-rsvps",
            {"eventId": 7, "ticketId": "t-1", "members": [{"userId": "ada"} | PERSON]},
        ),
        (JoinWaitlist(ticket="general", person="ada"), "POST /api/waitlist", WANTED | PERSON),
        (
            LeaveWaitlist(ticket="general", person="a/b"),
            "DELETE /api/events/7/waitlist/a%2Fb?ticketId=t-1",
            None,
        ),
        (
            ChangeCapacity(ticket="general", person="bob", capacity=3),
            "PUT /api/tickets/t-1/capacity",
            {"capacity": 3},
        ),
        (Refund(ticket="general", person="ada", reservation="r-1"), "POST /api/rsvp/r-1/refund", None),
        (ReadSales(ticket="general", person="ada"), "GET /api/tickets/t-1/sales?bucket=day", None),
        (
            Cancel(ticket="general", person="bob", whose="ada", reservation="r-1"),
            "DELETE /api/rsvp/r-1?userId=bob",
            None,
        ),
    ],
)
async def test_each_operation_is_the_contracts_request(operation: Operation, line: str, body: Any) -> None:
    """Method, path and body as documented; what is refused is refused."""
    seen: list[bytes] = []
    answer, usable = await asked(answering((404, {"message": "no"}), seen=seen), operation)
    assert (answer, usable) == (Answer(Outcome.INVALID, detail="no"), True)
    head, _, sent = seen[0].partition(b"\r\n\r\n")
    assert head.decode().startswith(f"{line} HTTP/1.1\r\n")
    assert (json.loads(sent) if sent else None) == body


@pytest.mark.parametrize(
    ("sales", "sold"),
    [
        ([], 0),
        ([{"standing": 1}, {"standing": 3}], 3),
        ([{"standing": "3"}], None),
        ([7], None),
        (None, None),
    ],
)
async def test_the_last_of_the_sales_says_what_stands(sales: Any, sold: int | None) -> None:
    """Where nothing was sold that is none; garbage tells no number."""
    read = ReadSales(ticket="general", person="ada")
    answer, _ = await asked(answering((200, {"success": True, "sales": sales})), read)
    assert answer == Answer(Outcome.ACCEPTED, sold=sold)


async def test_availability_is_that_of_the_ticket_type() -> None:
    """Others of the same event are left out."""
    tickets = [{"ticketId": "t-0", "available": 9}, {"ticketId": "t-1", "available": 4}]
    read = ReadAvailability(ticket="general", person="ada")
    answer, _ = await asked(answering((200, {"tickets": tickets})), read)
    assert answer == Answer(Outcome.ACCEPTED, remaining=4)


@pytest.mark.parametrize("tickets", [None, 3, ["t-1"], [{"ticketId": "t-1"}]])
async def test_garbage_availability_tells_no_number(tickets: Any) -> None:
    """Nothing is made up, and nothing crashes."""
    read = ReadAvailability(ticket="general", person="ada")
    answer, _ = await asked(answering((200, {"tickets": tickets})), read)
    assert answer.remaining is None


async def test_a_service_that_closes_the_connection_is_an_unknown_outcome() -> None:
    """The request may have been served; the client connects again for the next run."""

    async def script(conversation: Conversation) -> None:
        await conversation.read_until(has_head)

    answer, usable = await asked(script, BUY)
    assert (answer.outcome, usable) == (Outcome.UNKNOWN, False)
    assert "closed before the answer came" in answer.detail


async def test_a_service_that_speaks_nonsense_is_an_unknown_outcome() -> None:
    """It is said that this is no HTTP."""

    async def script(conversation: Conversation) -> None:
        await conversation.read_until(has_head)
        await conversation.answer(b"220 smtp.example ESMTP\r\n\r\n")
        await conversation.read_to_the_end()

    answer, usable = await asked(script, BUY)
    assert (answer.outcome, usable) == (Outcome.UNKNOWN, False)
    assert "no HTTP" in answer.detail


async def test_a_service_that_never_answers_is_an_unknown_outcome() -> None:
    """After the operation's time-out, and the connection is dropped so that the service notices."""
    gone = asyncio.Event()

    async def script(conversation: Conversation) -> None:
        await conversation.read_to_the_end()
        gone.set()

    recorder = Recorder()
    async with peer(script) as served:
        usable = await drive_program(
            served.buyer(),
            SALE,
            Program("client", (BUY,)),
            phase=0,
            recorder=recorder,
            gate=OpenGate(),
            patience=Patience(0.1),
        )
        await gone.wait()
    assert not usable
    assert recorder.calls[0].answer == Answer(Outcome.UNKNOWN, detail="no answer within 0.1 s")


async def test_a_good_proof_is_uploaded_before_the_purchase_and_named_in_it() -> None:
    """Only the purchase itself waits at the gate."""
    seen: list[bytes] = []
    replies = ((201, {"paymentProofUrl": "/proofs/1.png"}), (201, {"rsvp": {"id": "r-1"}}))
    answer, _ = await asked(
        answering(*replies, seen=seen), Reserve(ticket="general", person="ada", proof=Proof.GOOD)
    )
    assert answer.outcome is Outcome.ACCEPTED
    upload, purchase = seen
    assert upload.startswith(b"POST /api/payment-proofs ")
    assert b"\x89PNG" in upload
    assert json.loads(purchase.partition(b"\r\n\r\n")[2])["paymentProofUrl"] == "/proofs/1.png"


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        ((415, {"message": "no picture"}), Outcome.INVALID),
        ((500, {}), Outcome.UNKNOWN),
        ((201, {}), Outcome.UNKNOWN),
    ],
)
async def test_a_proof_that_is_not_accepted_ends_the_purchase(
    reply: tuple[int, Any], outcome: Outcome
) -> None:
    """The buyer stops: no purchase is sent."""
    seen: list[bytes] = []
    refused = Reserve(ticket="general", person="ada", proof=Proof.REFUSED)
    answer, _ = await asked(answering(reply, seen=seen), refused)
    assert answer.outcome is outcome
    assert len(seen) == 1


async def test_an_upload_that_is_accepted_without_a_url_is_no_acceptance() -> None:
    """There is nothing to name in the purchase, so the buyer stops."""
    good = Reserve(ticket="general", person="ada", proof=Proof.GOOD)
    answer, _ = await asked(answering((201, {"success": True})), good)
    assert answer.outcome is Outcome.INVALID
    assert "paymentProofUrl" in answer.detail


async def test_a_cut_upload_ends_the_purchase() -> None:
    """The connection breaks half-way, and nothing else is asked for."""
    received: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def script(conversation: Conversation) -> None:
        received.set_result(await conversation.read_to_the_end())

    cut = Reserve(ticket="general", person="ada", proof=Proof.CUT)
    recorder = Recorder()
    async with peer(script) as served:
        await drive_program(
            served.buyer(),
            SALE,
            Program("client", (cut,)),
            phase=0,
            recorder=recorder,
            gate=OpenGate(),
            patience=Patience(30.0),
        )
        data = await received
    assert recorder.calls[0].answer.outcome is Outcome.INVALID
    assert data.count(b"POST ") <= 1
    assert not data.endswith(b"--\r\n")
