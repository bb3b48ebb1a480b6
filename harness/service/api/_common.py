"""What the routes share: limits, checks before a handler runs, and how refusals are documented."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

from litestar import Request
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import HeaderParameter, PathParameter

from harness.service.errors import (
    REFUSALS,
    BadRequestError,
    BusyError,
    DatabaseUnreachableError,
    OutcomeUnknownError,
    TooLargeError,
    TooSlowError,
    WrongMediaTypeError,
)
from harness.service.fields import LARGEST_ID
from harness.service.idempotency import Asked, Body
from harness.service.messages import ErrorAnswer
from harness.service.reading import check_body
from harness.ticketing import (
    DuplicateRsvpError,
    IdempotencyKeyReusedError,
    InvalidRsvpError,
    NotFoundError,
    SaleClosedError,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    import msgspec

BODY_LIMIT = 64 * 1024
"""The largest JSON body, in bytes; an upload may have as much around its file."""

BODY_TROUBLE = (BadRequestError, TooSlowError, TooLargeError, WrongMediaTypeError)
"""What can be wrong with any body."""
TAKING_TROUBLE = (
    *BODY_TROUBLE,
    IdempotencyKeyReusedError,
    InvalidRsvpError,
    NotFoundError,
    DuplicateRsvpError,
    SaleClosedError,
)
"""What can stand in the way of whoever takes a place at an event, under an Idempotency-Key."""

EventId = Annotated[int, PathParameter(ge=1, le=LARGEST_ID)]
TextId = Annotated[str, PathParameter(min_length=1, max_length=200, pattern=r"^[^\x00]+$")]

IdempotencyKey = Annotated[
    str | None,
    HeaderParameter(
        name="Idempotency-Key",
        max_length=255,
        pattern=r"^[\x21-\x7e]+$",
        description="Sent again with the same request, it brings the same answer, once in the books.",
    ),
]


def refused_by(*errors: type[Exception]) -> Mapping[int, ResponseSpec]:
    """Return the documentation of these errors, and of those any request can meet, by status."""
    specs: dict[int, list[str]] = {}
    for error in (*errors, OutcomeUnknownError, BusyError, DatabaseUnreachableError):
        line = (error.__doc__ or "").splitlines()[0]
        specs.setdefault(REFUSALS[error].status, []).append(f"`{REFUSALS[error].code}`: {line}")
    specs[500].append("`internal`: A bug of ours, for the log; whether it was done is not known.")
    return {
        status: ResponseSpec(ErrorAnswer, description="\n\n".join(lines), generate_examples=False)
        for status, lines in sorted(specs.items())
    }


def body_check(kind: type[msgspec.Struct]) -> Callable[[Request[Any, Any, Any]], Awaitable[None]]:
    """Return what refuses a body that is no such request, in words for the person who sent it.

    ``text/plain`` and no type at all are taken for JSON: it is what ``fetch`` sends when its body is a
    string and nobody names a type, and plenty of callers do exactly that.
    """

    async def check(request: Request[Any, Any, Any]) -> None:
        media_type = request.content_type[0]
        if media_type not in ("application/json", "text/plain", ""):
            raise WrongMediaTypeError(f"The body is sent as application/json, not as {media_type}.")
        check_body(await whole_body(request), kind)

    return check


async def whole_body(request: Request[Any, Any, Any]) -> bytes:
    """Return the body once all of it is here; Litestar keeps it for the handler.

    :raises TooSlowError: when that takes too long.
    """
    try:
        async with asyncio.timeout(request.app.state.settings.body_wait):
            return await request.body()
    except TimeoutError:
        raise TooSlowError("The body did not arrive in time.") from None


def asked(request: Request[Any, Any, Any], body: Body, key: str | None) -> Asked[Body]:
    """Return what is asked for, as its Idempotency-Key knows it."""
    return Asked(key, f"{request.method} {request.url.path}", body)
