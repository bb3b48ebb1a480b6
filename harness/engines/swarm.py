"""swarm: Locust's users, on one machine or many, while every commit of the books is judged.

What is on sale is sold out again and again: as soon as nothing remains the next sale is opened, and every
sale is one run of the check. All that was asked and answered is gathered from all workers, joined into one
history for each sale, and judged by all laws, together with the books at the end and the states that were
committed on the way. The load ends at the first oversell, unless it is told to go on.

Buyers speak HTTP: a target that does not is served to them by a gateway in this process. A swarm finds what
only shows under load and over time, and says nothing about one interleaving in particular.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from harness.driving.auditing import AuditMode, audited, in_words
from harness.driving.quiet import quiet_books
from harness.errors import InconclusiveError
from harness.laws import LAWS
from harness.load.behaviour import BEHAVIOURS, behaviours_for
from harness.load.plan import LoadPlan
from harness.model import Evidence, Judgement, Outcome
from harness.model.events import Noticed
from harness.model.verdict import LoadFigures
from harness.postgres import connect
from harness.swarming.conversation import Conversation
from harness.swarming.gathering import Gatherer
from harness.swarming.joining import survey, uncollected
from harness.swarming.launching import launched
from harness.swarming.link import listening
from harness.swarming.sales import FOR_EACH_USER, Sales, scaled
from harness.swarming.serving import served, speaks_contract
from harness.swarming.watching import Watch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from pathlib import Path

    import asyncpg

    from harness.driving.auditing import Auditor
    from harness.driving.tally import Tally
    from harness.driving.trial import Settings, Trial
    from harness.load.plan import LoadSettings
    from harness.model import Books, Call, Feature, LawResult, Running, Scenario, Target, TicketType
    from harness.swarming.sales import OpenSale
    from harness.swarming.serving import Door

_MOST_CLIENTS = 64
"""Clients of a gateway, and so sessions of Postgres, however many users there are."""
_OWED = frozenset({Outcome.ACCEPTED, Outcome.SOLD_OUT})
"""Answers that a scenario's programs must have come to and that buyers of a swarm come to as well."""
_ABOUT_BOOKS = ("counters_agree_with_rows", "never_negative", "no_leak", "no_oversell", "one_per_person")
"""Laws that need no history: what is left to judge where part of it was lost."""
_ABOUT_STATES = ("never_negative", "no_oversell")
"""Laws that hold after every commit, and not only at the end."""
_SWEEPING = frozenset(law.name for law in LAWS.entries.values() if law.sweeping)
_LONG = 1.0
"""Seconds that judging one sale may take, before it is not asked again what could not be decided."""
_ALIKE_WHEN_UNSURE = 4
"""Readings that must agree at the end of a sale in which some outcome is unknown."""
_SAMPLED_FOR = 2.0
"""Seconds that a sale is still sampled when there is a newer one: each costs a reading of its books."""
_BESIDES = 20.0
"""Seconds, of those that fall to one check, for what comes before and after the load."""


@dataclass(frozen=True, slots=True)
class Swarm:
    """The engine; see the module."""

    name: str = "swarm"
    doc: str = __doc__ or ""
    by_default: bool = False

    def crowd(self, settings: Settings) -> int | None:
        """Take the scenario as it is: of it, what is on sale and what is asked for matter here."""
        return settings.buyers

    def refuses(self, scenario: Scenario, target: Target) -> str | None:
        """Refuse scenarios for which nobody knows what a buyer does."""
        if behaviours_for(scenario.needs, target.supports):
            return None
        return f"no behaviour of buyers fits a scenario that needs {', '.join(sorted(scenario.needs))}"

    async def drive(self, trial: Trial) -> None:
        """Load the target, and have every sale judged."""
        trial = _fitted(trial)
        load, tally = trial.settings.load, trial.tally
        behaviours = _behaviours(load, trial.scenario, trial.supports)
        tally.scenario = replace(trial.scenario, reaches=trial.scenario.reaches & _OWED)
        async with _started(trial) as (running, door, auditor):
            tally.audit = "" if auditor is None else in_words(auditor)
            linger = trial.settings.operation_timeout if _reads_log(auditor) else _SAMPLED_FOR
            sales = Sales(running, door, auditor, _on_sale(trial.scenario, load), linger)
            interrupted: asyncio.CancelledError | None = None
            folder = _folder(trial)
            try:
                await _load(trial, sales, folder, behaviours)
            except asyncio.CancelledError as error:
                interrupted = error
            except InconclusiveError as error:
                tally.troubles.append(str(error))
            if load.record:
                await _judge(trial, running, sales, folder / "history")
            if interrupted is not None:
                raise interrupted


