"""Every error this project raises on purpose, sorted by whose fault it was.

A command turns each class into one line and one exit code; anything else that escapes is a bug of
ours (exit code 4).
"""

from __future__ import annotations


class OversellError(Exception):
    """Base of the errors below; never raised itself."""


class UsageError(OversellError):
    """The person at the keyboard asked for something that cannot be: exit code 2.

    The message says what was wrong, what was tried and what would be valid, in one line.
    """


class InconclusiveError(OversellError):
    """The run cannot be judged, through no fault of the person or of ours: exit code 3."""


class TargetFailedError(InconclusiveError):
    """The target never became ready, died, or cannot be talked to."""


class DatabaseLostError(InconclusiveError):
    """Postgres went away while a run depended on it."""
