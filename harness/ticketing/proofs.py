"""Payment proofs in the database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.ticketing.refusals import refusals
from harness.ticketing.rows import PaymentProofRow, to_row

if TYPE_CHECKING:
    from uuid import UUID

    import asyncpg


async def store_payment_proof(
    connection: asyncpg.Connection, *, content_type: str, content: bytes
) -> PaymentProofRow:
    """Keep a payment proof under a new id.

    :raises InvalidRsvpError: when it is empty, larger than 10 MiB, or the content type is malformed. Which
        types are welcome is for the caller to say.
    """
    with refusals(inserting=True):
        record = await connection.fetchrow(
            # Not the content: there is no need to send it back.
            "insert into public.payment_proofs (content_type, content) values ($1, $2)"
            " returning id, content_type, size, created_at",
            content_type,
            content,
        )
    return to_row(PaymentProofRow, {**record, "content": content})


async def find_payment_proof(connection: asyncpg.Connection, proof_id: UUID) -> PaymentProofRow | None:
    """Return the payment proof of that id, if there is one."""
    with refusals():
        record = await connection.fetchrow("select * from public.payment_proofs where id = $1", proof_id)
    return None if record is None else to_row(PaymentProofRow, record)
