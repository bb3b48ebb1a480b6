"""Driving one program against a client that behaves as each test says."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytest

from harness.driving.gate import Barrier, OpenGate
from harness.driving.program import Patience, Recorder, drive_program, most_overlapping
from harness.model import (
    Answer,
    Call,
    Cancel,
    Confirm,
    Hold,
    Outcome,
    Program,
    ReadAvailability,
    Refund,
    Release,
    Reserve,
    ReserveGroup,
)
from harness.model.naming import Named
from tests.driving.fakes import ACCEPTED, BUY, for_ever

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from harness.model import Gate, Operation

READ = ReadAvailability(ticket="general", person="ada")
CANCEL = Cancel(ticket="general", person="ada")
SHORT, LONG = Patience(0.05), Patience(30.0)


@dataclass
class Scripted:
    """A client that does one step of its script for each operation; the gate comes first."""

    script: list[Callable[[], Awaitable[Any]]]
    asked: list[Operation] = field(default_factory=list)
    abandoned: int = 0
    cancelled: int = 0

    async def perform(self, _: Any, operation: Operation, gate: Gate) -> Answer:
        self.asked.append(operation)
        await gate()
        try:
            answer: Answer = await self.script.pop(0)()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return answer

    async def close(self) -> None:
        """Nothing to close."""

    def abandon(self) -> None:
        self.abandoned += 1


def says(answer: Any) -> Callable[[], Awaitable[Any]]:
    """Answer this."""

    async def step() -> Any:
        return answer

    return step


def fails(error: BaseException) -> Callable[[], Awaitable[Any]]:
    """Raise this."""

    async def step() -> Any:
        raise error

    return step


async def driven(client: Any, *operations: Operation, patience: Patience = LONG) -> tuple[bool, list[Call]]:
    """Drive a program and return whether the client is usable, with the history."""
    recorder = Recorder()
    usable = await drive_program(
        client,
        None,
        Program("client", operations),
        phase=1,
        recorder=recorder,
        gate=OpenGate(),
        patience=patience,
    )
    return usable, list(recorder.history())


async def test_operations_are_recorded_in_order_with_client_phase_and_times() -> None:
    """Each call says who did what when, and what came back; times follow one another."""
    client = Scripted([says(ACCEPTED), says(Answer(Outcome.ACCEPTED, remaining=3))])
    usable, (first, second) = await driven(client, BUY, READ)
    assert usable
    assert [(call.index, call.client, call.phase) for call in (first, second)] == [
        (0, "client", 1),
        (1, "client", 1),
    ]
    assert (first.operation, first.answer, second.answer.remaining) == (BUY, ACCEPTED, 3)
    assert first.completed is not None
    assert first.invoked <= first.completed <= second.invoked
    assert client.abandoned == 0


async def test_a_refusal_does_not_end_the_program() -> None:
    """A buyer who is told that it is sold out can still ask for something else."""
    client = Scripted([says(Answer(Outcome.SOLD_OUT)), says(ACCEPTED)])
    usable, history = await driven(client, BUY, READ)
    assert usable
    assert [call.outcome for call in history] == [Outcome.SOLD_OUT, Outcome.ACCEPTED]


async def test_an_unknown_outcome_ends_the_program() -> None:
    """What came back is no answer, so nobody goes on on that connection, and it stays open in the history."""
    client = Scripted([says(Answer(Outcome.UNKNOWN, detail="status 500")), says(ACCEPTED)])
    usable, history = await driven(client, BUY, READ)
    assert not usable
    assert [(call.outcome, call.completed) for call in history] == [(Outcome.UNKNOWN, None)]
    assert (client.asked, client.abandoned) == ([BUY], 1)


async def test_no_answer_in_time_is_unknown_and_the_operation_is_stopped() -> None:
    """The connection is dropped and the coroutine cancelled; the detail says how long was waited."""
    client = Scripted([for_ever])
    usable, (call,) = await driven(client, BUY, patience=SHORT)
    assert not usable
    assert (call.outcome, call.completed, call.answer.detail) == (
        Outcome.UNKNOWN,
        None,
        "no answer within 0.05 s",
    )
    assert client.cancelled == 1
    assert client.abandoned >= 1


async def test_a_client_that_never_reaches_its_gate_is_given_up() -> None:
    """Preparing has its own limit: who cannot even connect holds nobody up for ever."""

    class Stuck(Scripted):
        async def perform(self, *_: Any) -> Answer:
            await for_ever()
            return ACCEPTED

    usable, (call,) = await driven(Stuck([]), BUY, patience=SHORT)
    assert not usable
    assert (call.outcome, call.completed) == (Outcome.UNKNOWN, None)


@pytest.mark.parametrize(
    ("error", "detail"),
    [
        (RuntimeError("the pool\nis empty"), "RuntimeError: the pool is empty"),
        (TimeoutError(), "TimeoutError"),
        (SystemExit(0), "SystemExit: 0"),
        (asyncio.CancelledError("scope"), "CancelledError: scope"),
        (ValueError("x" * 500), f"ValueError: {'x' * 188}"),
    ],
)
async def test_what_a_target_raises_is_an_unknown_outcome_with_its_words(
    error: BaseException, detail: str
) -> None:
    """Nothing that somebody else's code raises is taken for a bug of ours, nor for an interruption."""
    usable, (call,) = await driven(Scripted([fails(error)]), BUY)
    assert not usable
    assert (call.outcome, call.answer.detail) == (Outcome.UNKNOWN, detail)


