"""Group RSVPs: several people at once, all or nobody."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, post
from litestar.datastructures import State
from litestar.params import JSONBody

from harness.service.answers import respond
from harness.service.api._common import (
    BODY_LIMIT,
    TAKING_TROUBLE,
    IdempotencyKey,
    asked,
    body_check,
    refused_by,
)
from harness.service.messages import GroupAnswer, GroupRequest
from harness.service.purchase import purchase_group
from harness.ticketing import SoldOutError


@post(
    "/api/group-rsvps",
    before_request=body_check(GroupRequest),
    request_max_body_size=BODY_LIMIT,
    responses=refused_by(*TAKING_TROUBLE, SoldOutError),
    response_description="An RSVP for each of them is in the books.",
    operation_id="createGroupRsvp",
    summary="RSVP for several people",
    tags=["rsvp"],
)
async def create_group_rsvp(
    request: Request[Any, Any, Any],
    state: State,
    data: JSONBody[GroupRequest],
    idempotency_key: IdempotencyKey = None,
) -> Response[GroupAnswer]:
    """Take one ticket for each of several people: for all of them, or for nobody."""
    what = asked(request, data, idempotency_key)
    return respond(await purchase_group(state.pool, state.settings, what))


HANDLERS = (create_group_rsvp,)
