"""Payment proofs: uploaded before the purchase, and read again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from litestar import Request, Response, get, post
from litestar.datastructures import State, UploadFile
from litestar.enums import RequestEncodingType
from litestar.params import FromPath, MultipartBody

from harness.service.answers import answer_of, respond
from harness.service.api._common import BODY_LIMIT, BODY_TROUBLE, refused_by, whole_body
from harness.service.database import borrowed
from harness.service.errors import BadRequestError, WrongMediaTypeError
from harness.service.messages import ProofAnswer
from harness.service.proofs import PROOF_LIMIT, address_of, judge_proof, load_proof
from harness.ticketing import NotFoundError, store_payment_proof


@dataclass
class ProofUpload:
    """One file in a form."""

    file: UploadFile
    """A PNG, a JPEG or a PDF of at most 5 MiB."""


async def check_upload(request: Request[Any, Any, Any]) -> None:
    """Refuse an upload that is no form, and wait until all of it has arrived.

    Parsed while it arrives, a form that is cut off would leave its temporary file to the garbage collector.

    :raises WrongMediaTypeError: when the body is of another type.
    """
    if request.content_type[0] != RequestEncodingType.MULTI_PART:
        raise WrongMediaTypeError("A payment proof is sent as multipart/form-data, in the field 'file'.")
    await whole_body(request)


@post(
    "/api/payment-proofs",
    before_request=check_upload,
    request_max_body_size=PROOF_LIMIT + BODY_LIMIT,
    responses=refused_by(*BODY_TROUBLE),
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


HANDLERS = (upload_proof, read_proof)
