"""A service somebody else runs, anywhere, that speaks the contract in ``docs/service.md``.

``http://HOST:PORT`` with ``--database URL`` naming the database that the service works on: stock is put on
sale there and the books are read there, in place, so no copy is made and every check uses that database.
Each buyer has a connection of its own, kept alive; of every purchase all but the last byte is sent before
the gate.
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from harness.model import Answer, Cancel, Feature, Outcome, Proof, ReadAvailability, Reserve, not_offered
from harness.targets import _ticketing
from harness.targets._http_client import Address, BrokenConnectionError, HttpConnection
from harness.targets._kind import Kind

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from pathlib import Path

    from harness.model import Books, Gate, Operation, TicketType
    from harness.targets._http_client import Response

SUPPORTS = frozenset(
    {
        Feature.RESERVE,
        Feature.CANCEL,
        Feature.AVAILABILITY,
        Feature.DEADLINE,
        Feature.PROOF,
        Feature.DISCONNECT,
    }
)

_PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de"
    "0000000c49444154789c63606060000000040001f61738550000000049454e44ae426082"
)
_BOUNDARY = "oversell-payment-proof"
_FILES: Mapping[Proof, tuple[str, str, bytes]] = {
    Proof.GOOD: ("proof.png", "image/png", _PNG),
    Proof.REFUSED: ("proof.exe", "application/x-msdownload", b"MZ not a picture"),
    Proof.CUT: ("proof.png", "image/png", _PNG + b"\0" * 65536),
}


class HttpTarget:
    """See the module."""

    supports = SUPPORTS
    in_place = True
    """Checks run on the database as it is: the service is connected to it already."""

    def __init__(self, url: str) -> None:
        self._address = Address.parse(url)
        self.name = url

    async def install(self, database: str) -> None:
        """Nothing to load: the service's database is used in place."""

    @contextlib.asynccontextmanager
    async def start(self, database: str, folder: Path) -> AsyncIterator[RunningHttp]:  # noqa: ARG002  # no logs
        """Connect to the service's database, and see that the service answers."""
        async with running_http(self._address, database) as running:
            yield running


@contextlib.asynccontextmanager
async def running_http(address: Address, database: str) -> AsyncIterator[RunningHttp]:
    """Talk to a service for the length of a block."""
    async with _ticketing.ticketing_books(database) as books:
        yield RunningHttp(address, books)


@dataclass(slots=True)
class RunningHttp:
    """A service, and our own connection to its database."""

    address: Address
    _books: _ticketing.TicketingBooks

    async def connect(self, name: str) -> HttpClient:  # noqa: ARG002  # one connection is like another
        """Return a client whose connection is open and has carried a request."""
        client = HttpClient(HttpConnection(self.address))
        await client.warm()
        return client

    async def open_sale(self, tickets: Sequence[TicketType]) -> _ticketing.Sale:
        """Put this stock on sale."""
        return await self._books.open_sale(tickets)

    async def books(self, sale: _ticketing.Sale) -> Books:
        """Read the books."""
        return await self._books.books(sale)


