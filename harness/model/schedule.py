"""Schedules as data: the order in which steps were let through, and a failure that can be run again."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.model.faults import Injection
    from harness.model.scenario import Scenario


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of a schedule, for people to read and for a replay to compare."""

    client: str
    kind: str
    """``start``, ``execute``, ``resume``, ``commit``, ``rollback`` or ``whole``."""
    statement: str
    """The statement, cut to a line."""
    shape: str
    """The same without constants, which may differ from run to run."""
    waited_for: tuple[str, ...] = ()
    """The clients whose locks stood in its way."""
    failed: bool = False
    """Postgres raised an error."""
    decision: int = 0
    """Which choice let it happen; a step that resumes by itself shares its number with what let it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A schedule that breaks a law, with everything needed to run it again."""

    id: str
    target: str
    """What ``--target`` was given."""
    scenario: Scenario
    """The smallest that still fails, as data: later changes of the scenario's file do not touch it."""
    phase: int
    """Which phase ran under the schedule."""
    isolation: str | None
    """Default isolation level of the sessions, where one was asked for."""
    choices: tuple[str, ...]
    """Who was let go, in order."""
    steps: tuple[Step, ...]
    laws: tuple[str, ...]
    """The laws it broke."""
    message: str
    """What the first of them said."""
    replayed: int
    """How many replays were made before it was reported."""
    reproduced: int
    """In how many of them the same law was broken."""
    preemptions: int
    """How often a client is left in it although it could go on."""
    earlier: tuple[tuple[str, ...], ...] = ()
    """For each phase before it who was let go, in order; where nobody is named, or for a phase that is not
    listed, one program ran after another."""
    reproduction: str = ""
    """How Hypothesis draws it again, where Hypothesis drew it: a decorator, as Hypothesis writes it."""
    answers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """What each client of that phase was told, operation by operation: values of
    :class:`~harness.model.Outcome`."""
    faults: tuple[Injection, ...] = ()
    """What was broken, in order, where faults were; then nobody chose a schedule, and programs ran one after
    another."""
