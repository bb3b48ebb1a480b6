"""What a load had to bear, as far as judging must know of it.

Whoever was told of an error that was none may have been refused for it. Under load it is not known who that
was, so every refusal of a call that was under way at such a moment counts as one for a passing reason: it
need not be true, and still nothing may have been bought by it.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from harness.model import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.model import Afterwards, Call, Evidence

_REFUSALS = frozenset({Outcome.SOLD_OUT, Outcome.DUPLICATE, Outcome.INVALID})


@dataclass(frozen=True, slots=True, kw_only=True)
class Disturbance:
    """See the module."""

    broke: str
    """What happened, in words with which a violation's message can begin."""
    lies: tuple[tuple[int, int], ...] = ()
    """From when to when refusals need not have been true, in nanoseconds of the engine's monotonic clock: in
    order, none overlapping another."""
    afterwards: Afterwards | None = None
    """What was seen of the target once it was over."""
    last: int = -1
    """The number of the sale that was on at the end."""

    def told(self, number: int, evidence: Evidence) -> Evidence:
        """Return the evidence of a sale, by its number, with what must be known to judge it."""
        history = tuple(self._forgiven(call) for call in evidence.history)
        afterwards = self.afterwards if number == self.last else None
        return replace(evidence, history=history, afterwards=afterwards)

    def _forgiven(self, call: Call) -> Call:
        if call.outcome not in _REFUSALS or not self._was_lied_to(call):
            return call
        why = f"{call.outcome.value}, while errors of ours were about"
        return replace(call, answer=replace(call.answer, outcome=Outcome.RETRYABLE, detail=why))

    def _was_lied_to(self, call: Call) -> bool:
        """Say whether somebody was told of such an error while the call was under way."""
        place = bisect_left(self.lies, call.invoked, key=lambda lie: lie[1])
        if place == len(self.lies):
            return False
        return call.completed is None or self.lies[place][0] <= call.completed


def merged(spans: Iterable[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Return spans of time in order, those that overlap put together."""
    found: list[tuple[int, int]] = []
    for begun, ended in sorted(spans):
        if found and begun <= found[-1][1]:
            found[-1] = found[-1][0], max(found[-1][1], ended)
        else:
            found.append((begun, ended))
    return tuple(found)