ENGINE = Swarm()


@contextlib.asynccontextmanager
async def _started(trial: Trial) -> AsyncIterator[tuple[Running, Door, Auditor | None]]:
    """Start the target, serve it, and follow its commits."""
    load, timeout = trial.settings.load, trial.settings.operation_timeout
    async with contextlib.AsyncExitStack() as stack:
        running = await stack.enter_async_context(trial.start(trial.database))
        auditor = None
        if load.record:
            auditor = await stack.enter_async_context(audited(trial.database, trial.implementation, running))
        clients = min(load.users, _MOST_CLIENTS)
        if not speaks_contract(running):
            how = f"{trial.target} speaks no HTTP: a gateway in this process does what buyers ask for, on "
            trial.tally.listen(Noticed(message=f"{how}{clients} sessions. Its speed is not the target's."))
        door = await stack.enter_async_context(
            served(running, trial.supports, clients=clients, timeout=timeout)
        )
        yield running, door, auditor


async def _load(trial: Trial, sales: Sales, folder: Path, behaviours: Mapping[str, int]) -> None:
    """Open the first sale, and have Locust load the target for as long as it is to.

    :raises InconclusiveError: when it could not begin.
    """
    load, tally = trial.settings.load, trial.tally
    plan = _plan(trial, sales.door.url, behaviours)
    patience = trial.settings.operation_timeout + 1
    gatherer = Gatherer(folder / "history")
    with contextlib.closing(gatherer):
        async with listening() as link:
            conversation = Conversation(link, gatherer, plan)
            await conversation.announce(await sales.open())
            async with launched(
                load, host=plan.host, link=link.address, folder=folder, patience=patience
            ) as locusts:
                if locusts.web:
                    tally.listen(Noticed(message=f"Locust's page: {locusts.web}"))
                watch = Watch(trial, sales, sales.auditor, conversation, locusts, patience)
                try:
                    await watch.run()
                finally:
                    tally.troubles += conversation.troubles
                    tally.load = _figures(conversation)
                    if load.record and not gatherer.records:
                        tally.troubles.append("nothing that buyers did was recorded")


def _figures(conversation: Conversation) -> LoadFigures | None:
    """Return how the load was; ``None`` where there was none worth the name."""
    stats, began, grew = conversation.stats, conversation.began, conversation.grew
    if began is None or grew is None or grew <= began:
        return None
    return LoadFigures(
        users=conversation.most_users,
        seconds=round(grew - began, 1),
        requests=stats.requests,
        failures=stats.failures,
        rate=round(stats.requests / (grew - began), 1),
        median_ms=stats.median_ms,
        p95_ms=stats.p95_ms,
    )


async def _judge(trial: Trial, running: Running, sales: Sales, history: Path) -> None:
    """Judge every sale; where the books can be read no more, what the audit saw of it."""
    judge = _Judge(trial, running, sales)
    try:
        monitor = await connect(trial.database)
        try:
            with uncollected():
                await judge.sales_by(monitor, history)
        finally:
            monitor.terminate()
    except Exception:
        judge.states()
        raise


