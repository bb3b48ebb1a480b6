"""Refunds: an RSVP is taken back and its price paid back, once."""

from __future__ import annotations

from uuid import UUID

from litestar import Response, post
from litestar.datastructures import State
from litestar.params import FromPath

from harness.service.answers import answer_of, respond
from harness.service.api._common import refused_by
from harness.service.database import borrowed
from harness.service.errors import BadRequestError
from harness.service.messages import Refund, RefundAnswer
from harness.ticketing import InvalidRsvpError, NotFoundError, refund_rsvp


@post(
    "/api/rsvp/{rsvp_id:str}/refund",
    status_code=200,
    responses=refused_by(BadRequestError, InvalidRsvpError, NotFoundError),
    response_description="The RSVP is cancelled and its price paid back, by this request or an earlier one.",
    operation_id="refundRsvp",
    summary="Refund an RSVP",
    tags=["rsvp"],
)
async def create_refund(state: State, rsvp_id: FromPath[UUID]) -> Response[RefundAnswer]:
    """Cancel an RSVP and pay back what was paid for it, exactly once however often this is asked."""
    async with borrowed(state.pool, state.settings) as connection:
        refund = await refund_rsvp(connection, rsvp_id)
    return respond(answer_of(200, RefundAnswer(success=True, refund=Refund.of(refund))))


HANDLERS = (create_refund,)
