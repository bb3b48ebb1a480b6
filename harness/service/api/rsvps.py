"""RSVPs: made, and cancelled."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from litestar import Request, Response, delete, post
from litestar.datastructures import State
from litestar.params import FromPath, JSONBody, QueryParameter

from harness.service.answers import answer_of, respond
from harness.service.api._common import (
    BODY_LIMIT,
    TAKING_TROUBLE,
    IdempotencyKey,
    asked,
    body_check,
    refused_by,
)
from harness.service.database import borrowed
from harness.service.errors import BadRequestError, UnknownProofError
from harness.service.fields import SOME_TEXT
from harness.service.messages import CancelAnswer, Rsvp, RsvpAnswer, RsvpRequest
from harness.service.purchase import purchase
from harness.ticketing import NotFoundError, NotOwnerError, SoldOutError, cancel_rsvp


@post(
    "/api/rsvp",
    before_request=body_check(RsvpRequest),
    request_max_body_size=BODY_LIMIT,
    responses=refused_by(*TAKING_TROUBLE, UnknownProofError, SoldOutError),
    response_description="The RSVP is in the books, and one ticket is taken.",
    operation_id="createRsvp",
    summary="RSVP",
    tags=["rsvp"],
)
async def create_rsvp(
    request: Request[Any, Any, Any],
    state: State,
    data: JSONBody[RsvpRequest],
    idempotency_key: IdempotencyKey = None,
) -> Response[RsvpAnswer]:
    """Take one ticket for one person, at most one per person and event, all or nothing."""
    host = request.headers.get("host", "")
    what = asked(request, data, idempotency_key)
    return respond(await purchase(state.pool, state.settings, what, host))


@delete(
    "/api/rsvp/{rsvp_id:str}",
    status_code=200,
    responses=refused_by(BadRequestError, NotOwnerError, NotFoundError),
    response_description="The RSVP is cancelled, by this request or by an earlier one.",
    operation_id="cancelRsvp",
    summary="Cancel an RSVP",
    tags=["rsvp"],
)
async def delete_rsvp(
    state: State,
    rsvp_id: FromPath[UUID],
    user_id: Annotated[
        str | None,
        QueryParameter(
            name="userId",
            max_length=200,
            pattern=SOME_TEXT,
            description="Who cancels. Given, it must be who the RSVP is of.",
        ),
    ] = None,
) -> Response[CancelAnswer]:
    """Cancel an RSVP and give its ticket back, exactly once however often this is asked."""
    async with borrowed(state.pool, state.settings) as connection:
        cancelled = await cancel_rsvp(connection, rsvp_id, user_id)
    return respond(answer_of(200, CancelAnswer(success=True, rsvp=Rsvp.of(cancelled))))


HANDLERS = (create_rsvp, delete_rsvp)
