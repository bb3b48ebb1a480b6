"""Holds: a ticket is set aside while its buyer pays, then confirmed, released, or given back by the clock."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from litestar import Request, Response, delete, post
from litestar.datastructures import State
from litestar.params import FromPath, JSONBody

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
from harness.service.messages import (
    ConfirmRequest,
    ExpireAnswer,
    Hold,
    HoldAnswer,
    HoldRequest,
    ReleaseAnswer,
    RsvpAnswer,
)
from harness.service.purchase import confirm, set_aside
from harness.service.sweeping import sweep
from harness.ticketing import HoldExpiredError, NotFoundError, SoldOutError, release_hold


@post(
    "/api/holds",
    before_request=body_check(HoldRequest),
    request_max_body_size=BODY_LIMIT,
    responses=refused_by(*TAKING_TROUBLE, SoldOutError),
    response_description="One ticket is set aside.",
    operation_id="createHold",
    summary="Hold a ticket while paying",
    tags=["holds"],
)
async def create_hold(
    request: Request[Any, Any, Any],
    state: State,
    data: JSONBody[HoldRequest],
    idempotency_key: IdempotencyKey = None,
) -> Response[HoldAnswer]:
    """Set one ticket aside for one person, who has no other place at the event, until the hold expires."""
    what = asked(request, data, idempotency_key)
    return respond(await set_aside(state.pool, state.settings, what))


@post(
    "/api/holds/{hold_id:str}/confirm",
    before_request=body_check(ConfirmRequest),
    request_max_body_size=BODY_LIMIT,
    responses=refused_by(*TAKING_TROUBLE, UnknownProofError, HoldExpiredError),
    response_description="The RSVP is in the books, with the ticket that was held.",
    operation_id="confirmHold",
    summary="Turn a hold into an RSVP",
    tags=["holds"],
)
async def confirm_hold(
    request: Request[Any, Any, Any],
    state: State,
    hold_id: FromPath[UUID],
    data: JSONBody[ConfirmRequest],
    idempotency_key: IdempotencyKey = None,
) -> Response[RsvpAnswer]:
    """Turn a hold whose time has not run out into an RSVP, once however often this is asked."""
    host = request.headers.get("host", "")
    what = asked(request, data, idempotency_key)
    return respond(await confirm(state.pool, state.settings, what, hold_id, host))


@delete(
    "/api/holds/{hold_id:str}",
    status_code=200,
    responses=refused_by(BadRequestError, NotFoundError),
    response_description="The hold is over, by this request or by an earlier one.",
    operation_id="releaseHold",
    summary="Give a hold up",
    tags=["holds"],
)
async def delete_hold(state: State, hold_id: FromPath[UUID]) -> Response[ReleaseAnswer]:
    """Give a hold up and its ticket back, exactly once however often this is asked."""
    async with borrowed(state.pool, state.settings) as connection:
        released = await release_hold(connection, hold_id)
    return respond(answer_of(200, ReleaseAnswer(success=True, hold=Hold.of(released))))


@post(
    "/api/holds/expire",
    status_code=200,
    responses=refused_by(),
    response_description="Every hold whose time had run out is given back.",
    operation_id="expireHolds",
    summary="Give back what was held for too long",
    tags=["operations"],
)
async def expire_holds(state: State) -> Response[ExpireAnswer]:
    """Do at once what the sweeper does every few seconds. Safe to call at any time, by anybody, at once."""
    return respond(
        answer_of(200, ExpireAnswer(success=True, expired=await sweep(state.pool, state.settings)))
    )


HANDLERS = (create_hold, confirm_hold, delete_hold, expire_holds)
