"""Judging a run with faults: what breaks a law is given time to be made good first."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from harness.laws import judge

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.faulting.performing import Performance, Theatre
    from harness.model import Target

_LONG, _SHORT = 1.0, 0.1
"""Seconds in which a target may make good what a fault broke: where it has been seen to do so or nothing is
known, and where it has been seen not to."""
_LOOKS = 0.05
_PATIENTS: WeakKeyDictionary[Target, Patient] = WeakKeyDictionary()


@dataclass(slots=True)
class Patient:
    """Waits for what is made good: sweepers, retries, jobs in the background."""

    longest: float = 0.0
    """Seconds after which something was made good, at the most."""
    hopeless: bool = False
    """A law stayed broken for as long as it was waited for, and nothing was ever made good."""

    async def settled(
        self, theatre: Theatre, performance: Performance, laws: Iterable[str] | None
    ) -> Performance:
        """Return the run with its books read again, until they break no law or there is no more hope.

        :param laws: those that count; ``None`` for those of the scenario.
        """
        laws = None if laws is None else tuple(laws)
        evidence = performance.evidence
        if not judge(evidence, laws).violations:
            return performance
        begun = time.monotonic()
        seconds = _SHORT if self.hopeless else _LONG
        while time.monotonic() < begun + seconds:
            await asyncio.sleep(_LOOKS)
            books = await theatre.stage.running.books(performance.sale)
            if books == evidence.books:
                continue
            evidence = replace(evidence, books=books, states=(*evidence.states, evidence.books))
            if not judge(evidence, laws).violations:
                self.longest = max(self.longest, time.monotonic() - begun)
                self.hopeless = False
                break
        else:
            self.hopeless = not self.longest
        return replace(performance, evidence=evidence)


def patient_with(target: Target) -> Patient:
    """Return who waits for a target: the same in all its checks, for it does not change between them."""
    try:
        return _PATIENTS.setdefault(target, Patient())
    except TypeError:  # it has no hash, or nothing can refer to it weakly
        return Patient()
