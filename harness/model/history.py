"""What can be said of a history: some order of the sequential specification explains it, none does, or it is
not known.

A call takes effect at one moment between ``invoked`` and ``completed``. One whose outcome is unknown takes
effect at one moment after ``invoked``, or never. A history is explained by an order of its calls that keeps
to those times and in which the specification gives every answer (linearizability: Herlihy and Wing 1990).
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from enum import StrEnum
from operator import attrgetter
from typing import TYPE_CHECKING

from harness.model.answers import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from harness.model.evidence import Call
    from harness.model.scenario import TicketType

NEVER = 1 << 62
"""As a time: later than any clock. When a call is over whose outcome is not known."""

_LOOKED_AT = 1_000


class Explained(StrEnum):
    """Whether some order explains a history."""

    YES = "explainable"
    NO = "not explainable"
    UNDECIDED = "undecided"
    """Neither an explanation nor a proof that there is none was found within the budget."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What was found out about a history, and how."""

    explained: Explained
    method: str
    """What decided it, in words."""
    ticket: str | None = None
    """The ticket type of that call."""
    call: Call | None = None
    """Where it is not explainable, the first call that nothing explains: up to its completion there is no
    explanation, whatever became of the calls that were still under way; up to just before, there is one."""
    around: tuple[Call, ...] = ()
    """The calls that overlap it and the last ones before, in the order of their invocation."""
    reason: str = ""
    """Why it is not explainable, or not decided."""


@dataclass(frozen=True, slots=True)
class Part:
    """The calls of one event, which share no rule with those of any other."""

    tickets: tuple[TicketType, ...]
    calls: tuple[Call, ...]
    """Those that may have had an effect or say something about the state, in the order of invocation."""


def is_open(call: Call) -> bool:
    """Say whether the call may take effect at any time after it was invoked, or never."""
    return call.completed is None or call.answer.outcome is Outcome.UNKNOWN


def ended(call: Call) -> int:
    """Return by when the call had taken effect; :data:`NEVER` when that is not known.

    A call that took no time at all, by a coarse clock, is taken to have lasted until just after.
    """
    if is_open(call):
        return NEVER
    completed: int = call.completed  # type: ignore[assignment]  # it is not open
    return completed if completed > call.invoked else call.invoked + 1


def parts(tickets: Iterable[TicketType], calls: Iterable[Call]) -> tuple[Part, ...]:
    """Return the history cut by event.

    A history is linearizable exactly when its projections on independent objects are (Herlihy and Wing 1990,
    theorem 1). Calls refused for a passing reason, or as invalid, need no explanation and are left out: a
    target may have rules of its own, and nothing happened. So are calls about a ticket type that there is
    not, except those that were not refused: these belong to every event, since none explains them.
    """
    events: dict[str, list[TicketType]] = {}
    for ticket in tickets:
        events.setdefault(ticket.event, []).append(ticket)
    event_of = {ticket.name: event for event, mine in events.items() for ticket in mine}
    retryable, invalid = Outcome.RETRYABLE, Outcome.INVALID
    meant = [
        call for call in calls if (outcome := call.answer.outcome) is not retryable and outcome is not invalid
    ]
    meant.sort(key=attrgetter("invoked"))
    if len(events) == 1:
        return (Part(tickets=tuple(*events.values()), calls=tuple(meant)),)
    return tuple(
        Part(
            tickets=tuple(mine),
            calls=tuple(call for call in meant if event_of.get(call.operation.ticket, event) == event),
        )
        for event, mine in events.items()
    )


def surroundings(calls: Sequence[Call], call: Call, *, before: int = 4, most: int = 12) -> tuple[Call, ...]:
    """Return the calls that explain why this one has no explanation, as far as a person can look: those that
    overlap it, and the last ones that were over before it began.

    :param calls: in the order of invocation; of many, only the last ones before its end are looked at.
    :param most: how many at the most, the call itself among them; those nearest to its end are kept.
    """
    earlier: list[Call] = []
    same_time: list[Call] = []
    end = bisect_left(calls, ended(call), key=_invoked)
    for other in calls[max(0, end - _LOOKED_AT) : end]:
        if ended(other) <= call.invoked:
            earlier.append(other)
        elif other.invoked < ended(call) and other is not call:
            same_time.append(other)
    earlier = sorted(earlier, key=ended)[-before:]
    same_time = sorted(same_time, key=_invoked)[-(most - len(earlier) - 1) :]
    return tuple(sorted([*earlier, *same_time, call], key=_invoked))


def _invoked(call: Call) -> int:
    return call.invoked
