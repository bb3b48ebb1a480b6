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
from typing import TYPE_CHECKING

from harness.contract.answers import NOTHING_NAMED, answer_of, read_answer, read_json
from harness.contract.requests import request_for
from harness.model import Answer, Expire, Feature, Outcome, Proof, ReadNotice, Reserve
from harness.postgres import connect
from harness.targets import _ticketing
from harness.targets._http_client import Address, BrokenConnectionError, HttpConnection
from harness.targets._http_live import LiveNumbers
from harness.targets._kind import Kind

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from pathlib import Path

    import asyncpg

    from harness.contract.requests import Ids
    from harness.model import Books, Gate, Operation, Process, TicketType

SUPPORTS = frozenset(Feature) - {Feature.QUANTITY}

_JSON = {"Content-Type": "application/json"}
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
    ledger = _ticketing.LEDGER
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
        numbers = LiveNumbers(address)
        try:
            yield RunningHttp(address, database, books, numbers)
        finally:
            numbers.abort()


@dataclass(slots=True)
class RunningHttp:
    """A service, and our own connection to its database."""

    address: Address
    database: str
    _books: _ticketing.TicketingBooks
    _numbers: LiveNumbers
    process: Process | None = None
    """Where the service is a process of ours."""

    async def connect(self, name: str) -> HttpClient:  # noqa: ARG002  # one connection is like another
        """Return a client whose connection is open and has carried a request."""
        client = HttpClient(HttpConnection(self.address), self._numbers, self.database)
        await client.warm()
        return client

    def expose(self) -> str:
        """Return the base URL, for buyers who are not our clients.

        From now on nobody listens to what is said of a sale: only our clients read notices, and listening is
        load of its own.
        """
        self._numbers.rest()
        return self.address.url

    def contract_ids(self, sale: _ticketing.Sale) -> Mapping[str, tuple[str, str]]:
        """Return the ids of event and ticket type in requests, by the scenario's name of the ticket type."""
        return {name: (str(sale.event_of[name]), identity) for name, identity in sale.tickets.items()}

    async def open_sale(self, tickets: Sequence[TicketType]) -> _ticketing.Sale:
        """Put this stock on sale, and listen to what is said of it from the beginning."""
        sale = await self._books.open_sale(tickets)
        await self._numbers.watch(sale.events.values())
        return sale

    async def books(self, sale: _ticketing.Sale) -> Books:
        """Read the books."""
        return await self._books.books(sale)

    def ticket_ids(self, sale: _ticketing.Sale) -> Mapping[str, str]:
        """Return the names of the ticket types by their ids in the tables."""
        return sale.ticket_ids()


@dataclass(slots=True)
class HttpClient:
    """One buyer's connection."""

    _http: HttpConnection
    _numbers: LiveNumbers
    _database: str
    _clock: asyncpg.Connection | None = None
    """Moves the time of holds; beside the connection that reads the books, which others need meanwhile."""
    _key: str | None = None

    def use_key(self, key: str | None) -> None:
        """Send this idempotency key with every request from now on; ``None``: send none."""
        self._key = key

    async def warm(self) -> None:
        """Carry one request over the connection, so that nothing is done for the first time later."""
        await self._http.request("GET", "/healthz")

    async def perform(self, sale: _ticketing.Sale, operation: Operation, gate: Gate) -> Answer:
        """Do one operation; whatever is not part of the contract is an unknown outcome."""
        try:
            return await self._perform(sale, operation, gate)
        except (BrokenConnectionError, OSError) as error:
            return Answer(Outcome.UNKNOWN, detail=f"{type(error).__name__}: {error}")

    async def close(self) -> None:
        """Close the connection."""
        self.abandon()

    def abandon(self) -> None:
        """Break the connection."""
        self._http.abort()
        if self._clock is not None:
            self._clock.terminate()
            self._clock = None

    async def _perform(self, sale: _ticketing.Sale, operation: Operation, gate: Gate) -> Answer:
        event, ticket = sale.event_of[operation.ticket], sale.tickets[operation.ticket]
        match operation:
            case Expire():
                return await self._expire(ticket, operation.person, gate)
            case ReadNotice():
                return await self._numbers.read(event, ticket, gate)
            case Reserve(proof=proof) if proof is not Proof.NONE:
                uploaded = await self._upload(proof, gate)
                if isinstance(uploaded, Answer):
                    return uploaded
                return await self._ask(operation, (str(event), ticket), gate, proof_url=uploaded)
        return await self._ask(operation, (str(event), ticket), gate)

    async def _ask(
        self, operation: Operation, ids: Ids, gate: Gate, *, proof_url: str | None = None
    ) -> Answer:
        """Do what a single request asks for."""
        request = request_for(operation, ids, proof_url=proof_url)
        if request is None:
            return NOTHING_NAMED
        headers = {} if request.body is None else {**_JSON}
        if self._key is not None:
            headers["Idempotency-Key"] = self._key
        response = await self._http.request(
            request.method,
            request.path,
            gate=gate,
            headers=headers,
            body=b"" if request.body is None else json.dumps(request.body).encode(),
        )
        return answer_of(operation, ids, request, response.status, response.body)

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
        answer = read_answer(response.status, response.body, (201, 200))
        url = read_json(response.body).get("paymentProofUrl")
        if answer.outcome is Outcome.ACCEPTED and isinstance(url, str):
            return url
        if answer.outcome is Outcome.ACCEPTED:
            return Answer(Outcome.INVALID, detail="the upload's answer names no paymentProofUrl")
        return answer

    async def _expire(self, ticket: str, person: str, gate: Gate) -> Answer:
        """Let the person's time run out in the service's database, and have the service clean up at once."""
        if self._clock is None:
            self._clock = await connect(self._database)
        await gate()
        await _ticketing.run_out(self._clock, ticket, person)
        response = await self._http.request("POST", "/api/holds/expire")
        return read_answer(response.status, response.body, (200, 204))


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
