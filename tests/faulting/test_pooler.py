"""Behind PgBouncer in transaction mode: what is a session's is not a client's any more."""

from __future__ import annotations

import asyncio
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.driving.trial import Settings
from harness.engines import ENGINES
from harness.errors import InconclusiveError, TargetFailedError
from harness.exploring.replaying import ReplayOutcome
from harness.faulting.enumeration import Clean, cells, injection_of
from harness.faulting.faults import FAULTS
from harness.faulting.replaying import replay
from harness.faulting.steps import RequestId
from harness.model import Mark, Verdict
from harness.model.events import FailureKept
from harness.specimens._shop import Shop
from harness.specimens._statements import (
    ONE_PER_PERSON,
    SOLD_OUT,
    give_back,
    insert_rsvp,
    read_counter,
    take,
)
from harness.targets import resolve
from tests.driving.judging import judge_of, shipped
from tests.faulting.shop import WatchedShop, house_of, queue, seen

if TYPE_CHECKING:
    from collections.abc import Sequence

    import asyncpg

    from harness.faulting.fault import Fault
    from harness.model import Answer, Check, Failure, Injection, Reserve, Scenario, Target
    from harness.postgres import Server
    from harness.specimens._statements import Ticket

SETTINGS = Settings(seed=1, fault_pairs=0, operation_timeout=2.0, fault_crashes=False)
pytestmark = pytest.mark.usefixtures("pooler")
(POOLED,) = [each for each in FAULTS if each.name == "pooled"]


class SessionLock(Shop):
    """Lock for the session; look and sell in a transaction; unlock. Right on a connection of its own."""

    name = "session_lock"
    constraints = ONE_PER_PERSON

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        """Sell under the lock; a connection on which anything failed is closed, and so are its locks."""
        try:
            await db.execute("SELECT pg_advisory_lock($1)", ticket.id)
            answer = await self.sell(db, ticket, operation)
            await db.execute("SELECT pg_advisory_unlock($1)", ticket.id)
        except Exception:
            db.terminate()
            raise
        return answer

    async def sell(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        """Look, and write."""
        async with db.transaction():
            if await read_counter(db, ticket) < operation.quantity:
                return SOLD_OUT
            answer = await insert_rsvp(db, ticket, operation)
            await give_back(db, ticket, -operation.quantity)
            return answer


class ForUpdate(SessionLock):
    """The same with a lock on the row, which lasts as long as the transaction."""

    name = "locks_the_row"

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        """Lock the row, and then look."""
        async with db.transaction():
            await db.execute("SELECT FROM tickets WHERE id = $1 FOR UPDATE", ticket.id)
            return await self.sell(db, ticket, operation)


class Setting(Shop):
    """Says who buys, for the session, and writes down what the session says."""

    name = "setting"

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        """Take; set; ask, in a statement of its own; write."""
        if not await take(db, ticket, operation):
            return SOLD_OUT
        await db.execute(f"SET oversell.buyer = '{operation.person}'")
        buyer = await db.fetchval("SELECT current_setting('oversell.buyer', true)")
        return await insert_rsvp(db, ticket, replace(operation, person=buyer))


class Basket(ForUpdate):
    """Looks into a temporary table before anything is sold."""

    name = "basket"

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        """Make a basket, look into it, sell."""
        await db.execute("CREATE TEMPORARY TABLE IF NOT EXISTS basket (n int)")
        await db.execute("SELECT n FROM basket")
        return await super().reserve(db, ticket, operation)


class Prepares(ForUpdate):
    """A right one whose driver keeps prepared statements."""

    name = "prepares"
    through_pooler = ""


async def checked(
    server: Server, target: Target, scenario: Scenario, folder: Path, faults: Sequence[Fault] = (POOLED,)
) -> tuple[Check, list[Failure]]:
    """Drive a scenario with these faults only, and return its check with the failures that were kept."""
    engine = ENGINES.get("faults")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("harness.faulting.theatre.FAULTS", faults)
        async with judge_of(server, target, folder) as judge:
            check = await judge.drive(scenario, engine, SETTINGS)
            return check, [event.failure for event in judge.heard.of(FailureKept)]


def marks_of(check: Check) -> list[tuple[str, int, Mark]]:
    """Return the marks in the column: whose step, its number, and what it came to."""
    assert check.faults is not None
    return [(row.client, row.step, row.marks["pooled"]) for row in check.faults.rows if "pooled" in row.marks]


async def test_a_session_lock_is_found_behind_a_pooler(server: Server, tmp_path: Path) -> None:
    """Between the look and the commit, in another session than the lock's; told, kept and replayed."""
    target = SessionLock()
    check, failures = await checked(server, target, queue(2, 1), tmp_path)
    assert check.verdict is Verdict.VIOLATED
    broken = {(client, step) for client, step, mark in marks_of(check) if mark is Mark.VIOLATED}
    assert broken == {("buyer-1", 4), ("buyer-1", 5), ("buyer-1", 6)}
    assert {mark for *_, mark in marks_of(check)} == {Mark.VIOLATED, Mark.HELD}
    (failure,) = failures
    assert failure.laws[0] == "no_oversell"
    assert "a pooler had moved it to another session" in failure.message
    assert failure.replayed == failure.reproduced > 0
    async with house_of(server, target, tmp_path) as house:
        assert (await replay(house, failure)).outcome is ReplayOutcome.STILL_FAILS


async def test_it_is_right_on_a_connection_of_its_own(server: Server, tmp_path: Path) -> None:
    """Of all that can be broken, the pooler alone makes the same target oversell."""
    faults = [each for each in FAULTS if each.name != "rows locked"]  # which takes a second each
    check, _ = await checked(server, SessionLock(), queue(2, 1), tmp_path, faults)
    assert check.faults is not None
    found = {(each.law, each.fault) for each in check.faults.findings}
    assert {fault for law, fault in found if law == "no_oversell"} == {"pooled"}


async def test_a_row_lock_holds(server: Server, tmp_path: Path) -> None:
    """What lasts as long as its transaction does not care whose session it is."""
    check, failures = await checked(server, ForUpdate(), queue(3, 2), tmp_path)
    assert (check.verdict, failures) == (Verdict.SAFE, [])
    assert {mark for *_, mark in marks_of(check)} == {Mark.HELD}


async def test_a_setting_is_lost_right_after_it_was_made(server: Server, tmp_path: Path) -> None:
    """Also between a statement that is no step and the step that comes next."""
    check, _ = await checked(server, Setting(), queue(1, 2), tmp_path)
    assert ("buyer-1", 3, Mark.VIOLATED) in marks_of(check)


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        (
            Basket(),
            'pooled: behind a pooler buyer-1 had no usable answer: UndefinedTableError: relation "basket"',
        ),
        (Prepares(), "pooled: the target relies on prepared statements, which PgBouncer"),
    ],
)
async def test_whoever_only_fails_is_not_judged(
    target: Target, reason: str, server: Server, tmp_path: Path
) -> None:
    """It is no pass and no finding; the reason is said once."""
    check, failures = await checked(server, target, queue(1, 1), tmp_path)
    assert failures == []
    assert Mark.NOT_JUDGED in {mark for *_, mark in marks_of(check)}
    assert Mark.VIOLATED not in {mark for *_, mark in marks_of(check)}
    assert check.faults is not None
    (said,) = check.faults.reasons
    assert said.startswith(reason)
    assert "\n" not in said


