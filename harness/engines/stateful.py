"""stateful: programs and schedules drawn by Hypothesis, checked step by step against the specification.

A Hypothesis state machine draws what up to three clients do, out of all kinds of operations that the scenario
uses, and then the schedule under which it runs: the target stands behind a proxy, as in ``explore``, so that
nothing happens in an order that was not drawn. Then the books are read and every law is judged, the one
that asks for a sequential explanation of the whole history among them, before the next step is drawn.
A failure shrinks to the fewest operations and context switches, and is run again before it is reported.

The stock is scaled down, so that the second or third buyer gets the last unit.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from harness.drawing.bridge import Bridge
from harness.drawing.coverage import doubts, nothing_reached
from harness.drawing.vocabulary import vocabulary_of
from harness.drawing.walk import Walk, difference
from harness.exploring.conductor import DivergedError
from harness.exploring.replaying import broken_again, perform_again
from harness.exploring.shrinking import Found, confirmed, failure_of, smaller_failure
from harness.exploring.stage import no_stage, stage
from harness.laws import judge
from harness.model.events import Noticed

if TYPE_CHECKING:
    from harness.drawing.search import Search
    from harness.drawing.vocabulary import Vocabulary
    from harness.driving.trial import Settings, Trial
    from harness.exploring.stage import Stage
    from harness.model import Failure, Scenario, Target

_CLIENTS = 3
_ATTEMPTS = 3
"""How often the smallest example is walked again to be seen."""
_SHRINKING = 5.0
"""Seconds for making a failure smaller than Hypothesis left it."""
_WALKS = 4
"""How often an example is walked again to see whether the target does the same; once where it does."""
_NOT_AGAIN = (
    "{} / {}: {} was broken, and then not once when the same was run again: it was seen, and cannot be "
    "reproduced, since the target does not do the same every time"
)
_STEP = 120.0
"""Seconds that one step of an example may take at most: every statement in it has a bound of its own."""


@dataclass(frozen=True, slots=True)
class Stateful:
    """The engine; see the module."""

    name: str = "stateful"
    doc: str = __doc__ or ""
    by_default: bool = True
    abreast: int = 1

    def crowd(self, settings: Settings) -> int | None:
        """Take three clients unless somebody asks for more."""
        return settings.buyers or _CLIENTS

    def refuses(self, scenario: Scenario, target: Target) -> str | None:
        """Leave out what cannot be put on a stage."""
        return no_stage(scenario, target)

    async def drive(self, trial: Trial) -> None:
        """Draw examples until one breaks a law or the profile's budget is spent."""
        settings = trial.settings
        async with stage(
            trial.database,
            trial.start,
            isolation=settings.isolation,
            timeout=settings.operation_timeout,
            tls=settings.proxy_tls,
        ) as made:
            vocabulary = vocabulary_of(trial.scenario, trial.supports)
            search = await self._search(trial, made, vocabulary)
            if search.law is not None:
                await self._keep(trial, search, made, search.law)
            else:
                await self._doubt(trial, search, vocabulary)

    async def _search(self, trial: Trial, made: Stage, vocabulary: Vocabulary) -> Search:
        # Hypothesis takes a while to load, and most commands need none of it.
        from harness.drawing.profiles import PROFILES, database_folder, hypothesis_settings
        from harness.drawing.search import Drawing, Search

        settings = trial.settings
        profile = PROFILES[settings.profile]
        scenario = replace(trial.scenario, tickets=vocabulary.tickets)
        isolation = (await made.monitor.conflicts(settings.isolation)).isolation
        bridge = Bridge(_STEP)
        search = Search(
            bridge=bridge,
            tally=trial.tally,
            walk=lambda: Walk(made, scenario, isolation),
            examples=profile.examples,
            vocabulary=vocabulary,
            seconds=settings.stateful_time or profile.seconds,
            share=settings.share,
            shrinking=settings.shrink_time or profile.shrinking,
            laws=settings.until,
        )
        database = None
        if profile.keeps_examples and settings.examples is not None:
            database, notice = database_folder(settings.examples, trial.target, scenario.name)
            if notice is not None:
                trial.tally.listen(Noticed(message=notice))
        drawing = Drawing(
            settings=hypothesis_settings(profile, vocabulary.steps(profile.steps), database),
            seed=f"{settings.seed}/{scenario.name}",
            clients=settings.buyers or _CLIENTS,
            reproduce=settings.reproduce,
        )
        trial.tally.planned = profile.examples or 0
        trial.tally.coverage.update(nothing_reached(vocabulary))
        await bridge.serve(lambda: search.run(drawing))
        if search.cut and profile.examples is not None:
            trial.tally.coverage["examples_left_out"] = max(0, profile.examples - trial.tally.runs)
        return search

    async def _doubt(self, trial: Trial, search: Search, vocabulary: Vocabulary) -> None:
        """Note what makes a pass worthless: what was never reached, and a target of moods."""
        tally = trial.tally
        if search.not_reproduced:
            tally.troubles.append(
                f"the one example that was to be drawn broke no law: {search.not_reproduced}"
            )
            return
        if tally.coverage["examples_left_out"]:
            line = f"{tally.runs} of {tally.planned} examples were drawn before the time for it was used up"
            tally.listen(Noticed(message=f"{trial.scenario.name} / {self.name}: {line}"))
        tally.troubles += doubts(tally.coverage, vocabulary)
        for walk in search.held:
            changed = await self._changed(search, walk)
            if changed:
                tally.troubles.append(f"the target does not do the same when it is run again: {changed}")
                return

    async def _changed(self, search: Search, walk: Walk) -> str:
        """Say what an example does differently from time to time; empty when nothing.

        One walk that is unlike all others may be an accident of a busy machine: a statement that came late
        and was taken for another's. Two of them are not.
        """
        walks = [walk]
        for _ in range(_WALKS):
            again = search.walk()
            await again.run(walk.phases)
            walks.append(again)
            if len(walks) == 2 and not difference(walk, again):
                return ""
        alike = max(sum(not difference(one, other) for other in walks) for one in walks)
        return difference(*walks[:2]) if len(walks) - alike > 1 else ""

    async def _keep(self, trial: Trial, search: Search, made: Stage, law: str) -> None:
        """Keep the smallest example that broke the law, made smaller still where its schedule allows that.

        Hypothesis shrinks what it drew. Which orders of the steps mean the same, it does not know.
        """
        walk = await self._seen_again(search, law)
        if walk is None:
            trial.tally.listen(Noticed(message=_NOT_AGAIN.format(trial.scenario.name, self.name, law)))
            return
        failure = failure_of(
            walk.last_evidence,
            walk.seen[-1].trace,
            phase=len(walk.phases) - 1,
            law=law,
            target=trial.target,
            isolation=trial.settings.isolation,
            earlier=walk.earlier,
        )
        if not any(walk.earlier):
            failure = await self._smaller(made, failure, trial.settings.shrink_time or _SHRINKING)
        failure = await confirmed(made, replace(failure, reproduction=search.reproduction))
        if not failure.reproduced:
            trial.tally.listen(Noticed(message=_NOT_AGAIN.format(trial.scenario.name, self.name, law)))
        trial.tally.can_be_replayed(failure)

    async def _seen_again(self, search: Search, law: str) -> Walk | None:
        """Walk the smallest example again, with an eye on every step; ``None`` where it breaks nothing."""
        if search.broken is None:
            raise AssertionError("an example broke a law")
        for _ in range(_ATTEMPTS):
            walk = replace(search.walk(), watched=True)
            evidence = await walk.run(search.broken.phases)
            if judge(evidence, [law]).violations:
                return walk
        return search.broken if search.broken.ran[-1] is not None else None

    async def _smaller(self, made: Stage, failure: Failure, seconds: float) -> Failure:
        """Return the failure as ``explore`` would keep it; as it is where it does not happen again."""
        try:
            performance = await perform_again(made, failure)
        except DivergedError:
            return failure
        if not broken_again(performance.evidence, failure):
            return failure
        return await smaller_failure(
            made,
            Found(failure.scenario, failure.phase, performance),
            await made.monitor.conflicts(failure.isolation),
            law=failure.laws[0],
            target=failure.target,
            isolation=failure.isolation,
            until=time.monotonic() + seconds,
        )


ENGINE = Stateful()
