"""The waiting list: whoever waits longest gets what comes back, without asking."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Request, Response, delete, post
from litestar.datastructures import State
from litestar.params import JSONBody, PathParameter, QueryParameter

from harness.service.answers import answer_of, respond
from harness.service.api._common import (
    BODY_LIMIT,
    TAKING_TROUBLE,
    EventId,
    IdempotencyKey,
    asked,
    body_check,
    refused_by,
)
from harness.service.database import borrowed
from harness.service.errors import BadRequestError
from harness.service.fields import SOME_TEXT
from harness.service.messages import LeaveAnswer, WaitlistAnswer, WaitlistRequest
from harness.service.purchase import wait_in_line
from harness.ticketing import NotFoundError, leave_waitlist

PathOfId = Annotated[str, PathParameter(min_length=2, max_length=201, pattern=r"^[^\x00]+$")]
"""An id with the slash before it: taken as a path, an id may have slashes of its own."""


@post(
    "/api/waitlist",
    before_request=body_check(WaitlistRequest),
    request_max_body_size=BODY_LIMIT,
    responses=refused_by(*TAKING_TROUBLE),
    response_description="The person waits in line.",
    operation_id="joinWaitlist",
    summary="Wait in line",
    tags=["waiting list"],
)
async def join_waitlist(
    request: Request[Any, Any, Any],
    state: State,
    data: JSONBody[WaitlistRequest],
    idempotency_key: IdempotencyKey = None,
) -> Response[WaitlistAnswer]:
    """Wait for one ticket of a sold-out type. What others give back becomes an RSVP of the first in line."""
    what = asked(request, data, idempotency_key)
    return respond(await wait_in_line(state.pool, state.settings, what))


@delete(
    "/api/events/{event_id:str}/waitlist/{user_id:path}",
    status_code=200,
    responses=refused_by(BadRequestError, NotFoundError),
    response_description="The person waits no longer.",
    operation_id="leaveWaitlist",
    summary="Wait no longer",
    tags=["waiting list"],
)
async def delete_place(
    state: State,
    event_id: EventId,
    user_id: PathOfId,
    ticket_id: Annotated[
        str | None,
        QueryParameter(
            name="ticketId",
            max_length=200,
            pattern=SOME_TEXT,
            description="Leave the line of this ticket type only.",
        ),
    ] = None,
) -> Response[LeaveAnswer]:
    """Give a place in the line up; a person has one at most at an event."""
    async with borrowed(state.pool, state.settings) as connection:
        await leave_waitlist(connection, event_id, user_id.removeprefix("/"), ticket_id)
    return respond(answer_of(200, LeaveAnswer(success=True)))


HANDLERS = (join_waitlist, delete_place)
