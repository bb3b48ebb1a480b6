"""faults: every place a purchase can break, broken.

A purchase is a sequence of statements and commits, and a fault is one more step of it. The scenario runs
once with nothing broken, its programs one after another, to learn the steps of every request. Then there is
one run for every fault at every one of them, on fresh stock: connections cut before, while and after a
statement commits, answers that come too late, errors of the server, buyers who go away, try again or click
twice, processes that die. After each the target is given time to settle, and then all laws are judged. What
a law says is told in one sentence with what broke, where, and what it costs.

At last, pairs of faults, drawn at random, as many as there is room for. A fault that did not fire, because
its step did not come again, is counted and is no pass.
"""

from __future__ import annotations

import math
import random
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from harness.driving.guard import install
from harness.errors import InconclusiveError, TargetFailedError, UsageError
from harness.exploring.stage import no_stage
from harness.faulting.enumeration import Clean, cells, followers, reasons, rows
from harness.faulting.fault import Place
from harness.faulting.judging import patient_with
from harness.faulting.shrinking import Broken, make_failure
from harness.faulting.telling import told
from harness.faulting.theatre import House, ground_of
from harness.model import FaultFinding, FaultTable, Mark, Outcome

if TYPE_CHECKING:
    from harness.driving.trial import Settings, Trial
    from harness.faulting.judging import Patient
    from harness.faulting.performing import Performance, Theatre
    from harness.model import Injection, Scenario, Target

_BUYERS = 2
_SHRINKING = 1.0
"""Seconds for making a failure small and running it again."""
_AT_LEAST = 0.5
"""Seconds for breaking something, however long it took to begin."""
_SHARE, _MOST_SMALL = 0.05, 8
"""The share of the time that is set aside for each of so many findings."""
_TAKES = {Place.HERE: 0.0, Place.OWN_SERVER: 3.0, Place.POOLED: 1.0}
"""Seconds that must be left: for bringing up a server of our own, and for taking it down once; for bringing
up a pooler and running everything whole behind it."""
_WHOLE = 3.0
"""Seconds for each answer behind a pooler, at the most, while nobody is in anybody's way."""
_AFTER = {
    Place.OWN_SERVER: "after Postgres was gone for a moment,",
    Place.POOLED: "pooled: behind a pooler",
}
"""What is said before what a target failed with there."""
_PLAINEST = ("no_oversell", "one_per_person", "no_leak", "answers_again")
"""Of several laws broken in one run, the one that says best what it costs."""
_SECONDS = ("cut before", "answer lost", "answer replaced", "killed")
"""What breaks second in a pair."""


@dataclass(frozen=True, slots=True)
class Faults:
    """The engine; see the module."""

    name: str = "faults"
    doc: str = __doc__ or ""
    by_default: bool = True
    abreast: int = 4

    def crowd(self, settings: Settings) -> int | None:
        """Take two buyers unless somebody asks for more: one breaks, and one comes after."""
        return settings.buyers or _BUYERS

    def refuses(self, scenario: Scenario, target: Target) -> str | None:
        """Leave out what cannot be put on a stage."""
        return no_stage(scenario, target)

    async def drive(self, trial: Trial) -> None:
        """Break everything, one thing after another, until the time is up."""
        settings = trial.settings
        async with House(
            trial.database,
            trial.start,
            ground_of(trial.implementation),
            settings.isolation,
            settings.operation_timeout,
            settings.proxy_tls,
            (lambda url: install(trial.implementation, url)) if settings.fault_crashes else None,
        ) as house:
            seconds = min(settings.fault_time, settings.share)
            await _Table(trial, house, time.monotonic() + seconds, patient_with(trial.implementation)).fill()


ENGINE = Faults()


