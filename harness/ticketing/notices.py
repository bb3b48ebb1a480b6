"""Notices of what is available: listen on :data:`CHANNEL`, and read what arrives with :func:`read_notice`."""

from __future__ import annotations

import json
from dataclasses import dataclass

CHANNEL = "ticket_availability"
"""For ``LISTEN``; see ``sql/0016_notices.sql``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AvailabilityNotice:
    """What is available of a ticket has changed. Arrives when that is committed, in that order."""

    event_id: int
    ticket_id: str
    available: int
    sold_out: bool
    sequence: int
    """0 when the ticket was put on sale, then one more with each notice of the ticket: a gap was missed."""


def read_notice(payload: str) -> AvailabilityNotice:
    """Return the notice that a payload says.

    :raises ValueError: when it is none; anybody may send on a channel.
    """
    try:
        notice = AvailabilityNotice(**json.loads(payload))
    except TypeError as error:
        raise ValueError(f"not a notice: {error}") from None
    types = (notice.event_id, notice.ticket_id, notice.available, notice.sold_out, notice.sequence)
    if [type(value) for value in types] != [int, str, int, bool, int]:
        raise ValueError("not a notice: a value of another type")
    return notice
