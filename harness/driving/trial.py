"""What an engine is, and what it is given to drive."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from harness.load.plan import LoadSettings

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from harness.driving.tally import Tally
    from harness.model import Feature, Running, Scenario, Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How hard to try. The same for every engine; each takes what concerns it."""

    seed: int = 0
    rounds: int = 20
    """How often a burst is repeated."""
    burst_time: float | None = None
    """Seconds after which a burst is not repeated once more; ``None`` sets no bound."""
    operation_timeout: float = 10.0
    """Seconds after which an answer no longer counts as coming."""
    buyers: int | None = None
    """Size of the crowd; ``None`` leaves it to the engine, and that to the scenario."""
    schedules: int = 2000
    """How many schedules of one scenario an exploration may run."""
    explore_time: float = 30.0
    """Seconds an exploration of one scenario may take."""
    preemptions: int | None = None
    """How often a client may be left although it could go on; ``None`` sets no bound."""
    isolation: str | None = None
    """Default isolation level of the sessions, as Postgres writes it; ``None`` for the server's own."""
    proxy_tls: bool = False
    """Serve encrypted connections to targets that insist on them, where a proxy stands in between."""
    pct: int | None = None
    """Draw schedules at random for bugs of this depth, rather than run all."""
    every_violation: bool = False
    """Go on exploring after the first schedule that breaks a law."""
    profile: str = "gate"
    """How many examples are drawn, and what is kept of them: ``gate`` or ``nightly``."""
    stateful_time: float | None = None
    """Seconds for drawing the examples of one scenario; ``None`` leaves that to the profile."""
    shrink_time: float | None = None
    """Seconds for making a failure of drawn programs small; ``None`` leaves that to the profile."""
    examples: Path | None = None
    """Folder of the examples that failed before, where a profile keeps them; ``None``: none are kept."""
    reproduce: tuple[str, bytes] | None = None
    """The one example to draw: the version of Hypothesis, and what it drew."""
    share: float = math.inf
    """Seconds that fall to one check of those that are still to be made. Engines that go on as long as they
    are let must come to an end within it, so that every check has its turn."""
    until: tuple[str, ...] | None = None
    """Go on until one of these laws has been broken, and no longer; ``None`` leaves that to the engine."""
    fault_time: float = math.inf
    """Seconds for breaking everything in one scenario; within its share of the time at any rate."""
    fault_pairs: int = 40
    """Pairs of faults for one scenario, once every single one was fired."""
    fault_crashes: bool = True
    """Let Postgres crash and restart as well, on a server that is brought up for it."""
    load: LoadSettings = field(default_factory=LoadSettings)
    """What a swarm does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One scenario against one running target on a database of its own."""

    scenario: Scenario
    start: Callable[[str], AbstractAsyncContextManager[Running]]
    """Starts the target on a database URL: the check's own, or one that leads there another way."""
    target: str
    """What ``--target`` was given."""
    implementation: Target
    """The target itself, for what it says of itself: an engine starts it by :attr:`start`."""
    folder: Path
    """The run folder, where logs go and whatever else is kept."""
    supports: frozenset[Feature] = frozenset()
    """What the target can do."""
    database: str
    """URL of the check's own database; what it shows of sessions belongs to this check."""
    settings: Settings
    tally: Tally
    """Where every run's evidence goes to be judged."""

    @property
    def is_over(self) -> bool:
        """Whether a law was broken for which it was to go on."""
        return not set(self.settings.until or ()).isdisjoint(self.tally.broken)


class Engine(Protocol):
    """A way to drive a scenario."""

    @property
    def name(self) -> str:
        """What a person types to choose it."""

    @property
    def doc(self) -> str:
        """Its documentation page."""

    @property
    def by_default(self) -> bool:
        """Whether it is among those that drive when nobody names any."""

    @property
    def abreast(self) -> int:
        """How many of its checks may be made at a time, where the target can be started that often at once.

        More than one only where an engine mostly waits, and nothing it finds depends on what else runs.
        """

    def crowd(self, settings: Settings) -> int | None:
        """Return for how many buyers a scenario is made; ``None`` for as many as the scenario says."""

    def refuses(self, scenario: Scenario, target: Target) -> str | None:
        """Return why this engine cannot drive that, or ``None`` when it can."""

    async def drive(self, trial: Trial) -> None:
        """Drive the scenario and hand the evidence of each run to the tally.

        :raises InconclusiveError: when target or database gave up. What the tally has by then stays.
        """
