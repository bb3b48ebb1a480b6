"""What an engine is, and what it is given to drive."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from harness.driving.tally import Tally
    from harness.model import Running, Scenario


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How hard to try. The same for every engine; each takes what concerns it."""

    seed: int = 0
    rounds: int = 20
    """How often a burst is repeated."""
    operation_timeout: float = 10.0
    """Seconds after which an answer no longer counts as coming."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One scenario against one running target on a database of its own."""

    scenario: Scenario
    running: Running
    database: str
    """URL of the check's own database; what it shows of sessions belongs to this check."""
    settings: Settings
    tally: Tally
    """Where every run's evidence goes to be judged."""


class Engine(Protocol):
    """A way to drive a scenario."""

    @property
    def name(self) -> str:
        """What a person types to choose it."""

    @property
    def doc(self) -> str:
        """Its documentation page."""

    async def drive(self, trial: Trial) -> None:
        """Drive the scenario and hand the evidence of each run to the tally.

        :raises InconclusiveError: when target or database gave up. What the tally has by then stays.
        """
