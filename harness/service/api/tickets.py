"""Ticket types: how many there are to sell, and how they sold."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Annotated

from litestar import Response, get, put
from litestar.datastructures import State
from litestar.params import JSONBody, QueryParameter

from harness.service.answers import answer_of, respond
from harness.service.api._common import BODY_LIMIT, BODY_TROUBLE, TextId, body_check, refused_by
from harness.service.database import borrowed
from harness.service.errors import BadRequestError
from harness.service.messages import (
    CapacityAnswer,
    CapacityRequest,
    SalesAnswer,
    SalesPoint,
    TicketType,
)
from harness.ticketing import InvalidRsvpError, NotFoundError, change_capacity, get_ticket_sales


class Bucket(StrEnum):
    """How long the stretches of time are that sales are counted by."""

    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"

    @property
    def length(self) -> timedelta:
        """Return how long one is."""
        return {
            Bucket.MINUTE: timedelta(minutes=1),
            Bucket.HOUR: timedelta(hours=1),
            Bucket.DAY: timedelta(days=1),
        }[self]


@put(
    "/api/tickets/{ticket_id:str}/capacity",
    before_request=body_check(CapacityRequest),
    request_max_body_size=BODY_LIMIT,
    responses=refused_by(*BODY_TROUBLE, InvalidRsvpError, NotFoundError),
    response_description="There are that many to sell; those who waited have what was added.",
    operation_id="changeCapacity",
    summary="Change how many there are to sell",
    tags=["tickets"],
)
async def put_capacity(
    state: State, ticket_id: TextId, data: JSONBody[CapacityRequest]
) -> Response[CapacityAnswer]:
    """Change how many tickets of a type there are in all; never fewer than are sold and held."""
    async with borrowed(state.pool, state.settings) as connection:
        ticket = await change_capacity(connection, ticket_id, data.capacity)
    return respond(answer_of(200, CapacityAnswer(success=True, ticket=TicketType.of(ticket))))


@get(
    "/api/tickets/{ticket_id:str}/sales",
    responses=refused_by(BadRequestError, NotFoundError),
    operation_id="getSales",
    summary="How it sold over time",
    tags=["tickets"],
)
async def get_sales(
    state: State,
    ticket_id: TextId,
    bucket: Annotated[
        Bucket, QueryParameter(description="how long the stretches of time are that sales are counted by")
    ] = Bucket.HOUR,
) -> Response[SalesAnswer]:
    """Tell how many RSVPs of a ticket type were made and cancelled in each hour, and stood at its end."""
    async with borrowed(state.pool, state.settings) as connection:
        rows = await get_ticket_sales(connection, ticket_id, bucket.length)
    sales = [SalesPoint.of(row) for row in rows]
    return respond(
        answer_of(200, SalesAnswer(success=True, ticket_id=ticket_id, bucket=bucket.value, sales=sales))
    )


HANDLERS = (put_capacity, get_sales)
