"""The runner: whatever happens on the way, one honest verdict, and nothing that was found is lost."""

from __future__ import annotations

import asyncio
import os
import signal
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.driving import guard
from harness.driving.runner import Plan, run
from harness.driving.trial import Settings
from harness.errors import TargetFailedError, UsageError
from harness.model import Feature, Report, Verdict
from harness.model.events import CheckFinished, CheckSkipped, CheckStarted, RunFinished, RunStarted
from harness.postgres import connect
from tests.driving.fakes import Heard, MemoryRunning, MemoryTarget, as_file, for_ever, oversell, rush
from tests.driving.judging import BURST

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from harness.driving.trial import Trial
    from harness.model import Scenario, Target


@dataclass
class Then:
    """The burst engine, after which something happens."""

    happens: Callable[[Trial], Awaitable[Any]]
    name: str = "burst"
    doc: str = ""
    by_default: bool = True
    abreast: int = 1

    def crowd(self, settings: Settings) -> int | None:
        return BURST.crowd(settings)

    def refuses(self, scenario: Scenario, target: Target) -> str | None:
        return BURST.refuses(scenario, target)

    async def drive(self, trial: Trial) -> None:
        await BURST.drive(trial)
        await self.happens(trial)


@dataclass
class Rehearsal:
    """A plan on a given database, and what came of it."""

    database: str
    folder: Path
    heard: Heard = field(default_factory=Heard)

    def plan(self, target: Any = None, *scenarios: Scenario, **more: Any) -> Plan:
        """Return a plan of one round."""
        return Plan(
            **{
                "target": MemoryTarget() if target is None else target,
                "scenarios": tuple(as_file(scenario) for scenario in scenarios or (rush(),)),
                "engines": (BURST,),
                "settings": Settings(rounds=1),
                "database": self.database,
                **more,
            }
        )

    async def run(self, target: Any = None, *scenarios: Scenario, **more: Any) -> Report:
        """Carry the plan out; the last event must be its report."""
        report = await run(self.plan(target, *scenarios, **more), folder=self.folder, listen=self.heard)
        assert self.heard.events[-1] == RunFinished(report=report, folder=self.folder)
        return report


@pytest.fixture
def rehearsal(database: str, tmp_path: Path) -> Rehearsal:
    """A run on the session's server."""
    return Rehearsal(database, tmp_path)


async def test_a_run_tells_what_it_does_and_reports_it(rehearsal: Rehearsal) -> None:
    """Events come in order: what is planned, each check's beginning and end, the report."""
    report = await rehearsal.run(None, rush(name="one"), rush(name="two"))
    assert (report.verdict, report.reasons) == (Verdict.SAFE, ())
    kinds = [type(event) for event in rehearsal.heard.events if "Progressed" not in type(event).__name__]
    assert kinds == [RunStarted, CheckStarted, CheckFinished, CheckStarted, CheckFinished, RunFinished]
    assert [check.scenario for check in report.checks] == ["one", "two"]
    assert rehearsal.heard.events[0].checks == (("one", "burst"), ("two", "burst"))  # type: ignore[union-attr]  # a RunStarted, as seen above
    assert (report.target, report.seed) == ("memory", 0)


async def test_every_check_has_a_database_of_its_own_and_none_is_left(
    rehearsal: Rehearsal, database: str
) -> None:
    """Each is a copy that is dropped afterwards, and so is the template."""
    seen: list[str] = []

    async def note(trial: Trial) -> None:
        seen.append(trial.database)

    before = await _databases(database)
    await rehearsal.run(None, rush(name="one"), rush(name="two"), engines=(Then(note),))
    assert len(set(seen)) == 2
    assert await _databases(database) == before


async def test_the_time_that_is_left_is_shared_among_the_checks_that_are_left(
    rehearsal: Rehearsal,
) -> None:
    """So that those that would go on as long as they may leave the others their turn."""
    shares: list[float] = []

    async def note(trial: Trial) -> None:
        shares.append(trial.settings.share)

    scenarios = [rush(name=name) for name in ("one", "two", "three", "four")]
    await rehearsal.run(None, *scenarios, engines=(Then(note),), max_time=4000.0)
    assert 500 < shares[0] < 1000
    assert shares == sorted(shares)
    assert 2000 < shares[-1] < 4000


