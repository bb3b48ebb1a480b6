"""The tally of a check: every run judged, the judgements added up, and the verdict they amount to.

The rules by which a pass that could not have failed becomes *inconclusive* are here, for all engines.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field, replace
from statistics import median
from typing import TYPE_CHECKING

from harness.driving.program import most_overlapping
from harness.laws import judge
from harness.model import Check, Judgement, LawResult, Outcome, Reserve, Verdict, Violation
from harness.model.events import CheckProgressed, EvidenceKept, FailureKept

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.laws import Judgements
    from harness.model import ChaosFigures, Evidence, Failure, FaultTable, Scenario
    from harness.model.events import Listener
    from harness.model.verdict import LoadFigures

THE_QUESTION = "no_oversell"
"""The law that must have been judged before anything is called safe, unless others were named."""


@dataclass(slots=True, kw_only=True)
class Tally:
    """What the runs of one check have shown so far."""

    scenario: Scenario
    engine: str
    laws: tuple[str, ...] | None
    listen: Listener
    planned: int = 0
    """How many runs there will be, for progress; 0 when that is not known."""
    runs: int = 0
    hits: int = 0
    operations: int = 0
    overlapping: int = 0
    states: int = 0
    commits: int = 0
    """Commits judged one by one."""
    audit: str = ""
    """How committed states are come by: every commit, or sampled and why."""
    schedules: int | None = None
    """Schedules run to their end, where there are such."""
    orders: int | None = None
    """Orders of steps that those stand for."""
    exhausted: bool | None = None
    probability: float | None = None
    """The least chance that a bug of the asked depth would have shown, where schedules were drawn."""
    coverage: Counter[str] = field(default_factory=Counter)
    """How often what was reached, where an engine draws its own programs."""
    load: LoadFigures | None = None
    """How the load was, where an engine makes one."""
    faults: FaultTable | None = None
    """What was broken, and what that came to, where an engine fires faults."""
    chaos: ChaosFigures | None = None
    """What was broken at random, where a load was to bear that."""
    troubles: list[str] = field(default_factory=list)
    """What went wrong on the way, one line each; every one makes a pass inconclusive."""
    _started: float = field(default_factory=time.monotonic)
    _outcomes: Counter[Outcome] = field(default_factory=Counter)
    _stray_unknown: Counter[str] = field(default_factory=Counter)
    _results: dict[str, LawResult] = field(default_factory=dict)
    _violations: dict[tuple[str, str | None], Violation] = field(default_factory=dict)
    _spreads: list[float] = field(default_factory=list)
    _judged: tuple[Evidence, Judgements] | None = None

    def judge(self, evidence: Evidence) -> Judgements:
        """Ask the laws of this check about a run that may yet be added; nobody asks twice about the last."""
        if self._judged is None or self._judged[0] is not evidence:
            self._judged = evidence, judge(evidence, self.laws)
        return self._judged[1]

    def add(self, evidence: Evidence, *, spread: float | None = None) -> bool:
        """Judge one more run and say whether it broke a law.

        :param spread: seconds from the first to the last release of a burst.
        """
        return self._add(evidence, spread=spread, broke="")

    def add_broken(self, evidence: Evidence, broke: str) -> bool:
        """Judge one more run in which the engine broke something, and say whether that broke a law.

        Answers that never came are then its doing.

        :param broke: what it broke, in words with which a violation's message can begin.
        """
        return self._add(evidence, spread=None, broke=broke)

    def _add(self, evidence: Evidence, *, spread: float | None, broke: str) -> bool:
        self.runs += 1
        self.operations += len(evidence.history)
        self.overlapping = max(self.overlapping, most_overlapping(evidence.history))
        self.states += len(evidence.states) + 1
        self._count_outcomes(evidence, meant=bool(broke))
        if spread is not None:
            self._spreads.append(spread)
        judgements = self.judge(evidence)
        for name, result in judgements.results.items():
            self._results[name] = _stronger(self._results.get(name), result)
        told = [
            replace(violation, message=f"{broke}: {violation.message}") if broke else violation
            for violation in judgements.violations
        ]
        self._keep(told, evidence)
        self.hits += bool(judgements.violations)
        self.listen(
            CheckProgressed(
                scenario=self.scenario.name,
                engine=self.engine,
                done=self.runs,
                of=self.planned,
                hits=self.hits,
            )
        )
        return bool(judgements.violations)

    def merge(self, other: Tally) -> None:
        """Add the runs of another tally of the same check, none of which broke a law."""
        self.runs += other.runs
        self.operations += other.operations
        self.overlapping = max(self.overlapping, other.overlapping)
        self.states += other.states
        self._outcomes += other._outcomes
        self._stray_unknown += other._stray_unknown
        for name, result in other._results.items():
            self._results[name] = _stronger(self._results.get(name), result)

    def forget(self) -> None:
        """Let go of the run that was judged last: nobody asks about it any more."""
        self._judged = None

    @property
    def broken(self) -> tuple[str, ...]:
        """The laws broken so far, each once, in the order in which they were."""
        return tuple(dict.fromkeys(violation.law for violation in self._violations.values()))

    def can_be_replayed(self, failure: Failure) -> None:
        """Note that the violations a failure is about can be run again, and have it kept."""
        for key, violation in self._violations.items():
            if violation.law in failure.laws and violation.replay is None:
                self._violations[key] = replace(violation, replay=failure.id)
        self.listen(FailureKept(failure=failure, path=f"failures/{failure.id}.json"))

    def check(self) -> Check:
        """Return what all runs amount to."""
        violations = tuple(self._violations.values())
        reasons = () if violations else tuple(self._doubts())
        verdict = Verdict.VIOLATED if violations else Verdict.INCONCLUSIVE if reasons else Verdict.SAFE
        return Check(
            scenario=self.scenario.name,
            engine=self.engine,
            verdict=verdict,
            reasons=reasons,
            laws=self._results,
            violations=violations,
            runs=self.runs,
            hits=self.hits,
            operations=self.operations,
            outcomes={outcome.value: self._outcomes[outcome] for outcome in Outcome},
            overlapping=self.overlapping,
            spread_ms=round(median(self._spreads) * 1000, 3) if self._spreads else None,
            commits_audited=self.commits,
            states_audited=self.states,
            audit=self.audit,
            schedules=self.schedules,
            orders=self.orders,
            exhausted=self.exhausted,
            probability=self.probability,
            coverage=dict(self.coverage),
            load=self.load,
            faults=self.faults,
            chaos=self.chaos,
            seconds=round(time.monotonic() - self._started, 3),
        )

    def _count_outcomes(self, evidence: Evidence, *, meant: bool) -> None:
        for call in evidence.history:
            self._outcomes[call.outcome] += 1
            leaves = isinstance(call.operation, Reserve) and call.operation.disconnects
            if call.outcome is Outcome.UNKNOWN and not (meant or leaves):
                self._stray_unknown[call.answer.detail] += 1

    def _keep(self, violations: Iterable[Violation], evidence: Evidence) -> None:
        """Keep the first of each kind with its evidence, and count the others."""
        seen_now: set[tuple[str, str | None]] = set()
        path = f"evidence/{self.scenario.name}-{self.engine}-{self.runs}.json"
        for violation in violations:
            key = (violation.law, violation.ticket)
            if key in seen_now:
                continue
            seen_now.add(key)
            known = self._violations.get(key)
            if known is not None:
                self._violations[key] = replace(known, hits=known.hits + 1)
            else:
                self._violations[key] = replace(violation, run=self.runs, evidence=path)
        if any(self._violations[key].run == self.runs for key in seen_now):
            self.listen(
                EvidenceKept(
                    scenario=self.scenario.name,
                    engine=self.engine,
                    run=self.runs,
                    evidence=evidence,
                    path=path,
                )
            )

    def _doubts(self) -> Iterable[str]:
        """Yield why a pass says nothing: what it takes to see a violation was not there."""
        yield from dict.fromkeys(self.troubles)
        if self.runs == 0:
            yield "nothing was run"
            return
        stray = self._stray_unknown.total()
        if self._outcomes[Outcome.ACCEPTED] == 0:
            yield f"no operation succeeded{self._worst_answer()}"
        elif stray * 2 > self.operations:
            yield f"{stray} of {self.operations} operations had no usable answer{self._worst_answer()}"
        # Where something is broken, requests come one after another, and what breaks them is no race.
        if self.overlapping < 2 <= self.scenario.crowd and self.faults is None:
            yield "no two operations were ever under way at the same time"
        # What the scenario's own programs must have come to is no measure for programs that are drawn.
        owed = () if self.coverage else self.scenario.reaches
        missing = [outcome for outcome in owed if not self._outcomes[outcome]]
        if missing and self._outcomes[Outcome.ACCEPTED]:
            yield f"answers never came without which a pass says nothing: {', '.join(sorted(missing))}"
        yield from self._unjudged()

    def _unjudged(self) -> Iterable[str]:
        asked = self.laws or self.scenario.laws or (THE_QUESTION,)
        for name in asked:
            result = self._results.get(name)
            if result is not None and result.judgement is Judgement.NOT_JUDGED:
                yield f"{name} could not be judged: {result.reason}"

    def _worst_answer(self) -> str:
        if not self._stray_unknown:
            return ""
        detail, times = self._stray_unknown.most_common(1)[0]
        return f" ({times} times: {detail})"


def _stronger(old: LawResult | None, new: LawResult) -> LawResult:
    """Return what two runs say together: broken once is broken, judged once is judged."""
    order = [Judgement.NOT_JUDGED, Judgement.HELD, Judgement.VIOLATED]
    if old is None or order.index(new.judgement) > order.index(old.judgement):
        return new
    return old
