"""Refusals of the ticketing system, told apart by SQLSTATE, never by the words of a message.

``OS001``-``OS007`` are raised by the functions in ``sql/``. An error that is in no table here, such as
a violated constraint of the books, passes through untouched: it is a bug, and it should be seen.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, ClassVar

import asyncpg

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


class TicketingError(Exception):
    """Base of all refusals; never raised itself."""

    code: ClassVar[str]
    """A stable name for programs; the message is for people."""


class SoldOutError(TicketingError):
    """Nothing is left of this ticket."""

    code = "sold_out"


class DuplicateRsvpError(TicketingError):
    """The person already has a standing RSVP for the event, or a hold; who joins a line waits already."""

    code = "duplicate_rsvp"


class SaleClosedError(TicketingError):
    """The purchase deadline has passed."""

    code = "sale_closed"


class InvalidRsvpError(TicketingError):
    """A value that cannot be: missing, malformed, too long, more given back than was taken; or something that
    cannot be asked for as things are, such as waiting for what is to be had."""

    code = "invalid"


class NotFoundError(TicketingError):
    """No such event, ticket, RSVP, hold or place in line, or the ticket belongs to another event."""

    code = "not_found"


class NotOwnerError(TicketingError):
    """The RSVP is somebody else's."""

    code = "not_owner"


class HoldExpiredError(TicketingError):
    """The hold's time has run out, be it while waiting for others."""

    code = "hold_expired"


class IdempotencyKeyReusedError(TicketingError):
    """The idempotency key was used before, for another request."""

    code = "idempotency_key_reused"


class RetryableError(TicketingError):
    """Refused for a passing reason: nothing happened, and the transaction may be run again."""

    code = "retryable"


_BY_SQLSTATE: Mapping[str, type[TicketingError]] = {
    "OS001": SoldOutError,
    "OS002": DuplicateRsvpError,
    "OS003": SaleClosedError,
    "OS004": InvalidRsvpError,
    "OS005": NotFoundError,
    "OS006": NotOwnerError,
    "OS007": HoldExpiredError,
    "40001": RetryableError,  # serialization_failure
    "40P01": RetryableError,  # deadlock_detected
    "53300": RetryableError,  # too_many_connections
    "55P03": RetryableError,  # lock_not_available
}

_BY_SQLSTATE_OF_AN_INSERT: Mapping[str, type[TicketingError]] = {
    "23503": NotFoundError,  # foreign_key_violation
    "23514": InvalidRsvpError,  # check_violation
}


@contextmanager
def refusals(*, inserting: bool = False) -> Iterator[None]:
    """Turn the database's errors raised inside into refusals; others pass.

    :param inserting: the statement is a plain INSERT of the caller's values, so that a violated
        constraint means bad values and not broken books.
    """
    try:
        yield
    except asyncpg.PostgresError as error:
        kind = _BY_SQLSTATE.get(error.sqlstate)
        if kind is None and inserting:
            kind = _BY_SQLSTATE_OF_AN_INSERT.get(error.sqlstate)
        if kind is not None:
            raise kind(_first_line(error)) from error
        if error.sqlstate.startswith("22"):
            # Class 22, data exception: a value no column of that type can hold. Its text would repeat it.
            raise InvalidRsvpError(
                "A value is out of range or holds characters that cannot be stored."
            ) from error
        raise


def _first_line(error: asyncpg.PostgresError) -> str:
    """Return the server's primary message, without detail, hint or context."""
    return str(error.args[0] if error.args else error).partition("\n")[0]