@dataclass(slots=True)
class _Table:
    """The table in the making."""

    trial: Trial
    house: House
    until: float
    """The moment of the monotonic clock, in seconds, by which everything is to be done."""
    patient: Patient
    marks: dict[Injection, Mark] = field(default_factory=dict)
    found: dict[tuple[str, str], tuple[Broken, int]] = field(default_factory=dict)
    """By law and fault: the first run in which it broke the law, and how many did."""
    findings: list[FaultFinding] = field(default_factory=list)
    unjudged: dict[str, None] = field(default_factory=dict)
    pairs: int = 0
    pairs_left: int = 0
    begun: float = field(default_factory=time.monotonic)
    _pooled_works: bool | None = None
    """The target runs through a pooler; ``None`` while that is not known."""
    _following: list[tuple[Injection, Injection]] = field(default_factory=list)

    async def fill(self) -> None:
        """Run the scenario whole, then with every fault at every step, then with pairs."""
        clean = await self._clean()
        if clean is None:
            return
        self.until = max(self.until, time.monotonic() + _AT_LEAST)
        theatre = await self.house.theatre()
        todo = cells(clean, theatre.faults, theatre.ground)
        self.trial.tally.planned = len(todo) + 1
        try:
            for injection in todo:
                if self._is_over:
                    break
                if self._has_time_for(injection, theatre):
                    self.marks[injection] = await self._break((injection,))
            else:
                await self._pairs()
            await self._keep()
        finally:
            self._report(theatre, clean)

    @property
    def _is_over(self) -> bool:
        """Whether to break no more: what was found has to be made small, too."""
        reserve = min(_SHRINKING, _SHARE * (self.until - self.begun)) * min(len(self.found), _MOST_SMALL)
        return time.monotonic() > self.until - reserve or self.trial.is_over

    def _has_time_for(self, injection: Injection, theatre: Theatre) -> bool:
        return time.monotonic() < self.until - _TAKES[theatre.faults[injection.fault].place]

    async def _clean(self) -> Clean | None:
        """Return the runs in which nothing is broken; ``None`` when there is no use in going on."""
        theatre = await self.house.theatre()
        plain = await self._whole(theatre, keyed=False)
        if plain is None or not theatre.ground.keys:
            return None if plain is None else Clean(plain=plain, keyed=None)
        keyed = await self._whole(theatre, keyed=True)
        return None if keyed is None else Clean(plain=plain, keyed=keyed)

    async def _whole(self, theatre: Theatre, *, keyed: bool) -> Performance | None:
        trial = self.trial
        clean = await theatre.perform(trial.scenario, keyed=keyed)
        if trial.tally.add(clean.evidence):
            return None
        unknown = [call for call in clean.evidence.history if call.outcome is Outcome.UNKNOWN]
        if unknown:
            trial.tally.troubles.append(
                f"with nothing broken, {unknown[0].client} had no usable answer: {unknown[0].answer.detail}"
            )
            return None
        if not clean.steps:
            trial.tally.troubles.append("its requests send Postgres nothing that could be broken")
            return None
        return clean

    async def _break(self, injections: tuple[Injection, ...]) -> Mark:
        """Run the scenario with these faults in it, and return what that came to."""
        place = self.house.place_of(injections)
        if place is Place.POOLED and self._pooled_works is False:
            return Mark.NOT_JUDGED
        try:
            if place is Place.POOLED and not await self._works_through_a_pooler(injections):
                return Mark.NOT_JUDGED
            theatre = await self.house.theatre(injections)
            performance = await theatre.perform(self.trial.scenario, injections)
            mark = await self._judged(theatre, injections, performance)
        except (InconclusiveError, UsageError) as error:
            if place is Place.HERE or (
                place is Place.OWN_SERVER and not isinstance(error, TargetFailedError)
            ):
                raise
            why = self.house.relies_on_prepared(place) or f"{_AFTER[place]} {error}"
            await self.house.close(place)
            self.unjudged[why] = None
            return Mark.NOT_JUDGED
        if len(injections) == 1 and mark is Mark.HELD and place is Place.HERE:
            seconds = [theatre.faults[name] for name in _SECONDS]
            possible = [fault for fault in seconds if fault.impossible(theatre.ground) is None]
            self._following += [
                (injections[0], second) for second in followers(performance, injections[0], possible)
            ]
        return mark

    async def _judged(
        self, theatre: Theatre, injections: tuple[Injection, ...], performance: Performance
    ) -> Mark:
        tally, scenario = self.trial.tally, self.trial.scenario
        if performance.unjudged:
            self.unjudged[performance.unjudged] = None
            return Mark.NOT_JUDGED
        if len(performance.fired) < len(injections):
            return Mark.NOT_FIRED
        performance = await self.patient.settled(theatre, performance, tally.laws)
        evidence = performance.evidence
        if theatre.pooling is not None and (why := self._fails(performance)):
            self.unjudged[why] = None
            return Mark.NOT_JUDGED
        if not tally.add_broken(evidence, told(injections, scenario, theatre.faults)):
            return Mark.HELD
        broken = [violation.law for violation in tally.judge(evidence).violations]
        plainest = min(broken, key=lambda law: _PLAINEST.index(law) if law in _PLAINEST else len(_PLAINEST))
        self._found(plainest, Broken(scenario, injections, performance))
        return Mark.VIOLATED

    async def _works_through_a_pooler(self, injections: tuple[Injection, ...]) -> bool:
        """Say whether the scenario runs whole behind a pooler, and once more in other sessions."""
        if self._pooled_works is None:
            self._pooled_works = False
            theatre = await self.house.theatre(injections)
            for _ in range(2):
                performance = await theatre.perform(self.trial.scenario, patience=_WHOLE)
                if why := performance.unjudged or self._fails(performance):
                    self.unjudged[why] = None
                    return False
            self._pooled_works = True
        return self._pooled_works

    def _fails(self, performance: Performance) -> str | None:
        """Return why a run behind a pooler says nothing: no connection broke, and somebody failed."""
        violations = self.trial.tally.judge(performance.evidence).violations
        if violations:
            whole = not performance.fired
            return f"pooled: with nothing broken behind a pooler, {violations[0].message}" if whole else None
        unknown = [call for call in performance.evidence.history if call.outcome is Outcome.UNKNOWN]
        if not unknown:
            return None
        return f"pooled: behind a pooler {unknown[0].client} had no usable answer: {unknown[0].answer.detail}"

    def _found(self, law: str, broken: Broken) -> None:
        """Count a finding; the first of its kind is kept."""
        # What one of two faults does alone is no news about the two.
        names = [injection.fault for injection in broken.injections]
        key = next(((law, name) for name in names if (law, name) in self.found), (law, " + ".join(names)))
        first, times = self.found.get(key, (broken, 0))
        self.found[key] = first, times + 1

    async def _keep(self) -> None:
        """Make what was found small, as long as there is time, and have it kept."""
        for (law, _), (broken, cells_) in self.found.items():
            failure = await make_failure(
                self.house,
                broken,
                law=law,
                target=self.trial.target,
                isolation=self.trial.settings.isolation,
                until=min(self.until, time.monotonic() + _SHRINKING),
            )
            self.trial.tally.can_be_replayed(failure)
            self.findings.append(
                FaultFinding(
                    law=law,
                    fault=" + ".join(injection.fault for injection in failure.faults),
                    message=failure.message,
                    cells=cells_,
                    replay=failure.id,
                )
            )

    async def _pairs(self) -> None:
        """Break two things in one run, drawn at random from all pairs."""
        luck = random.Random(f"{self.trial.settings.seed}/{self.trial.scenario.name}")  # noqa: S311  # repeatable
        drawn = luck.sample(self._following, min(self.trial.settings.fault_pairs, len(self._following)))
        for pair in drawn:
            if self._is_over:
                break
            self.pairs += (await self._break(pair)) in (Mark.HELD, Mark.VIOLATED)
        self.pairs_left = len(self._following) - self.pairs

    def _report(self, theatre: Theatre, clean: Clean) -> None:
        faults, ground = theatre.faults, theatre.ground
        if not any(mark in (Mark.HELD, Mark.VIOLATED) for mark in self.marks.values()):
            self.trial.tally.troubles.append("nothing could be broken, or there was no time for it")
        self.trial.tally.faults = FaultTable(
            faults=tuple(faults),
            rows=rows(self.trial.scenario, clean, faults, ground, self.marks),
            findings=tuple(self.findings),
            pairs=self.pairs,
            pairs_unexplored=self.pairs_left,
            made_good=math.ceil(self.patient.longest) or None,
            reasons=(*reasons(faults.values(), ground), *self.unjudged),
        )