@dataclass(slots=True)
class _Judge:
    """Hands every sale to the tally, one after the other."""

    trial: Trial
    running: Running
    sales: Sales
    _judged: set[int] = field(default_factory=set)
    _given_up: set[str] = field(default_factory=set)
    """Laws that took long in one sale and could not say: in the next ones they are not asked."""

    async def sales_by(self, monitor: asyncpg.Connection, history: Path) -> None:
        """Judge all sales, once everything is quiet.

        :param monitor: a connection of ours to the target's database.
        :param history: the folder with what was gathered.
        """
        tally, auditor = self.trial.tally, self.sales.auditor
        found = await asyncio.to_thread(survey, history)
        if strays := set(found.sales) - {sale.number for sale in self.sales.opened}:
            found.troubles.append(f"buyers visited sales that were never opened: {sorted(strays)}")
        if found.troubles:
            tally.troubles += found.troubles
            tally.laws = _among(_ABOUT_BOOKS, tally)
        await self._ask_once_more()
        if auditor is not None and self.sales.opened:
            # Once nothing is committed any more, the audit can see the end of every sale.
            await self._books(self.sales.opened[-1], monitor, alike=1)
            await auditor.catch_up()
            if auditor.trouble:
                tally.troubles.append(f"the audit ended before its time: {auditor.trouble}")
        histories = found.histories()
        for sale in self.sales.opened:
            calls = next(histories)[1] if sale.number in found.last else ()
            await self._judge_sale(sale, calls, monitor)

    def states(self) -> None:
        """Judge what the audit saw of those sales in which it found a law broken, and that were not judged.

        That a law was broken at a commit stays true whatever became of the database since.
        """
        tally = self.trial.tally
        tally.laws = _among(_ABOUT_STATES, tally)
        for sale in self.sales.opened:
            if self.sales.is_broken(sale.number) and sale.number not in self._judged:
                *states, last = self.sales.seen(sale.number).states
                tally.add(Evidence(scenario=self._scenario, history=(), books=last, states=tuple(states)))

    @property
    def _scenario(self) -> Scenario:
        """What was on sale, and the laws that are asked about it."""
        scenario = replace(self.trial.tally.scenario, tickets=self.sales.tickets)
        if not self._given_up:
            return scenario
        laws = tuple(name for name in scenario.laws or LAWS.entries if name not in self._given_up)
        return replace(scenario, laws=laws)

    async def _judge_sale(
        self, sale: OpenSale, history: tuple[Call, ...], monitor: asyncpg.Connection
    ) -> None:
        tally, auditor = self.trial.tally, self.sales.auditor
        unsure = any(call.outcome is Outcome.UNKNOWN for call in history)
        books = await self._books(sale, monitor, alike=_ALIKE_WHEN_UNSURE if unsure else 1)
        if auditor is not None and self.sales.is_followed(sale.number):
            difference = auditor.difference(books, sale.number)
            if difference:
                tally.troubles.append(f"the log and the books of sale {sale.number + 1} differ: {difference}")
        seen = self.sales.seen(sale.number)
        self._judged.add(sale.number)
        tally.commits += seen.commits
        evidence = Evidence(scenario=self._scenario, history=history, books=books, states=seen.states)
        begun = time.monotonic()
        judgements = tally.judge(evidence)
        if time.monotonic() - begun > _LONG:
            self._given_up |= {name for name in _SWEEPING if _is_open(judgements.results.get(name))}
        if judgements.violations:
            # What is broken may be mended a moment later by something that runs behind the answer.
            later = await self._books(sale, monitor, alike=_ALIKE_WHEN_UNSURE)
            if later != books:
                evidence = replace(evidence, books=later, states=(*evidence.states, books))
        tally.add(evidence)

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


def _reads_log(auditor: Auditor | None) -> bool:
    return auditor is not None and auditor.mode is AuditMode.EVERY_COMMIT


def _fitted(trial: Trial) -> Trial:
    """Return the trial with a load that fits into the time there is."""
    load, share = trial.settings.load, trial.settings.share
    if load.run_time <= share - _BESIDES:
        return trial
    seconds = max(1.0, share - _BESIDES)
    less = f"{seconds:.0f} s of load instead of {load.run_time:g}: there is no more time."
    trial.tally.listen(Noticed(message=less))
    return replace(trial, settings=replace(trial.settings, load=replace(load, run_time=seconds)))


def _behaviours(load: LoadSettings, scenario: Scenario, supports: frozenset[Feature]) -> Mapping[str, int]:
    """Return what buyers do, and how often each of it.

    :raises InconclusiveError: when the target cannot do what is needed for it.
    """
    chosen = load.behaviours or behaviours_for(scenario.needs, supports)
    for name in chosen:
        missing = BEHAVIOURS.get(name).needs - supports
        if missing:
            raise InconclusiveError(
                f"the target does not support what the behaviour {name} needs: {', '.join(sorted(missing))}"
            )
    return chosen


def _on_sale(scenario: Scenario, load: LoadSettings) -> tuple[TicketType, ...]:
    total = FOR_EACH_USER * load.users if load.stock is None else load.stock
    return scaled(scenario.tickets, total)


def _plan(trial: Trial, url: str, behaviours: Mapping[str, int]) -> LoadPlan:
    load, settings = trial.settings.load, trial.settings
    return LoadPlan(
        host=url,
        behaviours=behaviours,
        users=load.users,
        spawn_rate=load.spawn_rate,
        run_time=load.run_time,
        shape=load.shape,
        wait=load.wait,
        timeout=settings.operation_timeout,
        seed=settings.seed,
        record=load.record,
        may_load_host=load.may_load_host,
    )


def _folder(trial: Trial) -> Path:
    """Make the folder of this swarm in the run folder."""
    folder = trial.folder / "swarm" / trial.scenario.name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _among(names: Sequence[str], tally: Tally) -> tuple[str, ...]:
    """Return those of some laws that are to be judged; the others would accuse a right target of our loss."""
    laws = tally.laws or tally.scenario.laws
    return tuple(name for name in names if laws is None or name in laws)
