"""Driving one program: its operations in order, each recorded as a call of the history."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

from harness.driving.gate import OpenGate
from harness.driving.shapes import fault_of_answer
from harness.model import Answer, Call, Outcome, Reserve
from harness.model.naming import Named

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from harness.model import Client, Operation, Program


@dataclass(slots=True)
class Recorder:
    """The history of one run in the making, and what was reserved under which name."""

    calls: list[Call] = field(default_factory=list)
    named: Named = field(default_factory=Named)

    def resolve(self, operation: Operation) -> Operation:
        """Fill in the reservation or the hold that an operation is about."""
        return self.named.filled_in(operation)

    def record(self, call: Call) -> None:
        """Add a call, and remember the names that its answer gave."""
        self.calls.append(call)
        self.named.remember(call.operation, call.answer)

    def history(self) -> tuple[Call, ...]:
        """Return the calls in the order of their invocation, numbered."""
        ordered = sorted(self.calls, key=lambda call: (call.invoked, call.client))
        return tuple(replace(call, index=index) for index, call in enumerate(ordered))


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for answers."""

    timeout: float
    """Seconds to prepare, and again seconds from the gate to the answer."""
    walk_away: float = 0.0
    """Seconds after which a client that disconnects has gone, counted from its gate."""


async def drive_program(
    client: Client,
    sale: Any,
    program: Program,
    *,
    phase: int,
    recorder: Recorder,
    gate: OpenGate,
    patience: Patience,
    answered: Callable[[Call], None] | None = None,
) -> bool:
    """Run one program: the first operation through ``gate``, the others as fast as answers come.

    The program ends early when an outcome is unknown: a buyer who lost the connection does not go on on it.

    :param answered: told of each call before the next one is made.
    :returns: whether the client's connection can be used again.
    """
    for operation in program.operations:
        call = await perform(client, sale, recorder.resolve(operation), gate, patience)
        recorder.record(replace(call, client=program.client, phase=phase))
        if answered is not None:
            answered(call)
        if call.completed is None:
            _abandon(client)
            return False
        gate = OpenGate()
    return True


async def perform(
    client: Client, sale: Any, operation: Operation, gate: OpenGate, patience: Patience
) -> Call:
    """Have one operation done, and return it as a call that belongs to nobody yet.

    Without ``completed`` its outcome is unknown, and the client must not be used again.
    """
    begun = time.monotonic_ns()
    performing = asyncio.ensure_future(ask(client, sale, operation, gate))
    leaves = isinstance(operation, Reserve) and operation.disconnects
    try:
        await _wait(performing, gate, patience.timeout, patience.walk_away if leaves else patience.timeout)
        if performing.done():
            answer = performing.result()
        elif leaves:
            answer = Answer(Outcome.UNKNOWN, detail="the client went away before the answer came")
        else:
            answer = no_answer(patience.timeout)
    finally:
        await _stop(client, performing)
    completed = None if answer.outcome is Outcome.UNKNOWN else time.monotonic_ns()
    return Call(
        index=0,
        client="",
        phase=0,
        operation=operation,
        answer=answer,
        invoked=begun if gate.passed_at is None else gate.passed_at,
        completed=completed,
    )


async def _wait(performing: asyncio.Future[Answer], gate: OpenGate, prepare: float, answer: float) -> None:
    """Wait for the answer: at most so many seconds for the gate, then so many for the answer."""
    passing = asyncio.ensure_future(gate.passed.wait())
    try:
        either: set[asyncio.Future[Any]] = {passing, performing}
        await asyncio.wait(either, timeout=prepare, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.wait({performing}, timeout=answer)
    finally:
        passing.cancel()


async def _stop(client: Client, performing: asyncio.Future[Answer]) -> None:
    """End what is still under way. The connection goes first, so that no driver sends a polite cancel."""
    if not performing.done():
        _abandon(client)
        performing.cancel()
        await asyncio.wait({performing}, timeout=1)


async def ask(client: Client, sale: Any, operation: Operation, gate: OpenGate) -> Answer:
    """Have the operation done. Whatever the target does instead of answering is an unknown outcome."""
    try:
        answer: object = await client.perform(sale, operation, gate)
    except (Exception, SystemExit, asyncio.CancelledError) as error:
        if isinstance(error, asyncio.CancelledError) and is_cancelled_from_outside():
            raise
        return Answer(Outcome.UNKNOWN, detail=describe(error))
    fault = fault_of_answer(answer)
    return cast("Answer", answer) if fault is None else Answer(Outcome.UNKNOWN, detail=fault[:200])


def _abandon(client: Client) -> None:
    """Drop the client's connection; one that cannot even do that is forgotten all the same."""
    with contextlib.suppress(Exception):
        client.abandon()


def no_answer(timeout: float) -> Answer:
    """Return what a call comes to that nobody answered in time.

    :param timeout: seconds.
    """
    return Answer(Outcome.UNKNOWN, detail=f"no answer within {timeout:g} s")


def is_cancelled_from_outside() -> bool:
    """Say whether somebody cancelled our task; if not, a cancellation of a target's own making escaped it."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0


def describe(error: BaseException) -> str:
    """Return one line that names an exception, short enough for a report."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}"[:200] if text else type(error).__name__


def most_overlapping(history: Sequence[Call]) -> int:
    """Return the largest number of calls that were under way at one time.

    A call whose answer never came counts only at the moment it was invoked: what became of it afterwards
    is not known, and an overlap must have been seen.
    """
    ends = sorted(call.completed or call.invoked + 1 for call in history)
    most = over = 0
    for begun, start in enumerate(sorted(call.invoked for call in history), start=1):
        while over < len(ends) and ends[over] <= start:
            over += 1
        most = max(most, begun - over)
    return most
