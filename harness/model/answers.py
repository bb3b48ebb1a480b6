"""Answers: what the client saw."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """How an operation ended, as far as the client can know."""

    ACCEPTED = "accepted"
    SOLD_OUT = "sold_out"
    DUPLICATE = "duplicate"
    RETRYABLE = "retryable"
    """Refused for a passing reason (serialization failure, deadlock, overload). It did not happen."""
    INVALID = "invalid"
    """Refused for good: malformed, too late, not found, not allowed. It did not happen."""
    UNKNOWN = "unknown"
    """A server error, a time-out or a lost connection: it may or may not have happened."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back for one operation."""

    outcome: Outcome
    reservation: str | None = None
    """The target's own name for what was reserved or held, if it gave one."""
    remaining: int | None = None
    """How many units the client was told remain."""
    sold: int | None = None
    """How many units the client was told are sold."""
    group: tuple[str, ...] = ()
    """The target's own names for what was reserved for a group, in the order of its members."""
    detail: str = ""
    """The target's own words, cut to a line. Free of secrets."""


def not_offered(operation: object) -> Answer:
    """Return what a target answers that was asked for something it never said it supports."""
    return Answer(Outcome.INVALID, detail=f"{type(operation).__name__} is not offered here")