async def test_one_violation_is_the_verdict(rehearsal: Rehearsal) -> None:
    """One check violated, and the whole run is."""
    report = await rehearsal.run(MemoryTarget(oversell))
    assert (report.verdict, report.reasons) == (Verdict.VIOLATED, ())


async def test_what_a_target_cannot_do_is_listed(rehearsal: Rehearsal) -> None:
    """A scenario that needs more than the target supports is not run, and says why; the others are."""
    limited = MemoryTarget(supports=frozenset({Feature.RESERVE}))
    late = replace(rush(name="late"), tickets=(replace(rush().tickets[0], closed=True),))
    report = await rehearsal.run(limited, rush(), late)
    assert report.verdict is Verdict.SAFE
    (skipped,) = report.not_run
    assert (skipped.scenario, skipped.asked_for) == ("late", False)
    assert skipped.reason == "the target does not support: deadline"
    assert [event.not_run for event in rehearsal.heard.of(CheckSkipped)] == [skipped]


async def test_what_was_asked_for_and_cannot_be_done_is_inconclusive(rehearsal: Rehearsal) -> None:
    """The person named it, so leaving it out leaves the question open."""
    limited = MemoryTarget(supports=frozenset({Feature.RESERVE}))
    late = replace(rush(name="late"), tickets=(replace(rush().tickets[0], closed=True),))
    report = await rehearsal.run(limited, rush(), late, asked_for=frozenset({"late"}))
    assert report.verdict is Verdict.INCONCLUSIVE
    assert report.reasons == ("late/burst: the target does not support: deadline",)


async def test_nothing_that_can_be_driven_is_inconclusive(rehearsal: Rehearsal) -> None:
    """A run of no checks is no pass."""
    report = await rehearsal.run(MemoryTarget(supports=frozenset()))
    assert report.verdict is Verdict.INCONCLUSIVE
    assert report.reasons == ("no scenario could be driven against this target",)


async def test_an_unknown_law_is_refused_before_anything_starts(rehearsal: Rehearsal) -> None:
    """In the plan or in a scenario; the message lists the valid ones."""
    with pytest.raises(UsageError, match=r"No law named 'no_overselling'.*Valid: .*no_oversell"):
        await rehearsal.run(laws=("no_overselling",))
    with pytest.raises(UsageError, match="No law named 'nonsense'"):
        await rehearsal.run(None, rush(laws=("nonsense",)))
    assert rehearsal.heard.events == []


async def test_a_target_connected_elsewhere_needs_its_database_named(tmp_path: Path) -> None:
    """Without --database URL its books would be read in a database that it does not use."""
    target = MemoryTarget()
    target.in_place = True  # type: ignore[attr-defined]  # the attribute is optional
    with pytest.raises(UsageError, match="name it with --database postgresql://"):
        await Rehearsal("embedded", tmp_path).run(target)


async def test_nobody_at_the_url_is_a_usage_error_without_the_password(tmp_path: Path) -> None:
    """It is refused before anything is told to anybody."""
    rehearsal = Rehearsal("postgresql://me:secret@127.0.0.1:1/none", tmp_path)
    with pytest.raises(UsageError) as caught:
        await rehearsal.run()
    assert "secret" not in str(caught.value)
    assert rehearsal.heard.events == []


class Stubborn(MemoryTarget):
    """A target of which one method is replaced."""

    def __init__(self, **replaced: Any) -> None:
        super().__init__()
        vars(self).update(replaced)


async def test_a_target_that_cannot_load_its_schema_is_inconclusive(rehearsal: Rehearsal) -> None:
    """No check was made; the reason says what failed, and whose fault it is."""

    async def install(_: str) -> None:
        raise RuntimeError('relation "tickets" already exists')

    report = await rehearsal.run(Stubborn(install=install))
    assert report.verdict is Verdict.INCONCLUSIVE
    assert report.reasons == (
        'the target failed while loading its schema: RuntimeError: relation "tickets" already exists',
    )


