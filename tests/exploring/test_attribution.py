"""A statement belongs to the request that sent it, however late it is noticed that the request goes on."""

from __future__ import annotations

import asyncio
import os
import signal
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from harness.driving.guard import install, started
from harness.exploring.conflicts import Isolation
from harness.exploring.monitor import Monitor
from harness.exploring.stage import Stage, stage
from harness.model import Outcome, Phase, Program, Reserve, Scenario, TicketType
from harness.postgres import quote_identifier
from harness.targets import resolve
from tests.turns import next_turn

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from harness.exploring.conductor import Conductor
    from harness.postgres import Server

PATIENCE = 20.0
"""Seconds."""
STOCK = (TicketType(name="general", initial=5),)
BEN, DAN = (Reserve(ticket="general", person=person) for person in ("ben", "dan"))
PROGRAMS = (Program("first", (BEN,)), Program("second", (BEN, DAN)))
ORDER = ("first", "first", "second", "second", "first")
"""The second waits for the first, who has ben's place; once that is sold it is refused, and asks for dan."""


@dataclass(slots=True)
class Watched(Stage):
    """A stage whose last conductor can be looked at."""

    conductors: list[Conductor] = field(default_factory=list)

    def conductor(self, isolation: Isolation) -> Conductor:
        """Keep it."""
        # Not super(): a dataclass with slots is another class than the one this was written in.
        made = Stage.conductor(self, isolation)
        self.conductors.append(made)
        return made

    def has_gone_on(self) -> bool:
        """Say whether the second's next statement has arrived, whoever it was taken for."""
        actors = {actor.name: actor for actor in self.conductors[-1]._actors}
        return bool(actors["second"].points or actors["first"].points or self._memory.background)


@dataclass(slots=True)
class Late(Monitor):
    """What was said of a wait is heard late: by then the request has gone on.

    Whoever waits is stopped until it is said that it waits no longer, and goes on then.
    """

    watched: Watched | None = None

    async def blocked(self, pid: int, others: Sequence[int]) -> bool:
        """Ask, and let the request go on before anybody hears that it can."""
        waits = await Monitor.blocked(self, pid, others)
        os.kill(pid, signal.SIGSTOP if waits else signal.SIGCONT)
        async with asyncio.timeout(PATIENCE):
            while not waits and self.watched is not None and not self.watched.has_gone_on():
                await next_turn()
        return waits


async def test_a_request_that_goes_on_before_its_wait_is_seen_to_be_over_keeps_its_statements(
    server: Server, tmp_path: Path
) -> None:
    """They are held like any other, and are not taken for the application's own, which would be for good."""
    target = resolve("sql")
    template = await server.create_template(lambda url: install(target, url), label="late")
    async with (
        server.clone(template, "late") as database,
        stage(database, lambda url: started(target, url, tmp_path), isolation=None, timeout=PATIENCE) as made,
    ):
        # Who looks for a deadlock holds what others need, and must not be stopped then.
        name = quote_identifier(await made.monitor.db.fetchval("SELECT current_database()"))
        await made.monitor.db.execute(f"ALTER DATABASE {name} SET deadlock_timeout = '1h'")
        monitor = Late(made.monitor.db, made.monitor.functions_lock_rows, made.monitor.foreign_keys)
        watched = Watched(made.running, made.proxy, monitor, made.timeout)
        monitor.watched = watched
        session = await watched.open(STOCK)
        order = iter(ORDER)
        ran = await session.under_schedule(PROGRAMS, lambda able, *_: next(order, min(able)))
        evidence = await session.evidence(Scenario(tickets=STOCK, phases=(Phase("both", PROGRAMS),)))
        await watched.leave()
    second = [str(event.kind) for event in ran.trace.events if event.client == "second"]
    assert second == ["start", "execute", "resume", "execute", "commit"]
    assert [call.outcome for call in evidence.history if call.client == "second"] == [
        Outcome.DUPLICATE,
        Outcome.ACCEPTED,
    ]
    assert not watched._memory.background
    assert not ran.opaque
