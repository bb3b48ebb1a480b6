"""swarm: Locust's users, on one machine or many, while every commit of the books is judged.

What is on sale is sold out again and again: as soon as nothing remains the next sale is opened, and every
sale is one run of the check. All that was asked and answered is gathered from all workers, joined into one
history for each sale, and judged by all laws, together with the books at the end and the states that were
committed on the way. The load ends at the first oversell, unless it is told to go on.

With chaos the target runs behind a proxy, and the faults of the table are fired at its statements and commits
at random, at rates and in an order that the seed draws.

Buyers speak HTTP: a target that does not is served to them by a gateway in this process. A swarm finds what
only shows under load and over time, and says nothing about one interleaving in particular.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from harness.driving.auditing import AuditMode, audited
from harness.driving.guard import works_in_place
from harness.driving.program import Patience
from harness.errors import InconclusiveError
from harness.exploring.stage import NOTHING_BETWEEN
from harness.faulting.chaos import behind_chaos
from harness.faulting.theatre import ground_of
from harness.load.behaviour import BEHAVIOURS, behaviours_for
from harness.load.plan import LoadPlan
from harness.model import Afterwards, Outcome
from harness.model.events import Noticed
from harness.model.verdict import LoadFigures
from harness.swarming.conversation import Conversation
from harness.swarming.disturbance import Disturbance, merged
from harness.swarming.gathering import Gatherer
from harness.swarming.judging import judge_sales
from harness.swarming.launching import launched
from harness.swarming.link import listening
from harness.swarming.sales import FOR_EACH_USER, SAMPLED_FOR, Sales, scaled
from harness.swarming.serving import served, speaks_contract
from harness.swarming.watching import Watch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from harness.driving.auditing import Auditor
    from harness.driving.trial import Settings, Trial
    from harness.faulting.chaos import Chaos
    from harness.load.plan import LoadSettings
    from harness.model import Feature, Running, Scenario, Target, TicketType
    from harness.swarming.serving import Door

_MOST_CLIENTS = 64
"""Clients of a gateway, and so sessions of Postgres, however many users there are."""
_OWED = frozenset({Outcome.ACCEPTED, Outcome.SOLD_OUT})
"""Answers that must have come, whatever the scenario's own programs come to: as long as stock remains there
is nothing to oversell, and no line to stand in."""
_BESIDES = 20.0
"""Seconds, of those that fall to one check, for what comes before and after the load."""


@dataclass(frozen=True, slots=True)
class Swarm:
    """The engine; see the module."""

    name: str = "swarm"
    doc: str = __doc__ or ""
    by_default: bool = False
    abreast: int = 1

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
        tally.scenario = replace(trial.scenario, reaches=_OWED)
        async with _started(trial) as (running, door, auditor, chaos):
            linger = trial.settings.operation_timeout if _reads_log(auditor) else SAMPLED_FOR
            sales = Sales(running, door, auditor, _on_sale(trial.scenario, load), linger)
            tally.audit = sales.audit
            interrupted: asyncio.CancelledError | None = None
            folder = _folder(trial)
            try:
                await _load(trial, sales, folder, behaviours, chaos)
            except asyncio.CancelledError as error:
                interrupted = error
            except InconclusiveError as error:
                tally.troubles.append(str(error))
            try:
                disturbance = None if chaos is None else await _borne(trial, sales, chaos)
                if load.record:
                    await judge_sales(trial, running, sales, folder, disturbance)
            finally:
                if interrupted is not None:
                    raise interrupted


ENGINE = Swarm()


@contextlib.asynccontextmanager
async def _started(trial: Trial) -> AsyncIterator[tuple[Running, Door, Auditor | None, Chaos | None]]:
    """Start the target, behind chaos if there is to be any, serve it, and follow its commits."""
    load, timeout = trial.settings.load, trial.settings.operation_timeout
    async with contextlib.AsyncExitStack() as stack:
        chaos = await stack.enter_async_context(_chaos(trial, load.chaos)) if load.chaos else None
        if chaos is None:
            running = await stack.enter_async_context(trial.start(trial.database))
        else:
            running = chaos.running
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
        yield running, door, auditor, chaos


def _chaos(trial: Trial, rate: float) -> contextlib.AbstractAsyncContextManager[Chaos]:
    """Return what starts the target where things break.

    :raises InconclusiveError: when nothing can stand between the target and its database.
    """
    if works_in_place(trial.implementation):
        raise InconclusiveError(f"no chaos: {NOTHING_BETWEEN}")
    return behind_chaos(
        trial.database,
        trial.start,
        ground_of(trial.implementation),
        rate=rate,
        seed=trial.settings.seed,
        tls=trial.settings.proxy_tls,
    )


async def _borne(trial: Trial, sales: Sales, chaos: Chaos) -> Disturbance:
    """Return what the load had to bear, and how the target is now that it is over."""
    tally = trial.tally
    tally.chaos = figures = chaos.figures
    if chaos.trouble:
        tally.troubles.append(chaos.trouble)
    if not figures.total:
        tally.troubles.append(
            f"nothing broke at {figures.steps} statements and commits: raise --chaos-rate or --run-time"
        )
    afterwards = None
    if sales.opened and not chaos.trouble:
        patience = Patience(trial.settings.operation_timeout)
        probes = await chaos.probe(sales.opened[-1].sale, sales.tickets[0].name, patience)
        afterwards = Afterwards(probes=probes) if probes else None
    return Disturbance(
        broke="while things broke at random",
        lies=merged(chaos.lies),
        afterwards=afterwards,
        last=len(sales.opened) - 1,
    )


async def _load(
    trial: Trial, sales: Sales, folder: Path, behaviours: Mapping[str, int], chaos: Chaos | None
) -> None:
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
            tally.audit = sales.audit
            async with launched(
                load, host=plan.host, link=link.address, folder=folder, patience=patience
            ) as locusts:
                if locusts.web:
                    tally.listen(Noticed(message=f"Locust's page: {locusts.web}"))
                watch = Watch(trial, sales, conversation, locusts, patience)
                if chaos is not None:
                    watch.mishap = lambda: chaos.trouble
                    tally.listen(Noticed(message=chaos.announcement))
                try:
                    async with contextlib.nullcontext() if chaos is None else chaos.going_on():
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
        fickle=load.chaos is not None,
    )


def _folder(trial: Trial) -> Path:
    """Make the folder of this swarm in the run folder."""
    folder = trial.folder / "swarm" / trial.scenario.name
    folder.mkdir(parents=True, exist_ok=True)
    return folder
