"""What responses of the contract in ``docs/service.md`` mean to the buyer."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from harness.model import Answer, Outcome, ReadAvailability, ReadSales

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from harness.contract.requests import Ids, Request
    from harness.model import Operation

CONFLICTS: Mapping[str, Outcome] = {
    "sold_out": Outcome.SOLD_OUT,
    "duplicate_rsvp": Outcome.DUPLICATE,
    "hold_expired": Outcome.INVALID,
}
"""What 409 means, by the error code beside it."""

NOTHING_NAMED = Answer(Outcome.INVALID, detail="an earlier answer named nothing to do this with")
"""What an operation comes to for which there is no request."""


def answer_of(operation: Operation, ids: Ids, request: Request, status: int, body: bytes) -> Answer:
    """Return what the response to an operation's request means, with the numbers that were asked for."""
    data = read_json(body)
    answer = _answer(status, data, request.accepted)
    if answer.outcome is not Outcome.ACCEPTED:
        return answer
    match operation:
        case ReadAvailability():
            return Answer(Outcome.ACCEPTED, remaining=_available(data.get("tickets"), ids[1]))
        case ReadSales():
            return Answer(Outcome.ACCEPTED, sold=_standing(data.get("sales")))
    return answer


def read_answer(status: int, body: bytes, accepted: Collection[int]) -> Answer:
    """Return what a response means, whatever it was that was asked for.

    :param accepted: the statuses that say that it was done.
    """
    return _answer(status, read_json(body), accepted)


def read_json(body: bytes) -> dict[str, Any]:
    """Return the JSON object in a body; an empty one when there is none."""
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}


def _answer(status: int, data: Mapping[str, Any], accepted: Collection[int]) -> Answer:
    detail = str(data.get("message", ""))[:200]
    if status in accepted:
        return _accepted(status, data)
    if status == 409:
        outcome = CONFLICTS.get(str(data.get("error")))
        if outcome is None:
            return Answer(
                Outcome.UNKNOWN, detail=f"409 without a known error code: {data.get('error')!r}"[:200]
            )
        return Answer(outcome, detail=detail)
    if status in (429, 503):
        return Answer(Outcome.RETRYABLE, detail=detail)
    if 400 <= status < 500:
        return Answer(Outcome.INVALID, detail=detail or f"status {status}")
    return Answer(Outcome.UNKNOWN, detail=detail or f"status {status}")


def _accepted(status: int, data: Mapping[str, Any]) -> Answer:
    """Return an acceptance, if the body is one."""
    if status != 204 and not data:
        return Answer(Outcome.UNKNOWN, detail=f"status {status} with a body that is no JSON object")
    rsvps = data.get("rsvps")
    group = [_name_of(each) for each in rsvps] if isinstance(rsvps, list) else []
    return Answer(
        Outcome.ACCEPTED,
        reservation=_name_of(data.get("rsvp")) or _name_of(data.get("hold")),
        remaining=_number_in(data, "remainingTickets"),
        group=tuple(name for name in group if name is not None),
    )


def _available(tickets: object, ticket: str) -> int | None:
    """Return what remains of one ticket type of the event."""
    for each in tickets if isinstance(tickets, list) else ():
        if isinstance(each, dict) and each.get("ticketId") == ticket:
            return _number_in(each, "available")
    return None


def _standing(sales: object) -> int | None:
    """Return what stands at the end of the last stretch of time; none where nothing was ever sold."""
    if not isinstance(sales, list):
        return None
    return _number_in(sales[-1], "standing") if sales else 0


def _name_of(thing: object) -> str | None:
    name = thing.get("id") if isinstance(thing, dict) else None
    return None if name is None else str(name)


def _number_in(data: object, name: str) -> int | None:
    """Return a number of the data; ``None`` when it is none, or not there."""
    value = data.get(name) if isinstance(data, dict) else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None
