"""Events: what engines tell whoever listens while a run is under way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from harness.model.evidence import Evidence
    from harness.model.schedule import Failure
    from harness.model.verdict import Check, NotRun, Report


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStarted:
    """The plan is made and Postgres is up."""

    target: str
    database: str
    seed: int
    folder: Path
    checks: tuple[tuple[str, str], ...]
    """Scenario and engine of each check to come, in order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckStarted:
    """A check begins."""

    scenario: str
    engine: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckProgressed:
    """Another run of the check has been judged."""

    scenario: str
    engine: str
    done: int
    of: int
    hits: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadProgressed:
    """How a swarm goes, twice a second."""

    scenario: str
    seconds: float
    """Since the load began."""
    of: float
    """Seconds of load there will be."""
    users: int
    sales: int
    """How many sales were opened."""
    sold: int | None
    """Of the newest sale, over all ticket types; ``None`` when nobody can say."""
    remaining: int | None
    rate: float
    """Requests per second, lately."""
    failures: int
    """Requests that failed, as Locust counts them: a true refusal is none."""
    commits: int
    """Commits judged so far."""
    lag_seconds: float | None
    """How far behind the newest commit the audit is; ``None`` when not every commit is audited."""
    median_ms: float
    p95_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceKept:
    """A run broke a law for the first time; this is what it left."""

    scenario: str
    engine: str
    run: int
    evidence: Evidence
    path: str
    """Where it belongs, relative to the run folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureKept:
    """A schedule that breaks a law was found, confirmed and made small; it can be run again."""

    failure: Failure
    path: str
    """Where it belongs, relative to the run folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckFinished:
    """A check was judged."""

    check: Check


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckSkipped:
    """A scenario cannot be driven against this target."""

    not_run: NotRun


@dataclass(frozen=True, slots=True, kw_only=True)
class Noticed:
    """Something a person should know, in one line."""

    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFinished:
    """The last event of every run, however it ended."""

    report: Report
    folder: Path


Event: TypeAlias = (
    RunStarted
    | CheckStarted
    | CheckProgressed
    | LoadProgressed
    | EvidenceKept
    | FailureKept
    | CheckFinished
    | CheckSkipped
    | Noticed
    | RunFinished
)
Listener: TypeAlias = "Callable[[Event], None]"
