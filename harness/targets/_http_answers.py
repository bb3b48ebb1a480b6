"""What a response of the contract in ``docs/service.md`` means to the buyer."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

from harness.model import Answer, Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.targets._http_client import Response

_CONFLICTS: Mapping[str, Outcome] = {
    "sold_out": Outcome.SOLD_OUT,
    "duplicate_rsvp": Outcome.DUPLICATE,
    "hold_expired": Outcome.INVALID,
}
"""What 409 means, by the error code beside it."""


def read_answer(response: Response, *accepted: int) -> Answer:
    """Return what a response of the contract means to the buyer."""
    data = read_json(response)
    detail = str(data.get("message", ""))[:200]
    if response.status in accepted:
        return _accepted(response, data)
    if response.status == 409:
        outcome = _CONFLICTS.get(str(data.get("error")))
        if outcome is None:
            return Answer(
                Outcome.UNKNOWN, detail=f"409 without a known error code: {data.get('error')!r}"[:200]
            )
        return Answer(outcome, detail=detail)
    if response.status in (429, 503):
        return Answer(Outcome.RETRYABLE, detail=detail)
    if 400 <= response.status < 500:
        return Answer(Outcome.INVALID, detail=detail or f"status {response.status}")
    return Answer(Outcome.UNKNOWN, detail=detail or f"status {response.status}")


def read_json(response: Response) -> dict[str, Any]:
    """Return the JSON object in the body; an empty one when there is none."""
    with contextlib.suppress(ValueError, RecursionError):
        data = json.loads(response.body)
        if isinstance(data, dict):
            return data
    return {}


def number_in(data: object, name: str) -> int | None:
    """Return a number of the data; ``None`` when it is none, or not there."""
    value = data.get(name) if isinstance(data, dict) else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _accepted(response: Response, data: dict[str, Any]) -> Answer:
    """Return an acceptance, if the body is one."""
    if response.status != 204 and not data:
        return Answer(Outcome.UNKNOWN, detail=f"status {response.status} with a body that is no JSON object")
    rsvps = data.get("rsvps")
    group = [_name_of(each) for each in rsvps] if isinstance(rsvps, list) else []
    return Answer(
        Outcome.ACCEPTED,
        reservation=_name_of(data.get("rsvp")) or _name_of(data.get("hold")),
        remaining=number_in(data, "remainingTickets"),
        group=tuple(name for name in group if name is not None),
    )


def _name_of(thing: object) -> str | None:
    return str(thing["id"]) if isinstance(thing, dict) and "id" in thing else None
