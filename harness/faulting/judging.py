"""Judging a run with faults: what breaks a law is given time to be made good first."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from harness.laws import judge

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from harness.model import Books, Evidence

_LONG, _SHORT = 1.0, 0.1
"""Seconds in which a target may make good what a fault broke: where it has been seen to do so or nothing is
known, and where it has been seen not to."""
_LOOKS = 0.05


@dataclass(slots=True)
class Patient:
    """Waits for what is made good: sweepers, retries, jobs in the background."""

    longest: float = 0.0
    """Seconds after which something was made good, at the most."""
    _hopeless: bool = False
    """A law stayed broken for as long as it was waited for, and nothing was ever made good."""

    async def settled(
        self, evidence: Evidence, laws: Iterable[str] | None, books: Callable[[], Awaitable[Books]]
    ) -> Evidence:
        """Return the evidence, read again until it breaks no law or there is no more hope."""
        laws = None if laws is None else tuple(laws)
        if not judge(evidence, laws).violations:
            return evidence
        begun = time.monotonic()
        seconds = _SHORT if self._hopeless else _LONG
        while time.monotonic() < begun + seconds:
            await asyncio.sleep(_LOOKS)
            now = await books()
            if now == evidence.books:
                continue
            evidence = replace(evidence, books=now, states=(*evidence.states, evidence.books))
            if not judge(evidence, laws).violations:
                self.longest = max(self.longest, time.monotonic() - begun)
                self._hopeless = False
                return evidence
        self._hopeless = not self.longest
        return evidence


def reader(running: Any, sale: Any) -> Callable[[], Awaitable[Books]]:
    """Return what reads a sale's books again."""

    async def read() -> Books:
        books: Books = await running.books(sale)
        return books

    return read
