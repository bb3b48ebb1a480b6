"""What several laws work out of the same evidence, one after the other, worked out once."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.model import Evidence

T = TypeVar("T")


def once(make: Callable[[Evidence], T]) -> Callable[[Evidence], T]:
    """Have a function remember what it returned for the evidence that was asked about last.

    Whoever asks must leave what is returned as it is.
    """

    @wraps(make)
    def remembering(evidence: Evidence) -> T:
        found: T = _LATEST.of(evidence, make)
        return found

    return remembering


def forget() -> None:
    """Let go of the evidence that was asked about last: nobody will ask about it again."""
    _LATEST.forget()


class _Latest:
    """What was worked out of one piece of evidence: the latest, told apart by identity."""

    def __init__(self) -> None:
        self._known: tuple[Evidence, dict[Any, Any]] | None = None

    def of(self, evidence: Evidence, make: Callable[[Evidence], Any]) -> Any:
        # Another thread may ask about other evidence meanwhile; then something is worked out twice.
        known = self._known
        if known is None or known[0] is not evidence:
            self._known = known = evidence, {}
        values = known[1]
        if make not in values:
            values[make] = make(evidence)
        return values[make]

    def forget(self) -> None:
        self._known = None


_LATEST = _Latest()