async def test_a_target_that_never_becomes_ready_is_inconclusive(
    rehearsal: Rehearsal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is given its time, and each check says that it was not enough."""
    monkeypatch.setattr(guard, "_START_TIMEOUT", 0.3)

    class Slow:
        async def __aenter__(self) -> None:
            await for_ever()

        async def __aexit__(self, *_: object) -> None:
            raise AssertionError("it never was ready")

    report = await rehearsal.run(Stubborn(start=lambda *_: Slow()))
    assert report.verdict is Verdict.INCONCLUSIVE
    assert "did not finish starting within 0.3 s" in report.reasons[0]


async def test_a_target_that_dies_between_runs_is_inconclusive(rehearsal: Rehearsal) -> None:
    """What it showed until then is counted, and the rest of the plan still gets its turn."""

    class Mortal(MemoryTarget):
        sales = 0

    class Dying(MemoryRunning):
        async def open_sale(self, tickets: Any) -> Any:
            Mortal.sales += 1
            if Mortal.sales == 2:
                raise ConnectionError("the process is gone")
            return await super().open_sale(tickets)

    class Starting:
        def __init__(self, target: MemoryTarget) -> None:
            self.target = target

        async def __aenter__(self) -> MemoryRunning:
            return Dying(self.target)

        async def __aexit__(self, *_: object) -> None:
            pass

    target = Mortal()
    target.start = lambda *_: Starting(target)  # type: ignore[method-assign,assignment]  # a start that dies
    report = await rehearsal.run(target, rush(name="one"), rush(name="two"), settings=Settings(rounds=2))
    one, two = report.checks
    assert (one.verdict, one.runs) == (Verdict.INCONCLUSIVE, 1)
    assert (two.verdict, two.runs) == (Verdict.SAFE, 2)
    assert report.reasons == (
        "one/burst: the target failed while opening a sale: ConnectionError: the process is gone",
    )


async def test_a_target_that_dies_in_the_middle_of_a_run_is_inconclusive(rehearsal: Rehearsal) -> None:
    """Its books cannot be read any more, while clients are still at work: one reason, no traceback."""

    class Gone(MemoryRunning):
        async def books(self, _: Any) -> Any:
            raise ConnectionError("the process is gone")

    class Starting:
        async def __aenter__(self) -> MemoryRunning:
            return Gone(MemoryTarget())

        async def __aexit__(self, *_: object) -> None:
            pass

    report = await rehearsal.run(Stubborn(start=lambda *_: Starting()))
    assert report.verdict is Verdict.INCONCLUSIVE
    assert report.reasons == (
        "rush/burst: the target failed while reading its books: ConnectionError: the process is gone",
        "rush/burst: nothing was run",
    )


async def test_garbage_answers_are_inconclusive(rehearsal: Rehearsal) -> None:
    """A target that answers with something else has not answered."""

    async def garbage(*_: object) -> str:
        return "ok"

    report = await rehearsal.run(MemoryTarget(garbage))
    assert report.verdict is Verdict.INCONCLUSIVE
    assert report.reasons[0].startswith(
        "rush/burst: no operation succeeded (2 times: the target answered 'ok'"
    )


async def test_no_answers_are_inconclusive(rehearsal: Rehearsal) -> None:
    """A target that never answers is not waited for longer than the operation's time-out."""

    async def silence(*_: object) -> None:
        await for_ever()

    report = await rehearsal.run(MemoryTarget(silence), settings=Settings(rounds=1, operation_timeout=0.2))
    assert report.verdict is Verdict.INCONCLUSIVE
    assert "no answer within 0.2 s" in report.reasons[0]


@pytest.mark.parametrize(("wrong", "verdict"), [(False, Verdict.INCONCLUSIVE), (True, Verdict.VIOLATED)])
async def test_an_interrupted_run_hands_over_what_it_found(
    wrong: bool, verdict: Verdict, rehearsal: Rehearsal
) -> None:
    """Cancelled in the middle of a check: the report is told before the cancellation goes on."""
    reached = asyncio.Event()

    async def stay(_: Trial) -> None:
        reached.set()
        await for_ever()

    target = MemoryTarget(oversell) if wrong else MemoryTarget()
    plan = rehearsal.plan(target, rush(name="one"), rush(name="two"), engines=(Then(stay),))
    running = asyncio.ensure_future(run(plan, folder=rehearsal.folder, listen=rehearsal.heard))
    async with asyncio.timeout(30):
        await reached.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    (finished,) = rehearsal.heard.of(RunFinished)
    assert rehearsal.heard.events.index(finished) == len(rehearsal.heard.events) - 1
    assert finished.report.verdict is verdict
    (check,) = finished.report.checks
    assert (check.scenario, check.runs, check.verdict) == ("one", 1, verdict)
    assert target.stopped == 1
    if not wrong:
        assert "interrupted before it was done" in finished.report.reasons


async def test_a_used_up_time_budget_is_inconclusive(rehearsal: Rehearsal) -> None:
    """The check that was cut off says so, and those that never began are listed."""

    async def stay(_: Trial) -> None:
        await for_ever()

    report = await rehearsal.run(
        None, rush(name="one"), rush(name="two"), engines=(Then(stay),), max_time=1.0
    )
    assert report.verdict is Verdict.INCONCLUSIVE
    (check,) = report.checks
    assert "it was stopped before it was done" in check.reasons
    (left_out,) = report.not_run
    assert (left_out.scenario, left_out.reason) == ("two", "the time budget of 1 s was used up")


async def test_a_violation_outlives_the_time_budget(rehearsal: Rehearsal) -> None:
    """What was seen before the time was up stands."""

    async def stay(_: Trial) -> None:
        await for_ever()

    report = await rehearsal.run(
        MemoryTarget(oversell), rush(name="one"), rush(name="two"), engines=(Then(stay),), max_time=1.5
    )
    assert report.verdict is Verdict.VIOLATED


@pytest.mark.parametrize(("wrong", "verdict"), [(False, Verdict.INCONCLUSIVE), (True, Verdict.VIOLATED)])
async def test_postgres_killed_in_the_middle(wrong: bool, verdict: Verdict, tmp_path: Path) -> None:
    """What was found before is kept; the rest is listed; neither a process nor a folder is left behind."""
    killed: list[tuple[int, Path]] = []

    async def kill_and_go_on(trial: Trial) -> None:
        killed.append(await _kill_server(trial.database))
        await BURST.drive(trial)

    rehearsal = Rehearsal("embedded", tmp_path)
    target = MemoryTarget(oversell) if wrong else MemoryTarget()
    report = await rehearsal.run(target, rush(name="one"), rush(name="two"), engines=(Then(kill_and_go_on),))
    assert report.verdict is verdict
    (check,) = report.checks
    assert (check.scenario, check.runs, check.verdict) == ("one", 1, verdict)
    assert [(skip.scenario, skip.reason) for skip in report.not_run] == [("two", "Postgres went away")]
    if not wrong:
        assert any("127.0.0.1" in reason for reason in check.reasons)
        assert not any("@" in reason and "***" not in reason for reason in check.reasons)
    ((group, folder),) = killed
    assert not folder.exists()
    with pytest.raises(ProcessLookupError):
        os.killpg(group, 0)


async def test_postgres_killed_under_the_buyers(tmp_path: Path) -> None:
    """Sessions break in the middle of their statements: still one verdict, and no traceback."""
    from harness.specimens import SPECIMENS

    class Murderous(Then):
        async def drive(self, trial: Trial) -> None:
            judged = asyncio.Event()
            trial.tally.listen = lambda _: judged.set()
            async with asyncio.TaskGroup() as group:
                group.create_task(BURST.drive(trial))
                await judged.wait()
                await self.happens(trial)

    report = await Rehearsal("embedded", tmp_path).run(
        SPECIMENS.get("atomic").target,
        rush(buyers=6, stock=3),
        engines=(Murderous(lambda trial: _kill_server(trial.database)),),
        settings=Settings(rounds=10_000),
    )
    assert report.verdict is Verdict.INCONCLUSIVE
    (check,) = report.checks
    assert check.runs >= 1
    assert check.verdict is Verdict.INCONCLUSIVE


async def test_a_bug_of_ours_is_not_dressed_up_as_a_verdict(rehearsal: Rehearsal) -> None:
    """Nothing but trouble with target or database becomes a reason; the rest must be seen."""

    async def bug(_: Trial) -> None:
        raise KeyError("ours")

    with pytest.raises(KeyError, match="ours"):
        await rehearsal.run(engines=(Then(bug),))


async def test_a_group_of_troubles_becomes_reasons(rehearsal: Rehearsal) -> None:
    """Several clients meet the same trouble at once; it is said once. A bug among them is not hidden."""

    async def together(*errors: Exception) -> None:
        raise ExceptionGroup("clients", [*errors, ExceptionGroup("inner", [*errors])])

    async def troubled(_: Trial) -> None:
        await together(TargetFailedError("the target is gone"), TargetFailedError("the target is gone"))

    report = await rehearsal.run(engines=(Then(troubled),))
    assert report.reasons == ("rush/burst: the target is gone",)

    async def buggy(_: Trial) -> None:
        await together(TargetFailedError("the target is gone"), KeyError("ours"))

    with pytest.raises(ExceptionGroup):
        await rehearsal.run(engines=(Then(buggy),))


async def _databases(url: str) -> set[str]:
    connection = await connect(url)
    try:
        rows = await connection.fetch("SELECT datname FROM pg_database")
        return {row["datname"] for row in rows}
    finally:
        await connection.close()


async def _kill_server(database: str) -> tuple[int, Path]:
    """Kill the server behind this URL, all of it; return its process group and its folder."""
    connection = await connect(database)
    data = Path(await connection.fetchval("SHOW data_directory"))
    connection.terminate()
    group = int((data / "postmaster.pid").read_text().split()[0])
    assert os.getpgid(group) == group != os.getpgid(0)
    os.killpg(group, signal.SIGKILL)
    return group, data.parent


async def test_an_engine_that_mostly_waits_makes_several_checks_at_a_time(rehearsal: Rehearsal) -> None:
    """After all others, each on a database of its own, and reported in the order of their beginning."""
    target = MemoryTarget()
    target.starts_concurrently = True  # type: ignore[attr-defined]  # the attribute is optional
    seen: list[str] = []
    arrived = asyncio.Barrier(3)

    async def meet(trial: Trial) -> None:
        seen.append(trial.database)
        await asyncio.wait_for(arrived.wait(), 30)

    async def note(_trial: Trial) -> None:
        seen.append("alone")

    scenarios = [rush(name=name) for name in ("one", "two", "three")]
    engines = (Then(meet, name="waits", abreast=3), Then(note))
    report = await rehearsal.run(target, *scenarios, engines=engines)
    assert seen[:3] == ["alone"] * 3
    assert len(set(seen[3:])) == 3
    order = [(name, engine) for engine in ("burst", "waits") for name in ("one", "two", "three")]
    assert [(check.scenario, check.engine) for check in report.checks] == order
    assert {check.verdict for check in report.checks} == {Verdict.SAFE}


async def test_a_target_that_does_not_say_that_it_can_is_started_once_at_a_time(
    rehearsal: Rehearsal,
) -> None:
    """It may keep something in a module."""
    there = 0

    async def alone(trial: Trial) -> None:
        nonlocal there
        there += 1
        await _databases(trial.database)
        assert there == 1
        there -= 1

    await rehearsal.run(None, rush(name="one"), rush(name="two"), engines=(Then(alone, abreast=4),))


async def test_what_is_made_beside_one_another_ends_with_the_time(rehearsal: Rehearsal) -> None:
    """Those under way say that they were stopped, and the others that they had no turn."""
    target = MemoryTarget()
    target.starts_concurrently = True  # type: ignore[attr-defined]  # the attribute is optional

    async def forever(_trial: Trial) -> None:
        await for_ever()

    scenarios = [rush(name=name) for name in ("one", "two", "three")]
    report = await rehearsal.run(target, *scenarios, engines=(Then(forever, abreast=2),), max_time=3.0)
    assert report.verdict is Verdict.INCONCLUSIVE
    assert [check.scenario for check in report.checks] == ["one", "two"]
    assert [(each.scenario, each.reason) for each in report.not_run] == [
        ("three", "the time budget of 3 s was used up")
    ]
