"""What went wrong, and which status says so: the one table the whole service answers from.

Refusals of the books come from :mod:`harness.ticketing`, trouble of the HTTP layer from Litestar, and
what only the service knows is defined here. Whatever is not in the table is a bug of ours: it is logged
with its traceback and answered with a plain 500 that gives nothing away.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import asyncpg
from litestar.exceptions import HTTPException, ValidationException

from harness.ticketing import (
    DuplicateRsvpError,
    HoldExpiredError,
    IdempotencyKeyReusedError,
    InvalidRsvpError,
    NotFoundError,
    NotOwnerError,
    RetryableError,
    SaleClosedError,
    SoldOutError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

RETRY_AFTER = 1
"""Seconds after which a passing trouble is worth another try."""


class ServiceError(Exception):
    """Base of what only the service can say no to; never raised itself."""


class BadRequestError(ServiceError):
    """The request says something that cannot be; the message names each field and what it must be."""


class UnknownProofError(ServiceError):
    """The payment proof an RSVP names was never stored here, or not wholly."""


class WrongMediaTypeError(ServiceError):
    """The body, or an uploaded file, is of a kind that is not taken."""


class TooSlowError(ServiceError):
    """The body did not arrive in time."""


class TooLargeError(ServiceError):
    """The body, or the file that is uploaded in it, is over the limit."""


class BusyError(ServiceError):
    """No connection to Postgres came free in time: nothing was done."""


class DatabaseUnreachableError(ServiceError):
    """No connection to Postgres could be made: nothing was done."""


class OutcomeUnknownError(ServiceError):
    """Postgres went silent in the middle: it may or may not have been done."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """How a kind of error is answered."""

    status: int
    code: str
    definitive: bool = False
    """The books decided: the same question has had its answer, and a stored one may stand for it."""
    retry: bool = False
    """Passing trouble: the same request is worth sending again."""
    message: str | None = None
    """What is said instead of the error's own words."""


_PASSING = Refusal(
    503, "busy", retry=True, message="Too much is going on at this moment; nothing was done. Try again."
)

REFUSALS: Mapping[type[Exception], Refusal] = {
    BadRequestError: Refusal(400, "invalid"),
    InvalidRsvpError: Refusal(400, "invalid"),
    UnknownProofError: Refusal(400, "unknown_payment_proof"),
    NotOwnerError: Refusal(403, "not_owner"),
    NotFoundError: Refusal(404, "not_found"),
    TooSlowError: Refusal(408, "too_slow"),
    DuplicateRsvpError: Refusal(409, "duplicate_rsvp", definitive=True),
    SoldOutError: Refusal(409, "sold_out", definitive=True),
    HoldExpiredError: Refusal(409, "hold_expired", definitive=True),
    SaleClosedError: Refusal(410, "sale_closed", definitive=True),
    TooLargeError: Refusal(413, "too_large"),
    WrongMediaTypeError: Refusal(415, "unsupported_media_type"),
    IdempotencyKeyReusedError: Refusal(422, "idempotency_key_reused"),
    OutcomeUnknownError: Refusal(500, "outcome_unknown"),
    BusyError: _PASSING,
    RetryableError: _PASSING,
    # The same troubles when they only show at COMMIT, outside of any ticketing function.
    asyncpg.SerializationError: _PASSING,
    asyncpg.DeadlockDetectedError: _PASSING,
    asyncpg.LockNotAvailableError: _PASSING,
    # Postgres ends a statement that ran too long, and takes back what it did.
    asyncpg.QueryCanceledError: _PASSING,
    DatabaseUnreachableError: Refusal(
        503, "database_unreachable", retry=True, message="The database cannot be reached; nothing was done."
    ),
}

_OURS = Refusal(500, "internal", message="Something broke on our side; it has been written to the log.")
_HTTP_CODES = {400: "invalid", 404: "not_found", 405: "method_not_allowed", 413: "too_large"}


def refusal_of(error: Exception) -> Refusal:
    """Return how this error is answered; the most specific entry of the table counts."""
    for kind in type(error).__mro__:
        if kind in REFUSALS:
            return REFUSALS[kind]
    if isinstance(error, HTTPException):
        return Refusal(error.status_code, _HTTP_CODES.get(error.status_code, "http"), message=_words(error))
    return _OURS


def belongs_in_log(error: Exception) -> bool:
    """Return whether somebody has to look into this: a bug of ours, or a database lost half-way."""
    return refusal_of(error) is _OURS or isinstance(error, OutcomeUnknownError)


def _words(error: HTTPException) -> str:
    """Return what Litestar found wrong, parameter by parameter when it says so."""
    details = error.extra if isinstance(error, ValidationException) else None
    if not isinstance(details, list):
        return error.detail
    return "; ".join(f"{detail.get('key', 'request')}: {detail['message']}" for detail in details)
