"""Judging: every sale of a swarm handed to the tally, once everything is quiet.

The history is read from disk, sale by sale; the books are read from the target; the states on the way come
from the audit. Where part of the history was lost, only laws about the books are asked: the others would
accuse a right target of what nobody told us. Where the books can be read no more, what the audit saw stays.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from harness.driving.quiet import quiet_books
from harness.errors import InconclusiveError
from harness.laws import LAWS
from harness.model import Evidence, Judgement
from harness.postgres import connect
from harness.swarming.elsewhere import WORTH_IT, Job, elsewhere
from harness.swarming.joining import survey, uncollected

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import asyncpg

    from harness.driving.tally import Tally
    from harness.driving.trial import Trial
    from harness.model import Books, Call, LawResult, Running, Scenario
    from harness.swarming.disturbance import Disturbance
    from harness.swarming.joining import Survey
    from harness.swarming.sales import OpenSale, Sales

_ABOUT_BOOKS = ("counters_agree_with_rows", "never_negative", "no_leak", "no_oversell", "one_per_person")
"""Laws that need no history: what is left to judge where part of it was lost."""
_ABOUT_STATES = ("never_negative", "no_oversell")
"""Laws that hold after every commit, and not only at the end."""
_SWEEPING = frozenset(law.name for law in LAWS.entries.values() if law.sweeping)
_LONG = 1.0
"""Seconds that judging one sale may take, before it is not asked again what could not be decided."""
_ALIKE_WHEN_UNSURE = 4
"""Readings that must agree at the end of a sale in which some outcome is unknown."""


async def judge_sales(
    trial: Trial, running: Running, sales: Sales, folder: Path, disturbance: Disturbance | None = None
) -> None:
    """Judge every sale; where the books can be read no more, what the audit saw of it.

    :param folder: where the history was gathered.
    :param disturbance: what was broken on purpose meanwhile.
    :raises InconclusiveError: when that is so.
    """
    judge = _Judge(trial, running, sales, folder, disturbance)
    try:
        monitor = await connect(trial.database)
        try:
            with uncollected():
                await judge.everything(monitor)
        finally:
            monitor.terminate()
    except Exception:
        judge.states()
        raise


@dataclass(slots=True)
class _Judge:
    trial: Trial
    running: Running
    sales: Sales
    folder: Path
    disturbance: Disturbance | None
    _seen: dict[int, tuple[Books, tuple[Books, ...]]] = field(default_factory=dict)
    """The final books, and the states on the way, of sales that are not judged yet."""
    _judged: set[int] = field(default_factory=set)
    _is_untrue: bool = False
    """What the log told was not what the books say."""
    _given_up: set[str] = field(default_factory=set)
    """Laws that took long in one sale and could not say: in the next ones they are not asked."""

    async def everything(self, monitor: asyncpg.Connection) -> None:
        """Judge all sales, once everything is quiet.

        :param monitor: a connection of ours to the target's database.
        """
        tally, auditor, opened = self.trial.tally, self.sales.auditor, self.sales.opened
        found = await asyncio.to_thread(survey, self.folder / "history")
        if strays := set(found.sales) - {sale.number for sale in opened}:
            found.troubles.append(f"buyers visited sales that were never opened: {sorted(strays)}")
        if found.troubles:
            tally.troubles += found.troubles
            tally.laws = _among(_ABOUT_BOOKS, tally)
        await self._ask_once_more()
        if auditor is not None and opened:
            # Once nothing is committed any more, the audit can see the end of every sale.
            await self._books(opened[-1], monitor, alike=1)
            await auditor.catch_up()
            if auditor.trouble:
                tally.troubles.append(f"the audit ended before its time: {auditor.trouble}")
            await self._compare(found, monitor)
        if found.records < WORTH_IT or len(opened) < 2:
            await self._judge_here(found, opened, monitor)
        else:
            await self._judge_in_two(found, monitor)

    def states(self) -> None:
        """Judge what the audit saw of those sales in which it found a law broken, and that were not judged.

        That a law was broken at a commit stays true whatever became of the database since.
        """
        tally = self.trial.tally
        tally.laws = _among(_ABOUT_STATES, tally)
        for sale in self.sales.opened:
            if self.sales.is_broken(sale.number) and sale.number not in self._judged:
                states = self._seen[sale.number][1] if sale.number in self._seen else ()
                *rest, last = states or self.sales.seen(sale.number).states
                self._add(Evidence(scenario=self._scenario, history=(), books=last, states=tuple(rest)))

    async def _judge_in_two(self, found: Survey, monitor: asyncpg.Connection) -> None:
        """Judge one half of the sales here, and have the other half judged by another process meanwhile."""
        opened = self.sales.opened
        mine, theirs = opened[: len(opened) // 2], opened[len(opened) // 2 :]
        for sale in theirs:
            await self._look(sale, found, monitor)
        seen = {sale.number: self._believed(sale) for sale in theirs}
        tally = self.trial.tally
        job = Job(
            survey=found,
            scenario=self._scenario,
            engine=tally.engine,
            laws=tally.laws,
            seen=seen,
            disturbance=self.disturbance,
        )
        async with elsewhere(job, self.folder) as other:
            await self._judge_here(found, mine, monitor)
            done = await other.done()
        held: frozenset[int] = frozenset()
        if done is not None:
            also, held = done
            tally.merge(also)
            self._judged |= held
        # What broke a law there is looked at once more; and everything, should nothing have come of it.
        await self._judge_here(found, [sale for sale in theirs if sale.number not in held], monitor)

    async def _judge_here(
        self, found: Survey, sales: Sequence[OpenSale], monitor: asyncpg.Connection
    ) -> None:
        named = {sale.number: sale for sale in sales}
        for number, history in found.histories(named):
            await self._look(named[number], found, monitor)
            await self._judge_sale(named[number], history, monitor)

    async def _compare(self, found: Survey, monitor: asyncpg.Connection) -> None:
        """Hold what the log told of sales against their books, before anything is judged by it.

        Where it told otherwise the description of the tables is not true, and no state is what it seems.
        """
        for sale in self.sales.opened:
            if self.sales.is_followed(sale.number):
                await self._look(sale, found, monitor)

    async def _look(self, sale: OpenSale, found: Survey, monitor: asyncpg.Connection) -> None:
        """Read the books of a sale, and take what the audit saw of it."""
        if sale.number in self._seen:
            return
        tally, auditor = self.trial.tally, self.sales.auditor
        alike = _ALIKE_WHEN_UNSURE if sale.number in found.unsure else 1
        books = await self._books(sale, monitor, alike=alike)
        if auditor is not None and self.sales.is_followed(sale.number):
            difference = auditor.difference(books, sale.number)
            if difference:
                self._is_untrue = True
                tally.troubles.append(f"the log and the books of sale {sale.number + 1} differ: {difference}")
        seen = self.sales.seen(sale.number)
        tally.commits += seen.commits
        self._seen[sale.number] = books, seen.states

    async def _judge_sale(
        self, sale: OpenSale, history: tuple[Call, ...], monitor: asyncpg.Connection
    ) -> None:
        tally = self.trial.tally
        books, states = self._believed(sale)
        evidence = Evidence(scenario=self._scenario, history=history, books=books, states=states)
        if self.disturbance is not None:
            evidence = self.disturbance.told(sale.number, evidence)
        begun = time.monotonic()
        judgements = tally.judge(evidence)
        if time.monotonic() - begun > _LONG:
            self._given_up |= {name for name in _SWEEPING if _is_open(judgements.results.get(name))}
        if judgements.violations:
            # What is broken may be mended a moment later by something that runs behind the answer.
            later = await self._books(sale, monitor, alike=_ALIKE_WHEN_UNSURE)
            if later != books:
                evidence = replace(evidence, books=later, states=(*evidence.states, books))
        self._add(evidence)
        self._judged.add(sale.number)
        del self._seen[sale.number]

    def _add(self, evidence: Evidence) -> None:
        """Hand a run to the tally, with what was broken in it."""
        if self.disturbance is None:
            self.trial.tally.add(evidence)
        else:
            self.trial.tally.add_broken(evidence, self.disturbance.broke)

    def _believed(self, sale: OpenSale) -> tuple[Books, tuple[Books, ...]]:
        """Return the final books of a sale and those states on the way that can be believed."""
        books, states = self._seen[sale.number]
        if self._is_untrue:
            states = tuple(state for state in states if state.commit is None)
        return books, states

    @property
    def _scenario(self) -> Scenario:
        """What was on sale, and the laws that are asked about it."""
        scenario = replace(self.trial.tally.scenario, tickets=self.sales.tickets)
        if not self._given_up:
            return scenario
        laws = tuple(name for name in scenario.laws or LAWS.entries if name not in self._given_up)
        return replace(scenario, laws=laws)

    async def _books(self, sale: OpenSale, monitor: asyncpg.Connection, *, alike: int) -> Books:
        return await quiet_books(self.running, sale.sale, monitor, alike=alike)

    async def _ask_once_more(self) -> None:
        """See that the target still answers somebody who comes after the crowd."""
        try:
            client = await self.running.connect("afterwards")
            await client.close()
        except InconclusiveError as error:
            self.trial.tally.troubles.append(f"after the load the target no longer answered: {error}")


def _is_open(result: LawResult | None) -> bool:
    return result is not None and result.judgement is Judgement.NOT_JUDGED


def _among(names: Sequence[str], tally: Tally) -> tuple[str, ...]:
    """Return those of some laws that are to be judged."""
    laws = tally.laws or tally.scenario.laws
    return tuple(name for name in names if laws is None or name in laws)
