"""The purchase: the one place where the service sells something."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.service.answers import Answer, answer_of
from harness.service.database import borrowed
from harness.service.idempotency import answer_once
from harness.service.messages import Rsvp, RsvpAnswer, RsvpRequest
from harness.service.proofs import own_proof, refuse_unknown_proof
from harness.ticketing import create_rsvp

if TYPE_CHECKING:
    import asyncpg

    from harness.service.settings import Settings


async def purchase(
    pool: asyncpg.Pool, settings: Settings, request: RsvpRequest, *, key: str | None, host: str
) -> Answer:
    """Sell one ticket, or raise what stood in the way; the whole sale is one transaction.

    :param key: the Idempotency-Key of the request, if it had one.
    :param host: under which name, and port, this service was asked.
    :raises TicketingError: when the books refuse it.
    :raises ServiceError: when the service does.
    """
    async with borrowed(pool, settings) as connection:
        if key is None:
            return await _sell(connection, request, host)
        return await answer_once(connection, key, request, lambda: _sell(connection, request, host))


async def _sell(connection: asyncpg.Connection, request: RsvpRequest, host: str) -> Answer:
    await refuse_unknown_proof(connection, own_proof(request.payment_proof_url, host))
    created = await create_rsvp(
        connection,
        event_id=request.event_id,
        user_id=request.user_id,
        name=request.name,
        email=request.email,
        ticket_id=request.ticket_id,
        payment_proof_url=request.payment_proof_url,
    )
    return answer_of(
        201, RsvpAnswer(success=True, rsvp=Rsvp.of(created.rsvp), remaining_tickets=created.remaining)
    )