@dataclass(slots=True)
class HttpClient:
    """One buyer's connection."""

    _http: HttpConnection

    async def warm(self) -> None:
        """Carry one request over the connection, so that nothing is done for the first time later."""
        await self._http.request("GET", "/healthz")

    async def perform(self, sale: _ticketing.Sale, operation: Operation, gate: Gate) -> Answer:
        """Do one operation; whatever is not part of the contract is an unknown outcome."""
        try:
            match operation:
                case Reserve():
                    return await self._reserve(sale, operation, gate)
                case Cancel():
                    return await self._cancel(operation, gate)
                case ReadAvailability():
                    return await self._availability(sale, operation, gate)
                case _:
                    return not_offered(operation)
        except (BrokenConnectionError, OSError) as error:
            return Answer(Outcome.UNKNOWN, detail=f"{type(error).__name__}: {error}")

    async def close(self) -> None:
        """Close the connection."""
        self._http.abort()

    def abandon(self) -> None:
        """Break the connection."""
        self._http.abort()

    async def _reserve(self, sale: _ticketing.Sale, operation: Reserve, gate: Gate) -> Answer:
        fields: dict[str, Any] = {
            "eventId": sale.event_of[operation.ticket],
            "userId": operation.person,
            "name": operation.person,
            "email": f"{operation.person}@example.com",
            "ticketId": sale.tickets[operation.ticket],
        }
        if operation.proof is not Proof.NONE:
            uploaded = await self._upload(operation.proof, gate)
            if isinstance(uploaded, Answer):
                return uploaded
            fields["paymentProofUrl"] = uploaded
        response = await self._http.request(
            "POST",
            "/api/rsvp",
            gate=gate,
            headers={"Content-Type": "application/json"},
            body=json.dumps(fields).encode(),
        )
        return read_answer(response, 201)

    async def _upload(self, proof: Proof, gate: Gate) -> str | Answer:
        """Return the proof's URL, or the answer with which the purchase ends."""
        name, kind, content = _FILES[proof]
        body = _multipart(name, kind, content)
        headers = {"Content-Type": f"multipart/form-data; boundary={_BOUNDARY}"}
        if proof is Proof.CUT:
            await self._http.cut("POST", "/api/payment-proofs", headers, body, gate)
            return Answer(Outcome.INVALID, detail="the upload was cut, and the buyer stopped")
        response = await self._http.request(
            "POST",
            "/api/payment-proofs",
            gate=None if proof is Proof.GOOD else gate,
            headers=headers,
            body=body,
        )
        answer = read_answer(response, 201, 200)
        url = _json(response).get("paymentProofUrl")
        if answer.outcome is Outcome.ACCEPTED and isinstance(url, str):
            return url
        if answer.outcome is Outcome.ACCEPTED:
            return Answer(Outcome.INVALID, detail="the upload's answer names no paymentProofUrl")
        return answer

    async def _cancel(self, operation: Cancel, gate: Gate) -> Answer:
        if operation.reservation is None:
            return Answer(Outcome.INVALID, detail="nothing to cancel")
        path = f"/api/rsvp/{quote(operation.reservation, safe='')}"
        return read_answer(await self._http.request("DELETE", path, gate=gate), 200, 204)

    async def _availability(self, sale: _ticketing.Sale, operation: ReadAvailability, gate: Gate) -> Answer:
        path = f"/api/events/{sale.event_of[operation.ticket]}/availability"
        response = await self._http.request("GET", path, gate=gate)
        answer = read_answer(response, 200)
        for ticket in _json(response).get("tickets", []):
            if isinstance(ticket, dict) and ticket.get("ticketId") == sale.tickets[operation.ticket]:
                return Answer(answer.outcome, remaining=ticket.get("available"))
        return answer


def read_answer(response: Response, *accepted: int) -> Answer:
    """Return what a response of the contract means to the buyer."""
    data = _json(response)
    detail = str(data.get("message", ""))[:200]
    if response.status in accepted:
        return _accepted(response, data)
    if response.status == 409:
        codes = {"sold_out": Outcome.SOLD_OUT, "duplicate_rsvp": Outcome.DUPLICATE}
        outcome = codes.get(str(data.get("error")))
        if outcome is None:
            return Answer(
                Outcome.UNKNOWN, detail=f"409 without a known error code: {data.get('error')!r}"[:200]
            )
        return Answer(outcome, detail=detail)
    if response.status in (429, 503):
        return Answer(Outcome.RETRYABLE, detail=detail)
    if 400 <= response.status < 500:
        return Answer(Outcome.INVALID, detail=detail or f"status {response.status}")
    return Answer(Outcome.UNKNOWN, detail=detail or f"status {response.status}")


def _accepted(response: Response, data: dict[str, Any]) -> Answer:
    """Return an acceptance, if the body is one."""
    if response.status != 204 and not data:
        return Answer(Outcome.UNKNOWN, detail=f"status {response.status} with a body that is no JSON object")
    rsvp, remaining = data.get("rsvp"), data.get("remainingTickets")
    return Answer(
        Outcome.ACCEPTED,
        reservation=str(rsvp["id"]) if isinstance(rsvp, dict) and "id" in rsvp else None,
        remaining=remaining if isinstance(remaining, int) else None,
    )


def _json(response: Response) -> dict[str, Any]:
    with contextlib.suppress(ValueError, RecursionError):
        data = json.loads(response.body)
        if isinstance(data, dict):
            return data
    return {}


def _multipart(name: str, kind: str, content: bytes) -> bytes:
    head = (
        f"--{_BOUNDARY}\r\n"
        f'Content-Disposition: form-data; name="file"; filename="{name}"\r\n'
        f"Content-Type: {kind}\r\n\r\n"
    )
    return head.encode() + content + f"\r\n--{_BOUNDARY}--\r\n".encode()


KIND = Kind(
    name="http",
    usage="http://HOST:PORT",
    doc=__doc__ or "",
    claims=lambda spec: spec.startswith(("http://", "https://")),
    make=HttpTarget,
)
