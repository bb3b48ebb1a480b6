"""What a specimen is: an implementation whose verdict is known, with where the knowledge comes from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.model import Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """What is wrong with a wrong specimen."""

    laws: frozenset[str]
    """The laws it breaks."""
    scenario: str
    """The smallest scenario that shows it."""
    engine: str
    """The engine that surely shows it there, within a few runs: ``explore`` by rule; ``burst`` where no race
    is needed, where a crowd meets by itself what takes the explorer long, or where it cannot look;
    ``stateful`` where only operations that are drawn show it; ``faults`` where only a fault does."""
    source: str
    """Where the mistake is known from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Specimen:
    """An implementation known to be right, or known to be wrong."""

    name: str
    """The name of its file, and what ``--target specimen:NAME`` takes."""
    doc: str
    """Its documentation page: the docstring of its module."""
    target: Target
    mistake: Mistake | None = None
    """``None`` for a right one."""

    @property
    def title(self) -> str:
        """The first line of its page."""
        return self.doc.strip().partition("\n")[0]
