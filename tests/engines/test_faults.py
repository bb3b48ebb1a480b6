"""The faults engine: what it finds, what it does not hold against right ones, and what it admits."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from harness.driving.trial import Settings
from harness.engines import ENGINES
from harness.exploring.replaying import ReplayOutcome
from harness.faulting.replaying import replay
from harness.model import Mark, Reserve, Verdict
from harness.model.events import FailureKept
from harness.postgres.pooler import find_pooler
from harness.specimens import SPECIMENS
from harness.specimens._shop import GuardedShop
from harness.specimens._statements import SOLD_OUT, insert_rsvp, take
from harness.targets import resolve
from tests.driving.judging import judge_of, shipped
from tests.faulting.shop import WatchedShop, house_of, queue

if TYPE_CHECKING:
    from pathlib import Path

    import asyncpg

    from harness.model import Answer, Check, Failure, FaultTable, Scenario, Target
    from harness.postgres import Server
    from harness.specimens._statements import Ticket

FAULTS = ENGINES.get("faults")
QUICK = Settings(seed=1, fault_pairs=0, operation_timeout=2.0, fault_crashes=False)


async def checked(
    server: Server, target: Target, scenario: Scenario, folder: Path, settings: Settings = QUICK
) -> tuple[Check, list[Failure]]:
    """Drive a scenario and return its check with the failures that were kept."""
    async with judge_of(server, target, folder) as judge:
        check = await judge.drive(scenario, FAULTS, settings)
        return check, [event.failure for event in judge.heard.of(FailureKept)]


def table_of(check: Check) -> FaultTable:
    """Return the table, which must be there."""
    assert check.faults is not None
    return check.faults


async def test_the_published_flow(server: Server, tmp_path: Path) -> None:
    """Leaks by a kill and by a lost reply, an oversell by a lost reply, and duplicates by a second click."""
    check, failures = await checked(
        server, SPECIMENS.get("compensating").target, shipped("enough_for_everybody", 2), tmp_path
    )
    assert check.verdict is Verdict.VIOLATED
    found = {(finding.law, finding.fault): finding.message for finding in table_of(check).findings}
    assert "the process died before INSERT INTO rsvps while" in found["no_leak", "killed"]
    assert "the answer to UPDATE tickets was lost after it committed" in found["no_leak", "answer lost"]
    assert "the answer to INSERT INTO rsvps was lost" in found["no_oversell", "answer replaced"]
    assert "the request was sent once more before" in found["one_per_person", "sent twice"]
    for failure in failures:
        assert failure.replayed == failure.reproduced > 0
        assert len(list(failure.scenario.programs())) == 1, "one buyer is enough for each of them"


async def test_the_same_seed_gives_the_same_table(server: Server, tmp_path: Path) -> None:
    """Marks, findings, pairs and ids of failures."""
    async with judge_of(server, SPECIMENS.get("compensating").target, tmp_path) as judge:
        settings = replace(QUICK, fault_pairs=10)
        tables = [table_of(await judge.drive(shipped("last_ticket", 2), FAULTS, settings)) for _ in range(3)]
    assert tables[0] == tables[1] == tables[2]
    assert tables[0].pairs > 0


@pytest.mark.parametrize("spec", ["sql", "service"])
async def test_what_is_shipped_is_safe(spec: str, server: Server, tmp_path: Path) -> None:
    """Every cell fired and held, none is unexplored, and only what cannot be done is not judged."""
    check, failures = await checked(server, resolve(spec), shipped("last_ticket", 2), tmp_path)
    table = table_of(check)
    assert (check.verdict, check.reasons, failures) == (Verdict.SAFE, (), [])
    assert table.count(Mark.HELD) > 40
    assert [table.count(mark) for mark in (Mark.UNEXPLORED, Mark.NOT_FIRED, Mark.VIOLATED)] == [0, 0, 0]
    missing = set() if find_pooler() else {"pooled"}
    assert len(table.reasons) == (3 if spec == "sql" else 2) + len(missing)
    not_judged = {fault for row in table.rows for fault, mark in row.marks.items() if mark is Mark.NOT_JUDGED}
    apart = {"client retries, same key", "process killed", "process stopped"}
    crashes = {"Postgres crashed", "Postgres restarted"}
    assert not_judged == missing | crashes | (apart if spec == "sql" else {"killed"})


@pytest.mark.parametrize("name", ["guarded_update", "for_update", "serializable_retry", "job_queue"])
async def test_right_ones_are_not_accused(name: str, server: Server, tmp_path: Path) -> None:
    """Whatever breaks, nothing is held against them."""
    check, _ = await checked(server, SPECIMENS.get(name).target, shipped("last_ticket", 2), tmp_path)
    assert (check.verdict, check.reasons) == (Verdict.SAFE, ())
    assert table_of(check).count(Mark.HELD) > 40


class GuardedWithoutTransaction(GuardedShop):
    """The same statements without the transaction around them."""

    name = "without_transaction"

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        """Take, then insert."""
        if not await take(db, ticket, operation):
            return SOLD_OUT
        return await insert_rsvp(db, ticket, operation)


async def test_a_right_one_that_is_broken_is_caught(server: Server, tmp_path: Path) -> None:
    """Taking the transaction away is enough."""

    class Guarded(GuardedShop):
        name = "guarded"

    right, _ = await checked(server, Guarded(), queue(2, 2), tmp_path)
    wrong, _ = await checked(server, GuardedWithoutTransaction(), queue(2, 2), tmp_path)
    assert right.verdict is Verdict.SAFE
    assert "no_leak" in {violation.law for violation in wrong.violations}


class Fickle(WatchedShop):
    """Does its work in another way every second time."""

    name = "fickle"
    _turns = itertools.count()

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        """Look for something else first, now and then."""
        if next(self._turns) % 3:
            await db.fetchval("SELECT count(*) FROM rsvps WHERE quantity > 1")
        return await super().reserve(db, ticket, operation)


async def test_what_did_not_fire_is_no_pass(server: Server, tmp_path: Path) -> None:
    """Steps that do not come again are counted as such."""
    check, _ = await checked(server, Fickle(), queue(1, 1), tmp_path)
    table = table_of(check)
    assert table.count(Mark.NOT_FIRED) > 0
    assert table.count(Mark.HELD) + table.count(Mark.VIOLATED) == check.runs - 1


async def test_an_unlawful_clean_run_ends_it(server: Server, tmp_path: Path) -> None:
    """What is broken without us needs no faults."""

    class Generous(WatchedShop):
        name = "generous"

        async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
            return await insert_rsvp(db, ticket, operation)

    check, failures = await checked(server, Generous(), queue(2, 1), tmp_path)
    assert (check.verdict, check.runs, check.faults, failures) == (Verdict.VIOLATED, 1, None, [])


async def test_without_time_it_says_what_is_unexplored(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every cell had no turn, and the check is inconclusive; with a moment, some had theirs."""
    hasty = replace(QUICK, fault_time=0.0)
    scenario = shipped("last_ticket", 2)
    some, _ = await checked(server, resolve("sql"), scenario, tmp_path, hasty)
    assert table_of(some).count(Mark.UNEXPLORED) > 0
    assert (some.verdict, some.reasons) == (Verdict.SAFE, ())
    monkeypatch.setattr("harness.engines.faults._AT_LEAST", -1.0)
    none, _ = await checked(server, resolve("sql"), scenario, tmp_path, hasty)
    assert table_of(none).count(Mark.HELD) == 0
    assert none.verdict is Verdict.INCONCLUSIVE
    assert none.reasons == ("nothing could be broken, or there was no time for it",)


