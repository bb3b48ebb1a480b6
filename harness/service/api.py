"""The routes under ``/api`` and ``/healthz``: each reads its request, calls one function, and answers."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

from litestar import Request, Response, delete, get, post
from litestar.datastructures import State, UploadFile
from litestar.enums import RequestEncodingType
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, HeaderParameter, JSONBody, MultipartBody, PathParameter

from harness.service.answers import answer_of, respond
from harness.service.database import borrowed
from harness.service.errors import (
    REFUSALS,
    BadRequestError,
    BusyError,
    DatabaseUnreachableError,
    OutcomeUnknownError,
    TooLargeError,
    TooSlowError,
    UnknownProofError,
    WrongMediaTypeError,
)
from harness.service.events import describe_event
from harness.service.messages import (
    LARGEST_ID,
    Availability,
    AvailabilityAnswer,
    CancelAnswer,
    ErrorAnswer,
    HealthAnswer,
    ProofAnswer,
    Rsvp,
    RsvpAnswer,
    RsvpRequest,
    read_rsvp,
)
from harness.service.proofs import PROOF_LIMIT, address_of, judge_proof, load_proof
from harness.service.purchase import purchase
from harness.ticketing import (
    DuplicateRsvpError,
    IdempotencyKeyReusedError,
    InvalidRsvpError,
    NotFoundError,
    SaleClosedError,
    SoldOutError,
    cancel_rsvp,
    store_payment_proof,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

BODY_LIMIT = 64 * 1024
"""The largest JSON body, in bytes; an upload may have as much around its file."""


@dataclass
class ProofUpload:
    """One file in a form."""

    file: UploadFile
    """A PNG, a JPEG or a PDF of at most 5 MiB."""


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


async def check_rsvp_body(request: Request[Any, Any, Any]) -> None:
    """Refuse a body that is no RSVP, in words for the person who sent it.

    ``text/plain`` and no type at all are taken for JSON: it is what ``fetch`` sends when its body is a
    string and nobody names a type, and plenty of callers do exactly that.

    :raises WrongMediaTypeError: when the body says it is something else than JSON.
    :raises BadRequestError: when fields are missing or malformed.
    """
    media_type = request.content_type[0]
    if media_type not in ("application/json", "text/plain", ""):
        raise WrongMediaTypeError(f"An RSVP is sent as application/json, not as {media_type}.")
    read_rsvp(await _whole_body(request))


async def check_upload(request: Request[Any, Any, Any]) -> None:
    """Refuse an upload that is no form, and wait until all of it has arrived.

    Parsed while it arrives, a form that is cut off would leave its temporary file to the garbage collector.

    :raises WrongMediaTypeError: when the body is of another type.
    """
    if request.content_type[0] != RequestEncodingType.MULTI_PART:
        raise WrongMediaTypeError("A payment proof is sent as multipart/form-data, in the field 'file'.")
    await _whole_body(request)


async def _whole_body(request: Request[Any, Any, Any]) -> bytes:
    """Return the body once all of it is here; Litestar keeps it for the handler.

    :raises TooSlowError: when that takes too long.
    """
    try:
        async with asyncio.timeout(request.app.state.settings.body_wait):
            return await request.body()
    except TimeoutError:
        raise TooSlowError("The body did not arrive in time.") from None


@post(
    "/api/rsvp",
    before_request=check_rsvp_body,
    request_max_body_size=BODY_LIMIT,
    responses=refused_by(
        BadRequestError,
        InvalidRsvpError,
        UnknownProofError,
        NotFoundError,
        DuplicateRsvpError,
        SoldOutError,
        SaleClosedError,
        TooSlowError,
        TooLargeError,
        WrongMediaTypeError,
        IdempotencyKeyReusedError,
    ),
    response_description="The RSVP is in the books, and one ticket is taken.",
    operation_id="createRsvp",
    summary="RSVP",
    tags=["rsvp"],
)
async def create_rsvp(
    request: Request[Any, Any, Any],
    state: State,
    data: JSONBody[RsvpRequest],
    idempotency_key: Annotated[
        str | None,
        HeaderParameter(
            name="Idempotency-Key",
            max_length=255,
            pattern=r"^[\x21-\x7e]+$",
            description="Sent again with the same request, it brings the same answer, once in the books.",
        ),
    ] = None,
) -> Response[RsvpAnswer]:
    """Take one ticket for one person, at most one per person and event, all or nothing."""
    host = request.headers.get("host", "")
    return respond(await purchase(state.pool, state.settings, data, key=idempotency_key, host=host))


@delete(
    "/api/rsvp/{rsvp_id:str}",
    status_code=200,
    responses=refused_by(BadRequestError, NotFoundError),
    response_description="The RSVP is cancelled, by this request or by an earlier one.",
    operation_id="cancelRsvp",
    summary="Cancel an RSVP",
    tags=["rsvp"],
)
async def delete_rsvp(state: State, rsvp_id: FromPath[UUID]) -> Response[CancelAnswer]:
    """Cancel an RSVP and give its ticket back, exactly once however often this is asked."""
    async with borrowed(state.pool, state.settings) as connection:
        cancelled = await cancel_rsvp(connection, rsvp_id)
    return respond(answer_of(200, CancelAnswer(success=True, rsvp=Rsvp.of(cancelled))))


@get(
    "/api/events/{event_id:str}/availability",
    responses=refused_by(BadRequestError, NotFoundError),
    operation_id="getAvailability",
    summary="What is left",
    tags=["events"],
)
async def get_availability(
    state: State, event_id: Annotated[int, PathParameter(ge=1, le=LARGEST_ID)]
) -> Response[AvailabilityAnswer]:
    """Tell the ticket types of an event, what each costs, and how many are left and sold."""
    async with borrowed(state.pool, state.settings) as connection:
        name, rows = await describe_event(connection, event_id)
    tickets = [Availability.of(row) for row in rows]
    return respond(
        answer_of(200, AvailabilityAnswer(success=True, event_id=event_id, name=name, tickets=tickets))
    )


@post(
    "/api/payment-proofs",
    before_request=check_upload,
    request_max_body_size=PROOF_LIMIT + BODY_LIMIT,
    responses=refused_by(BadRequestError, TooSlowError, TooLargeError, WrongMediaTypeError),
    response_description="The proof is stored.",
    operation_id="uploadPaymentProof",
    summary="Upload a payment proof",
    tags=["payment proofs"],
)
async def upload_proof(state: State, data: MultipartBody[ProofUpload]) -> Response[ProofAnswer]:
    """Store a payment proof. Nothing is bought by it: its address goes into an RSVP afterwards."""
    # One byte over the limit is enough to know; the rest need not be copied.
    content = await data.file.read(PROOF_LIMIT + 1)
    content_type = judge_proof(data.file.content_type, content)
    async with borrowed(state.pool, state.settings) as connection:
        proof = await store_payment_proof(connection, content_type=content_type, content=content)
    return respond(answer_of(201, ProofAnswer(success=True, payment_proof_url=address_of(proof))))


@get(
    "/api/payment-proofs/{proof_id:str}",
    media_type="*/*",
    responses=refused_by(BadRequestError, NotFoundError),
    response_description="The file as it was uploaded, under the type it was uploaded with.",
    operation_id="getPaymentProof",
    summary="Read a payment proof",
    tags=["payment proofs"],
)
async def read_proof(state: State, proof_id: FromPath[UUID]) -> Response[bytes]:
    """Give back a stored payment proof. Whoever knows its address may read it."""
    async with borrowed(state.pool, state.settings) as connection:
        proof = await load_proof(connection, proof_id)
    return Response(
        proof.content,
        media_type=proof.content_type,
        headers={
            "X-Content-Type-Options": "nosniff",
            "Content-Security-Policy": "default-src 'none'",
            "Cache-Control": "private",
        },
    )


@get(
    "/healthz",
    responses=refused_by(),
    operation_id="getHealth",
    summary="Is it up?",
    tags=["operations"],
)
async def healthz(state: State) -> Response[HealthAnswer]:
    """Answer 200 only when a connection of the pool reaches Postgres."""
    async with borrowed(state.pool, state.settings) as connection:
        await connection.fetchval("SELECT 1")
    return respond(answer_of(200, HealthAnswer(success=True)))


HANDLERS = (create_rsvp, delete_rsvp, get_availability, upload_proof, read_proof, healthz)
