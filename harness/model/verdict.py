"""Verdicts, and the rules by which evidence becomes one."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from harness.model.evidence import Commit
    from harness.model.faults import ChaosFigures, FaultTable


class Verdict(StrEnum):
    """The answer to the one question."""

    SAFE = "safe"
    """Every law held on evidence that could have shown otherwise."""
    VIOLATED = "violated"
    """A law was broken, and the evidence is on disk."""
    INCONCLUSIVE = "inconclusive"
    """The run could not have shown a violation, or could not be judged."""

    @property
    def exit_code(self) -> int:
        """What the process exits with."""
        return {Verdict.SAFE: 0, Verdict.VIOLATED: 1, Verdict.INCONCLUSIVE: 3}[self]


USAGE_EXIT_CODE = 2
INTERNAL_EXIT_CODE = 4


class Judgement(StrEnum):
    """What a law said of a run."""

    HELD = "held"
    VIOLATED = "violated"
    NOT_JUDGED = "not judged"


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """One law broken, in words a reviewer understands, with the numbers it is about."""

    law: str
    message: str
    ticket: str | None = None
    initial: int | None = None
    remaining: int | None = None
    sold: int | None = None
    held: int | None = None
    buyers: tuple[str, ...] = ()
    run: int = 0
    """Which run of the check showed it first, counted from 1; 0 until an engine says."""
    hits: int = 1
    """How many runs showed it."""
    replay: str | None = None
    """The id that ``oversell replay`` takes, once there is one."""
    evidence: str | None = None
    """The file with the history and the books, relative to the run folder."""
    commit: Commit | None = None
    """The transaction after which the law was broken, where every commit was judged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LawResult:
    """What one law said over all runs of a check."""

    judgement: Judgement
    reason: str = ""
    """Why it was not judged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadFigures:
    """How much a swarm asked for, and how fast it was answered, as Locust counts it."""

    users: int
    """Buyers, when there were most."""
    seconds: float
    """From the first request that was heard of to the last."""
    requests: int
    failures: int
    """Requests without an answer that the contract knows: a true refusal is none."""
    rate: float
    """Requests per second, over all of it."""
    median_ms: float
    p95_ms: float
    """The time within which 95 of 100 were answered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One scenario driven by one engine, judged."""

    scenario: str
    engine: str
    verdict: Verdict
    reasons: tuple[str, ...] = ()
    """Why it is inconclusive; empty otherwise."""
    laws: Mapping[str, LawResult] = field(default_factory=dict)
    violations: tuple[Violation, ...] = ()
    runs: int = 0
    hits: int = 0
    """Runs in which a law was broken."""
    operations: int = 0
    outcomes: Mapping[str, int] = field(default_factory=dict)
    overlapping: int = 0
    """The most operations under way at one time."""
    spread_ms: float | None = None
    """Median time from the first to the last release of a burst."""
    commits_audited: int = 0
    """Commits after each of which the books were judged."""
    states_audited: int = 0
    """Committed states judged: those on the way, and the final one of each run."""
    audit: str = ""
    """How committed states were come by: ``every commit``, or ``sampled: `` and why; empty where an engine
    looks at none on the way."""
    schedules: int | None = None
    """Inequivalent schedules run, where an engine chose them."""
    orders: int | None = None
    """Orders of steps that those stand for."""
    exhausted: bool | None = None
    """Every inequivalent schedule was run, and none was opaque."""
    probability: float | None = None
    """The least chance that a bug of the asked depth would have shown, where schedules were drawn."""
    coverage: Mapping[str, int] = field(default_factory=dict)
    """How often what was reached, where an engine draws its own programs: steps, steps with overlapping
    requests, how often stock ran out, waits for locks, and for each kind of operation how often it was asked
    for and accepted."""
    load: LoadFigures | None = None
    """How the load was, where an engine makes one."""
    faults: FaultTable | None = None
    """What was broken and what that came to, where an engine fires faults."""
    chaos: ChaosFigures | None = None
    """What was broken at random, where a load was to bear that."""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class NotRun:
    """A scenario that was not driven, and why."""

    scenario: str
    engine: str
    reason: str
    asked_for: bool
    """The person named it, so that leaving it out leaves a question open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The verdict document: what ``verdict.json`` holds."""

    verdict: Verdict
    reasons: tuple[str, ...]
    target: str
    database: str
    """Where it ran, without secrets."""
    seed: int
    started: str
    """ISO 8601, UTC."""
    seconds: float
    checks: tuple[Check, ...]
    not_run: tuple[NotRun, ...] = ()


def combine(
    checks: Iterable[Check], not_run: Iterable[NotRun], troubles: Iterable[str]
) -> tuple[Verdict, tuple[str, ...]]:
    """Return the verdict over all checks, with the reasons when it is inconclusive.

    A violation outweighs everything: it was seen. Otherwise one check that could not be judged, one
    scenario that was asked for and not driven, one trouble on the way, or nothing driven at all leaves
    the question open.

    :param troubles: what went wrong outside of any check, in one line each.
    """
    checks = tuple(checks)
    if any(check.verdict is Verdict.VIOLATED for check in checks):
        return Verdict.VIOLATED, ()
    reasons = [
        f"{check.scenario}/{check.engine}: {reason}"
        for check in checks
        if check.verdict is Verdict.INCONCLUSIVE
        for reason in check.reasons or ("it could not be judged",)
    ]
    reasons += [f"{skip.scenario}/{skip.engine}: {skip.reason}" for skip in not_run if skip.asked_for]
    reasons += troubles
    if not checks and not reasons:
        reasons.append("no scenario could be driven against this target")
    if reasons:
        return Verdict.INCONCLUSIVE, tuple(reasons)
    return Verdict.SAFE, ()
