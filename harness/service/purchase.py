"""The purchase: the one place where the service sells something, or sets it aside.

Each function is one transaction, or raises what stood in the way: a
:class:`~harness.ticketing.TicketingError` when the books refuse it, a
:class:`~harness.service.errors.ServiceError` when the service does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from harness.service.answers import Answer, answer_of
from harness.service.database import borrowed
from harness.service.idempotency import answer_once
from harness.service.messages import (
    ConfirmRequest,
    GroupAnswer,
    GroupRequest,
    Hold,
    HoldAnswer,
    HoldRequest,
    Rsvp,
    RsvpAnswer,
    RsvpRequest,
    WaitlistAnswer,
    WaitlistRequest,
)
from harness.service.proofs import own_proof, refuse_unknown_proof
from harness.ticketing import (
    confirm_hold,
    create_group_rsvp,
    create_hold,
    create_rsvp,
    join_waitlist,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import asyncpg

    from harness.service.idempotency import Asked, Body
    from harness.service.settings import Settings


async def purchase(pool: asyncpg.Pool, settings: Settings, asked: Asked[RsvpRequest], host: str) -> Answer:
    """Sell one ticket.

    :param host: under which name, and port, this service was asked.
    """

    async def sell(connection: asyncpg.Connection, request: RsvpRequest) -> Answer:
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

    return await _once(pool, settings, asked, sell)


async def set_aside(pool: asyncpg.Pool, settings: Settings, asked: Asked[HoldRequest]) -> Answer:
    """Set one ticket aside while its buyer pays."""

    async def hold(connection: asyncpg.Connection, request: HoldRequest) -> Answer:
        created = await create_hold(
            connection,
            event_id=request.event_id,
            user_id=request.user_id,
            ticket_id=request.ticket_id,
            seconds=settings.hold_seconds,
        )
        return answer_of(
            201, HoldAnswer(success=True, hold=Hold.of(created.hold), remaining_tickets=created.remaining)
        )

    return await _once(pool, settings, asked, hold)


async def confirm(
    pool: asyncpg.Pool, settings: Settings, asked: Asked[ConfirmRequest], hold_id: UUID, host: str
) -> Answer:
    """Sell what was set aside.

    :param host: under which name, and port, this service was asked.
    """

    async def sell(connection: asyncpg.Connection, request: ConfirmRequest) -> Answer:
        await refuse_unknown_proof(connection, own_proof(request.payment_proof_url, host))
        created = await confirm_hold(
            connection,
            hold_id,
            name=request.name,
            email=request.email,
            payment_proof_url=request.payment_proof_url,
        )
        return answer_of(
            201, RsvpAnswer(success=True, rsvp=Rsvp.of(created.rsvp), remaining_tickets=created.remaining)
        )

    return await _once(pool, settings, asked, sell)


async def purchase_group(pool: asyncpg.Pool, settings: Settings, asked: Asked[GroupRequest]) -> Answer:
    """Sell one ticket to each of several people, or none to any."""

    async def sell(connection: asyncpg.Connection, request: GroupRequest) -> Answer:
        created = await create_group_rsvp(
            connection,
            event_id=request.event_id,
            ticket_id=request.ticket_id,
            user_ids=[member.user_id for member in request.members],
            names=[member.name for member in request.members],
            emails=[member.email for member in request.members],
        )
        return answer_of(
            201,
            GroupAnswer(
                success=True,
                rsvps=[Rsvp.of(rsvp) for rsvp in created.rsvps],
                remaining_tickets=created.remaining,
            ),
        )

    return await _once(pool, settings, asked, sell)


async def wait_in_line(pool: asyncpg.Pool, settings: Settings, asked: Asked[WaitlistRequest]) -> Answer:
    """Give somebody the last place in the line for what others give back."""

    async def join(connection: asyncpg.Connection, request: WaitlistRequest) -> Answer:
        joined = await join_waitlist(
            connection,
            event_id=request.event_id,
            user_id=request.user_id,
            name=request.name,
            email=request.email,
            ticket_id=request.ticket_id,
        )
        return answer_of(201, WaitlistAnswer(success=True, id=joined.place.id, position=joined.position))

    return await _once(pool, settings, asked, join)


async def _once(
    pool: asyncpg.Pool,
    settings: Settings,
    asked: Asked[Body],
    work: Callable[[asyncpg.Connection, Body], Awaitable[Answer]],
) -> Answer:
    """Do the work on a connection of the pool, once for every Idempotency-Key."""
    async with borrowed(pool, settings) as connection:
        return await answer_once(connection, asked, lambda: work(connection, asked.body))
