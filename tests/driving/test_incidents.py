"""Trouble between sessions, as it is seen from outside: in real sessions of a real Postgres."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from harness.driving.guard import install, started
from harness.driving.incidents import Session, stuck_sessions
from harness.driving.tally import Tally
from harness.driving.trial import Settings, Trial
from harness.laws import judge
from harness.model import Incident, IncidentKind, Judgement, Outcome
from harness.postgres import connect
from harness.specimens import SPECIMENS
from harness.specimens.atomic import Atomic
from tests.driving.fakes import Heard, rush
from tests.driving.judging import BURST, shipped

if TYPE_CHECKING:
    from pathlib import Path

    from harness.model import Check, Evidence, Scenario, Target
    from harness.postgres import Server

DEADLOCKING = ("foreign_key_deadlock", "locks_asked_first", "share_lock")


class Runs(Tally):
    """A tally that keeps the evidence of every run."""

    kept: ClassVar[list[Evidence]]

    def add(self, evidence: Evidence, *, spread: float | None = None) -> bool:
        self.kept.append(evidence)
        return super().add(evidence, spread=spread)


async def driven(
    server: Server, target: Target, scenario: Scenario, folder: Path, *, prepare: str = "", **settings: Any
) -> tuple[Check, list[Evidence]]:
    """Drive a burst and return its check with the evidence of every run."""
    tally = Runs(scenario=scenario, engine="burst", laws=None, listen=Heard())
    Runs.kept = []
    async with (
        server.template(lambda url: install(target, url), label="incidents") as template,
        server.clone(template, "incidents") as database,
    ):
        if prepare:
            connection = await connect(database)
            await connection.execute(prepare)
            await connection.close()
        await BURST.drive(
            Trial(
                scenario=scenario,
                start=lambda url: started(target, url, folder),
                target=target.name,
                implementation=target,
                folder=folder,
                database=database,
                settings=Settings(**settings),
                tally=tally,
            )
        )
    return tally.check(), Runs.kept


@pytest.mark.parametrize("name", DEADLOCKING)
async def test_a_burst_sees_deadlocks_that_it_cannot_see_in_the_answers(
    name: str, server: Server, tmp_path: Path
) -> None:
    """The design is caught under the law it breaks, and the run that showed it is the last when asked so."""
    specimen = SPECIMENS.get(name)
    assert specimen.mistake is not None
    scenario = shipped(specimen.mistake.scenario, 4)
    check, runs = await driven(
        server, specimen.target, scenario, tmp_path, rounds=20, until=tuple(specimen.mistake.laws)
    )
    (violation,) = [each for each in check.violations if each.law == "no_deadlock"]
    assert violation.run == check.runs == len(runs)
    assert "does not say whom" in violation.message


async def test_every_deadlock_is_counted_in_the_run_that_met_it(server: Server, tmp_path: Path) -> None:
    """As many as clients were told of one, run by run, from the very first: the count is never late."""
    share_lock = SPECIMENS.get("share_lock").target
    _, runs = await driven(server, share_lock, shipped("last_ticket", 2), tmp_path, rounds=4)
    told = [
        sum(call.answer.detail == "DeadlockDetectedError" for call in evidence.history) for evidence in runs
    ]
    deadlock = Incident(kind=IncidentKind.DEADLOCK, client=None)
    assert [evidence.incidents for evidence in runs] == [(deadlock,) * times for times in told]
    assert sum(told) > 0


async def test_a_design_that_never_deadlocks_is_judged_and_held(server: Server, tmp_path: Path) -> None:
    """The law is judged in a burst, and says so."""
    check, _ = await driven(server, Atomic(), shipped("last_ticket"), tmp_path, rounds=3)
    assert check.laws["no_deadlock"].judgement is Judgement.HELD
    assert check.laws["answers"].judgement is Judgement.HELD


async def test_where_postgres_does_not_count_nothing_is_judged(server: Server, tmp_path: Path) -> None:
    """No news from a server that was told not to count is no good news."""
    off = "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET track_counts = off', current_database()); END $$"
    share_lock = SPECIMENS.get("share_lock").target
    check, (evidence,) = await driven(
        server, share_lock, shipped("last_ticket", 2), tmp_path, prepare=off, rounds=1
    )
    assert evidence.incidents is None
    assert check.laws["no_deadlock"].judgement is Judgement.NOT_JUDGED


class LeavesItLocked(Atomic):
    """Takes an advisory lock for its session, and forgets it."""

    name = "leaves_it_locked"

    async def reserve(self, db: Any, ticket: Any, operation: Any) -> Any:
        await db.execute("SELECT pg_advisory_lock($1)", ticket.id)
        return await super().reserve(db, ticket, operation)


class WorksForLong(Atomic):
    """Holds the lock while it works, for longer than anybody waits."""

    name = "works_for_long"

    async def reserve(self, db: Any, ticket: Any, operation: Any) -> Any:
        async with db.transaction():
            await db.execute("SELECT pg_advisory_xact_lock($1)", ticket.id)
            await db.execute("SELECT pg_sleep(1.5)")
            return await super().reserve(db, ticket, operation)


async def test_who_waits_for_a_lock_that_nobody_lets_go_of_is_stuck(server: Server, tmp_path: Path) -> None:
    """Those that had no answer are named, the one that had is not; no further run is made."""
    scenario = rush(buyers=3, stock=3, reaches=frozenset())
    check, (evidence,) = await driven(
        server, LeavesItLocked(), scenario, tmp_path, rounds=5, operation_timeout=1.0
    )
    unanswered = {call.client for call in evidence.history if call.outcome is Outcome.UNKNOWN}
    assert len(unanswered) == 2
    (violation,) = judge(evidence, ["answers"]).violations
    assert set(violation.buyers) == unanswered
    assert [each.law for each in check.violations] == ["answers"]


async def test_who_waits_for_somebody_at_work_is_not_called_stuck(server: Server, tmp_path: Path) -> None:
    """A slow system answers in the end: that it did not within our time accuses nobody."""
    scenario = rush(buyers=3, stock=3, reaches=frozenset())
    check, (evidence,) = await driven(
        server, WorksForLong(), scenario, tmp_path, rounds=1, operation_timeout=1.0
    )
    assert all(call.outcome is Outcome.UNKNOWN for call in evidence.history)
    assert evidence.incidents == ()
    assert not check.violations


IDLE = Session(pid=1, works=False, since=9)
WAITS = Session(pid=2, works=True, since=9, waits_for=(1,))


@pytest.mark.parametrize(
    ("sessions", "stuck"),
    [
        ([IDLE, WAITS], {2}),
        ([IDLE, WAITS, Session(pid=3, works=True, since=9, waits_for=(2,))], {2, 3}),
        ([replace(IDLE, since=1), WAITS], set()),
        ([replace(IDLE, works=True), WAITS], set()),
        ([IDLE, replace(WAITS, waits_for=())], set()),
        ([WAITS], set()),
        ([replace(WAITS, waits_for=(3,)), Session(pid=3, works=True, since=9, waits_for=(2,))], set()),
        ([IDLE, replace(WAITS, waits_for=(3, 1)), Session(pid=3, works=True, since=9)], {2}),
    ],
)
def test_stuck_is_who_waits_for_one_that_does_nothing(sessions: list[Session], stuck: set[int]) -> None:
    """Directly or over others; not for one at work, and not in a circle, which Postgres breaks by itself."""
    assert stuck_sessions(sessions, since=8) == stuck
