"""Payment proofs: small images and PDFs, taken by what they are and not by what they are called."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from uuid import UUID

from harness.service.errors import TooLargeError, UnknownProofError, WrongMediaTypeError
from harness.service.fields import PROOF_PATH
from harness.ticketing import NotFoundError, find_payment_proof

if TYPE_CHECKING:
    from collections.abc import Mapping

    import asyncpg

    from harness.ticketing import PaymentProofRow

PROOF_LIMIT = 5 * 1024 * 1024
"""The largest payment proof, in bytes."""

SIGNATURES: Mapping[str, bytes] = {
    "image/png": b"\x89PNG\r\n\x1a\n",
    "image/jpeg": b"\xff\xd8\xff",
    "application/pdf": b"%PDF-",
}
"""The first bytes of every type that is taken."""


def judge_proof(content_type: str, content: bytes) -> str:
    """Return the type of a proof that is taken: small enough, its header and its first bytes agreeing.

    :raises TooLargeError: when it is over :data:`PROOF_LIMIT`.
    :raises WrongMediaTypeError: when it is empty, of another type, or not what its header says.
    """
    if len(content) > PROOF_LIMIT:
        raise TooLargeError(f"A payment proof may have at most {PROOF_LIMIT} bytes, not {len(content)}.")
    signature = SIGNATURES.get(content_type)
    if signature is None or not content.startswith(signature):
        raise WrongMediaTypeError(
            f"A payment proof must be one of {', '.join(SIGNATURES)}, in its header and in its content."
        )
    return content_type


def own_proof(url: str | None, host: str) -> str | None:
    """Return which proof of ours this address names, existing or not; ``None`` when it names none.

    :param host: under which name, and port, this service was asked.
    """
    parts = urlsplit(url or "")
    if parts.netloc not in ("", host) or not parts.path.startswith(PROOF_PATH):
        return None
    return parts.path.removeprefix(PROOF_PATH)


def address_of(proof: PaymentProofRow) -> str:
    """Return where a stored proof is served."""
    return f"{PROOF_PATH}{proof.id}"


async def load_proof(connection: asyncpg.Connection, proof_id: UUID) -> PaymentProofRow:
    """Return the stored proof.

    :raises NotFoundError: when there is none of that id.
    """
    proof = await find_payment_proof(connection, proof_id)
    if proof is None:
        raise NotFoundError("There is no payment proof of that id.")
    return proof


async def refuse_unknown_proof(connection: asyncpg.Connection, proof_id: str | None) -> None:
    """Make sure that a proof which is said to be here, is.

    :param proof_id: what :func:`own_proof` returned.
    :raises UnknownProofError: when it is not.
    """
    if proof_id is not None and not await _exists(connection, proof_id):
        raise UnknownProofError("paymentProofUrl names a payment proof that was never stored here.")


async def _exists(connection: asyncpg.Connection, proof_id: str) -> bool:
    try:
        # Only whether, not what: the content may be megabytes.
        known = await connection.fetchval(
            "SELECT true FROM public.payment_proofs WHERE id = $1", UUID(proof_id)
        )
    except ValueError:  # not the id of anything
        return False
    return bool(known)
