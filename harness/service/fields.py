"""The rules for single values: what the OpenAPI document shows, and what a refusal says they must be."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from msgspec import Meta

LARGEST_ID = 2**53 - 1
"""The largest number of an event: beyond it, JSON readers in other languages lose digits."""
LARGEST_COUNT = 2**31 - 1
"""The largest number of units that Postgres keeps in an integer."""
LARGEST_GROUP = 20
"""The most people of one group."""

PROOF_PATH = "/api/payment-proofs/"

# Postgres cannot store NUL in a text, and a name of blanks is nobody's.
SOME_TEXT = r"^[^\x00]*[^\s\x00][^\x00]*$"
_UUID = "[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
# Python's "$" also matches before a last line break, other dialects' does not; this says it for all.
_END = r"$(?!\n)"

EventNumber = Annotated[int, Meta(ge=1, le=LARGEST_ID, description="the event's number, from 1")]
Name = Annotated[
    str, Meta(max_length=200, pattern=SOME_TEXT, description="1 to 200 characters, not only blanks")
]
Email = Annotated[
    str,
    Meta(
        max_length=320,
        pattern=r"^[^@\s\x00]+@[^@\s\x00]+" + _END,
        description="an address such as ann@example.org, at most 320 characters",
    ),
]
TicketId = Annotated[
    str,
    Meta(max_length=200, pattern=SOME_TEXT, description="the id of a ticket type, 1 to 200 characters"),
]
ProofUrl = Annotated[
    str,
    Meta(
        max_length=2000,
        pattern=rf"^(https://[A-Za-z0-9.-]+(:[0-9]+)?([/?#][^\s\x00]*)?|{PROOF_PATH}{_UUID}){_END}",
        description="an https address, or what the upload of a payment proof answered",
    ),
]
Capacity = Annotated[
    int, Meta(ge=0, le=LARGEST_COUNT, description=f"a whole number from 0 to {LARGEST_COUNT}")
]
Remaining = Annotated[int, Meta(ge=0, description="units of that ticket type left just after")]

Money = Annotated[Decimal, Meta(description="a decimal number in a string, so that no cent is lost")]


def is_event_number(text: str) -> bool:
    """Say whether a text from an address can be the number of an event."""
    return text.isascii() and text.isdigit() and len(text) <= len(str(LARGEST_ID)) and int(text) <= LARGEST_ID