@pytest.mark.parametrize(
    ("garbage", "fault"),
    [
        (None, "is no Answer"),
        ("accepted", "is no Answer"),
        (201, "is no Answer"),
        (Answer("accepted"), "outcome='accepted', where an Outcome belongs"),  # type: ignore[arg-type]  # garbage is the point
    ],
)
async def test_an_answer_of_the_wrong_type_is_unknown(garbage: object, fault: str) -> None:
    """What is no Answer is not guessed at."""
    usable, (call,) = await driven(Scripted([says(garbage)]), BUY)
    assert not usable
    assert call.outcome is Outcome.UNKNOWN
    assert fault in call.answer.detail


async def test_an_object_that_is_no_client_gives_unknown_outcomes() -> None:
    """A target that connects to nothing fails operation by operation, with the reason."""
    usable, (call,) = await driven(None, BUY)
    assert not usable
    assert "perform" in call.answer.detail


async def test_a_client_that_walks_away_does_not_wait_for_the_answer() -> None:
    """It is gone after its time, whatever the general patience; what becomes of its request is open."""
    client = Scripted([for_ever])
    leaving = Reserve(ticket="general", person="ada", disconnects=True)
    usable, (call,) = await driven(client, leaving, patience=Patience(3600.0, walk_away=0.0))
    assert not usable
    assert (call.outcome, call.completed) == (Outcome.UNKNOWN, None)
    assert "went away" in call.answer.detail
    assert client.cancelled == 1


async def test_the_connection_goes_before_the_operation_is_cancelled() -> None:
    """Drivers send a polite cancel request when they are cancelled; a client that is gone cannot."""
    order: list[str] = []

    class Noting(Scripted):
        async def perform(self, _sale: Any, _operation: Operation, gate: Gate) -> Answer:
            await gate()
            try:
                await for_ever()
            finally:
                order.append("cancelled")
            return ACCEPTED

        def abandon(self) -> None:
            order.append("abandoned")

    await driven(Noting([]), BUY, patience=SHORT)
    assert order[:2] == ["abandoned", "cancelled"]


async def test_a_client_that_cannot_be_dropped_is_forgotten() -> None:
    """What abandon() raises changes nothing."""

    class Sticky(Scripted):
        def abandon(self) -> None:
            raise RuntimeError("not today")

    usable, history = await driven(Sticky([for_ever]), BUY, patience=SHORT)
    assert not usable
    assert len(history) == 1


async def test_a_cancel_names_what_was_reserved_last() -> None:
    """Scenarios say who gives back; the target's own name for it comes from its answer."""
    again = Answer(Outcome.ACCEPTED, reservation="r-2")
    client = Scripted([says(Answer(Outcome.ACCEPTED, reservation="r-1")), says(again), says(ACCEPTED)])
    await driven(client, BUY, BUY, CANCEL)
    assert client.asked[-1] == Cancel(ticket="general", person="ada", reservation="r-2")


async def test_a_cancel_of_nothing_known_goes_out_as_it_is() -> None:
    """Another person's reservation, or one of another ticket type, is not taken for it."""
    client = Scripted([says(ACCEPTED), says(ACCEPTED)])
    other = Cancel(ticket="general", person="ben")
    named = Cancel(ticket="general", person="ada", reservation="mine")
    recorder = Recorder(named=Named(reservations={("balcony", "ben"): "r-1", ("general", "ada"): "r-2"}))
    assert recorder.resolve(other) == other
    assert recorder.resolve(named) == named
    await driven(client, other)
    assert client.asked == [other]