async def test_without_a_pooler_it_is_not_judged(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reason says how to get one."""
    monkeypatch.setattr("harness.postgres.pooler._PLACES", ())
    monkeypatch.setenv("PATH", str(tmp_path))
    check, _ = await checked(server, ForUpdate(), queue(1, 1), tmp_path)
    assert {mark for *_, mark in marks_of(check)} == {Mark.NOT_JUDGED}
    assert check.faults is not None
    assert check.faults.reasons == (
        "pooled: there is no pgbouncer in PATH or /usr/sbin (apt install pgbouncer)",
    )


@pytest.mark.parametrize("spec", ["sql", "service"])
async def test_what_is_shipped_runs_through_it(spec: str, server: Server, tmp_path: Path) -> None:
    """Its statements rely on no session."""
    check, _ = await checked(server, resolve(spec), shipped("last_ticket", 2), tmp_path)
    assert (check.verdict, check.reasons) == (Verdict.SAFE, ())
    assert {mark for *_, mark in marks_of(check)} == {Mark.HELD}


async def test_it_goes_on_in_another_session(server: Server, tmp_path: Path) -> None:
    """The transaction of the step is in another backend than those before, in which the others are."""
    scenario = queue(2, 2)
    async with house_of(server, WatchedShop(), tmp_path) as house:
        theatre = await house.theatre()
        plain = await theatre.perform(scenario)
        (third,) = [
            each
            for each in cells(Clean(plain=plain, keyed=None), theatre.faults, theatre.ground)
            if (each.fault, each.client, each.step) == ("pooled", "buyer-1", 3)
        ]
        pooled = await house.theatre((third,))
        assert (pooled.pooling is None, theatre.pooling) == (False, None)
        whole = await pooled.perform(scenario)
        run = await pooled.perform(scenario, (third,))
        again = await pooled.perform(scenario)
    assert len({step.pid for _, step in whole.steps}) == 1
    assert run.fired == (third,)
    pids = {(request.client, step.number): step.pid for request, step in run.steps}
    assert pids["buyer-1", 3] == pids["buyer-1", 4] != pids["buyer-1", 1] == pids["buyer-2", 1]
    assert {step.pid for _, step in again.steps}.isdisjoint(pids.values())


async def test_nothing_is_left_of_it(server: Server, tmp_path: Path) -> None:
    """No process, no folder; its files were for nobody else to read."""
    async with house_of(server, ForUpdate(), tmp_path) as house:
        pooled = await house.theatre([an_injection()])
        assert pooled.pooling is not None
        pooler = pooled.pooling.pooler
        modes = {path.name: path.stat().st_mode & 0o777 for path in pooler.folder.iterdir()}
        assert (modes["ini"], modes["users"], pooler.folder.stat().st_mode & 0o777) == (0o600, 0o600, 0o700)
        owner = await asyncio.to_thread(Path(f"/proc/{pooler.process.pid}").owner)
        assert owner != "root"
    with pytest.raises(ProcessLookupError):
        os.killpg(pooler.process.pid, 0)
    assert not pooler.folder.exists()


async def test_a_pooler_that_dies_is_no_finding(server: Server, tmp_path: Path) -> None:
    """Its clients fail; that says nothing of the target, and the run says so."""
    async with house_of(server, ForUpdate(), tmp_path) as house:
        pooled = await house.theatre([an_injection()])
        assert pooled.pooling is not None
        os.kill(pooled.pooling.pooler.process.pid, signal.SIGKILL)
        with pytest.raises((InconclusiveError, TargetFailedError)):
            await pooled.perform(queue(1, 1))


def an_injection() -> Injection:
    """Return something that is fired behind a pooler."""
    return injection_of(RequestId(0, "buyer-1", 0), seen("SELECT 1"), "pooled")
