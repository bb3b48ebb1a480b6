"""Events: what is left, asked for once."""

from __future__ import annotations

from litestar import Response, get
from litestar.datastructures import State

from harness.service.answers import answer_of, respond
from harness.service.api._common import EventId, refused_by
from harness.service.database import borrowed
from harness.service.errors import BadRequestError
from harness.service.events import describe_event
from harness.service.messages import Availability, AvailabilityAnswer
from harness.ticketing import NotFoundError


@get(
    "/api/events/{event_id:str}/availability",
    responses=refused_by(BadRequestError, NotFoundError),
    operation_id="getAvailability",
    summary="What is left",
    tags=["events"],
)
async def get_availability(state: State, event_id: EventId) -> Response[AvailabilityAnswer]:
    """Tell the ticket types of an event, what each costs, and how many are left and sold."""
    async with borrowed(state.pool, state.settings) as connection:
        name, rows = await describe_event(connection, event_id)
    tickets = [Availability.of(row) for row in rows]
    return respond(
        answer_of(200, AvailabilityAnswer(success=True, event_id=event_id, name=name, tickets=tickets))
    )


HANDLERS = (get_availability,)