@pytest.mark.parametrize(
    ("operation", "resolved"),
    [
        (Cancel(ticket="general", person="ben", whose="ada"), "r-1"),
        (Refund(ticket="general", person="ada"), "r-1"),
        (Confirm(ticket="general", person="cleo"), "h-1"),
        (Release(ticket="general", person="cleo"), "h-1"),
        (Cancel(ticket="general", person="dan"), "m-2"),
    ],
)
async def test_later_operations_name_what_earlier_answers_named(operation: Any, resolved: str) -> None:
    """A stranger's cancel names the owner's reservation, a member's cancel that of the member."""
    client = Scripted(
        [
            says(Answer(Outcome.ACCEPTED, reservation="r-1")),
            says(Answer(Outcome.ACCEPTED, reservation="h-1")),
            says(Answer(Outcome.ACCEPTED, group=("m-1", "m-2"))),
            says(ACCEPTED),
        ]
    )
    group = ReserveGroup(ticket="general", person="eve", members=("eve", "dan"))
    await driven(client, BUY, Hold(ticket="general", person="cleo"), group, operation)
    asked: Any = client.asked[-1]
    assert resolved in (getattr(asked, "reservation", None), getattr(asked, "hold", None))


async def test_a_confirmed_hold_can_be_cancelled_under_its_new_name() -> None:
    """The answer to the confirmation says what the reservation is called."""
    names = [Answer(Outcome.ACCEPTED, reservation=name) for name in ("h-1", "r-1")]
    client = Scripted([*map(says, names), says(ACCEPTED)])
    hold, confirm = Hold(ticket="general", person="ada"), Confirm(ticket="general", person="ada")
    await driven(client, hold, confirm, CANCEL)
    assert client.asked[1:] == [replace(confirm, hold="h-1"), replace(CANCEL, reservation="r-1")]


async def test_only_the_first_operation_waits_at_the_barrier() -> None:
    """Later ones go as fast as answers come."""
    barrier, recorder = Barrier(), Recorder()
    gate = barrier.gate()
    client = Scripted([says(ACCEPTED), says(ACCEPTED)])
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        group.create_task(
            drive_program(
                client,
                None,
                Program("c", (BUY, READ)),
                phase=0,
                recorder=recorder,
                gate=gate,
                patience=LONG,
            )
        )
        await barrier.open_when_ready(30)
    first, second = recorder.history()
    assert first.invoked == gate.passed_at
    assert second.invoked > first.invoked


async def test_our_own_cancellation_goes_through() -> None:
    """An interrupted run is interrupted: the client is dropped, and no outcome is invented."""
    began = asyncio.Event()

    async def step() -> None:
        began.set()
        await for_ever()

    client = Scripted([step])
    recorder = Recorder()
    task = asyncio.ensure_future(
        drive_program(
            client,
            None,
            Program("c", (BUY,)),
            phase=0,
            recorder=recorder,
            gate=OpenGate(),
            patience=LONG,
        )
    )
    await began.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (recorder.calls, client.cancelled) == ([], 1)
    assert client.abandoned == 1


def test_the_history_is_in_order_of_invocation() -> None:
    """However calls came in, they are numbered by when they began."""
    recorder = Recorder()
    for name, invoked in (("late", 30), ("early", 10), ("middle", 20)):
        recorder.record(_call(invoked, invoked + 1, client=name))
    assert [(call.index, call.client) for call in recorder.history()] == [
        (0, "early"),
        (1, "middle"),
        (2, "late"),
    ]


@pytest.mark.parametrize(
    ("calls", "most"),
    [
        ([], 0),
        ([(0, 10)], 1),
        ([(0, 10), (10, 20)], 1),
        ([(0, 10), (9, 20)], 2),
        ([(0, 100), (10, 20), (15, 30), (25, 40)], 3),
        ([(0, None), (5, 6)], 1),
        ([(0, 10), (5, None)], 2),
    ],
)
def test_overlap_is_what_was_seen(calls: list[tuple[int, int | None]], most: int) -> None:
    """Calls that touch do not overlap, and one without an answer counts only when it began."""
    assert most_overlapping([_call(*times) for times in calls]) == most


def _call(invoked: int, completed: int | None, client: str = "c") -> Call:
    return Call(
        index=0,
        client=client,
        phase=0,
        operation=BUY,
        answer=ACCEPTED,
        invoked=invoked,
        completed=completed,
    )