class LeavesOpen(WatchedShop):
    """Begins a transaction by hand, and forgets it when something goes wrong."""

    name = "leaves_open"

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        """Take and insert within it."""
        await db.execute("BEGIN")
        if not await take(db, ticket, operation):
            await db.execute("ROLLBACK")
            return SOLD_OUT
        answer = await insert_rsvp(db, ticket, operation)
        await db.execute("COMMIT")
        return answer


class LocksForEver(WatchedShop):
    """Takes a lock that is a row, and that nobody takes away from the dead."""

    name = "locks_for_ever"
    constraints = "CREATE TABLE locks (ticket_id bigint PRIMARY KEY);"

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        """Lock, take and insert, unlock."""
        lock = "INSERT INTO locks VALUES ($1) ON CONFLICT DO NOTHING RETURNING 1"
        while not await db.fetchval(lock, ticket.id):
            pass  # Asking again is all that a process can do that shares nothing with the others.
        try:
            async with db.transaction():
                answer = await insert_rsvp(db, ticket, operation)
                if not await take(db, ticket, operation):
                    return SOLD_OUT
                return answer
        finally:
            await db.execute("DELETE FROM locks WHERE ticket_id = $1", ticket.id)


@pytest.mark.parametrize(
    ("shop", "says"),
    [
        (LeavesOpen(), "Sessions were left open: a session is idle in transaction"),
        (LocksForEver(), "buyer-2"),
    ],
    ids=["a transaction", "a lock"],
)
async def test_what_is_left_behind_is_told(
    shop: WatchedShop, says: str, server: Server, tmp_path: Path
) -> None:
    """An open transaction on a live session, and a lock that the dead keep."""
    settings = replace(QUICK, operation_timeout=1.0, until=("answers_again",))
    check, failures = await checked(server, shop, queue(2, 2), tmp_path, settings)
    told = [violation.message for violation in check.violations if violation.law == "answers_again"]
    assert len(told) == 1
    assert says in told[0]
    assert failures
    for failure in failures:
        assert failure.replayed == failure.reproduced > 0, "each time on a target that was started anew"


async def test_replaying_says_what_became_of_it(server: Server, tmp_path: Path) -> None:
    """On the wrong one it still fails; on the one with the fix, whose steps are other ones, it does not."""
    wrong = GuardedWithoutTransaction()
    _, (failure, *_) = await checked(server, wrong, queue(2, 2), tmp_path)
    async with house_of(server, wrong, tmp_path) as house:
        assert (await replay(house, failure)).outcome is ReplayOutcome.STILL_FAILS
    async with house_of(server, SPECIMENS.get("guarded_update").target, tmp_path) as house:
        again = await replay(house, failure)
    assert again.outcome is ReplayOutcome.FIXED
    assert again.difference
    async with house_of(server, WatchedShop(), tmp_path) as house:
        elsewhere = await replay(house, failure)
    assert elsewhere.outcome is ReplayOutcome.STILL_FAILS, "another shop, the same mistake"
