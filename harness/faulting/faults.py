"""The faults at the wire, the client and the application, and all of them in the order of the columns."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.faulting.fault import Anywhere, Turn
from harness.faulting.server_faults import Pooled, RowsLocked, WentDown
from harness.faulting.steps import moment
from harness.model import Cancel, Feature
from harness.postgres.embedded import Postmaster
from harness.wire import CUT, CUT_AFTER, PROCEED, Decision, Kind, fail_after, refuse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.faulting.fault import Fault, Ground, Situation
    from harness.faulting.steps import SeenStep
    from harness.model import Process

_NO_PROCESS = "process killed and stopped: the target gives us no process of its own"
_STOPPED_FOR = 1.0
"""Seconds for which a process is stopped."""
_GONE_FOR = 2.0
"""Seconds in which a backend that was terminated is gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WireFault(Anywhere):
    """What becomes of a step is all there is to it."""

    name: str
    decision: Callable[[SeenStep], Decision]
    at: Callable[[SeenStep], bool]
    words: str
    """With ``{}`` for the statement."""
    lies: bool = False
    """The client is told of an error that was none."""

    def applies(self, step: SeenStep) -> bool:
        """Look at the moment."""
        return self.at(step)

    def tell(self, step: str, *, commits: bool) -> str:
        """See :class:`~harness.faulting.fault.Fault`."""
        return self.words.format(f"the commit of {step}" if commits and self.lies else step)

    async def fire(self, situation: Situation) -> Decision:
        """Decide."""
        situation.request.lied_to = situation.request.lied_to or self.lies
        return self.decision(situation.step)


@dataclass(frozen=True, slots=True)
class Terminated(Anywhere):
    """Postgres ends the session's backend, as an administrator or a failover does."""

    name: str = "backend terminated"

    def tell(self, step: str, *, commits: bool) -> str:
        """See :class:`~harness.faulting.fault.Fault`."""
        return f"the backend was terminated before {moment(step, commits=commits)}"

    async def fire(self, situation: Situation) -> Decision:
        """Terminate it, and wait until it is gone."""
        pid = situation.step.pid
        await situation.watch.terminate(pid)
        await situation.watch.gone([pid], or_idle=False, seconds=_GONE_FOR)
        return CUT


@dataclass(frozen=True, slots=True)
class Stalled(Anywhere):
    """The step stands still for longer than its locks or holds last; the client waits, and it goes on."""

    name: str = "stands still"
    alone: bool = True
    turn: Turn = Turn.FIRST
    gives_up: bool = False
    """The client has given up by then."""

    def tell(self, step: str, *, commits: bool) -> str:
        """See :class:`~harness.faulting.fault.Fault`."""
        what = moment(step, commits=commits)
        return (
            f"the answer came after the client had given up, held up before {what},"
            if self.gives_up
            else (f"it stood still before {what} for as long as others went on")
        )

    async def fire(self, situation: Situation) -> Decision:
        """Let everybody else go on first."""
        if self.gives_up:
            situation.leave("the answer came too late")
            await situation.hang_up_if_apart()
        await situation.others(())
        return PROCEED


@dataclass(frozen=True, slots=True)
class Gone(Anywhere):
    """The client goes away without waiting; what it asked for goes on by itself."""

    name: str = "client gone"
    alone: bool = True

    def tell(self, step: str, *, commits: bool) -> str:
        """See :class:`~harness.faulting.fault.Fault`."""
        return f"the client went away before {moment(step, commits=commits)}"

    async def fire(self, situation: Situation) -> Decision:
        """Leave, and let it go on."""
        situation.leave("the client went away")
        await situation.hang_up_if_apart()
        return PROCEED


@dataclass(frozen=True, slots=True)
class Killed(Anywhere):
    """Whoever serves the request dies, and its connections break: no compensation runs, no retry."""

    name: str = "killed"
    turn: Turn = Turn.SECOND
    alone: bool = True

    def impossible(self, ground: Ground) -> str | None:
        """Leave processes to those faults that can end them."""
        if ground.own_process:
            return "killed: the target has a process of its own, whose death is another fault"
        return None

    def tell(self, step: str, *, commits: bool) -> str:
        """See :class:`~harness.faulting.fault.Fault`."""
        return f"the process died before {moment(step, commits=commits)}"

    async def fire(self, situation: Situation) -> Decision:
        """Die, and have the connections broken."""
        situation.die()
        return CUT


@dataclass(frozen=True, slots=True)
class ProcessFault(Anywhere):
    """Something befalls the target's process group."""

    turn: Turn = Turn.LAST

    def impossible(self, ground: Ground) -> str | None:
        """Need a process that we may end and stop."""
        return None if ground.process else _NO_PROCESS


@dataclass(frozen=True, slots=True)
class ProcessKilled(ProcessFault):
    """The target's process group dies (SIGKILL), and is started again on the same address."""

    name: str = "process killed"

    def tell(self, step: str, *, commits: bool) -> str:
        """See :class:`~harness.faulting.fault.Fault`."""
        when = f"after {step} committed" if commits else f"before {step}"
        return f"the target's process was killed {when}, and started again,"

    async def fire(self, situation: Situation) -> Decision:
        """Kill and restart it: what it asked to commit commits, what it was about to ask is never asked."""
        await situation.restart()
        return CUT_AFTER if situation.step.ends_transaction else CUT


@dataclass(frozen=True, slots=True)
class ProcessStopped(ProcessFault):
    """The target's process group is stopped (SIGSTOP), and goes on (SIGCONT) when its timers have run out."""

    name: str = "process stopped"

    def tell(self, step: str, *, commits: bool) -> str:
        """See :class:`~harness.faulting.fault.Fault`."""
        return f"the target's process stood still from {moment(step, commits=commits)} on"

    async def fire(self, situation: Situation) -> Decision:
        """Stop it; the step goes on in Postgres, and its answer waits."""
        process: Process = situation.running.process  # type: ignore[attr-defined]  # see :meth:`impossible`
        process.pause()
        situation.later(asyncio.sleep(_STOPPED_FOR), process.resume)
        return PROCEED


@dataclass(frozen=True, slots=True, kw_only=True)
class Retried(Anywhere):
    """The connection breaks, and the client tries again where it does not know what became of it."""

    name: str = "client retries"
    turn: Turn = Turn.SECOND
    alone: bool = True

    def impossible(self, ground: Ground) -> str | None:
        """Need a client that can send the same key again."""
        if self.keyed and not ground.keys:
            return f"{self.name}: the target's clients send no idempotency key"
        return None

    def tell(self, step: str, *, commits: bool) -> str:
        """See :class:`~harness.faulting.fault.Fault`."""
        key = "with the same key " if self.keyed else ""
        lost = (
            f"the answer to {step} was lost after it committed"
            if commits
            else f"the connection broke before {step}"
        )
        return f"{lost}, and the client tried again {key}".rstrip()

    async def fire(self, situation: Situation) -> Decision:
        """Lose the answer where there is something to lose, else the question."""
        situation.request.tries_again = True
        return CUT_AFTER if situation.step.ends_transaction else CUT


@dataclass(frozen=True, slots=True)
class Twice(Anywhere):
    """The client sends the same request once more while the first stands at the step: a second click."""

    name: str = "sent twice"
    alone: bool = True

    def tell(self, step: str, *, commits: bool) -> str:
        """See :class:`~harness.faulting.fault.Fault`."""
        return f"the request was sent once more before {moment(step, commits=commits)}"

    async def fire(self, situation: Situation) -> Decision:
        """Send it again, and let it get as far as it can."""
        await situation.send(situation.request.operation)
        return PROCEED


@dataclass(frozen=True, slots=True)
class CancelsMeanwhile(Anywhere):
    """The client cancels while it still buys."""

    name: str = "cancels while buying"
    alone: bool = True

    def impossible(self, ground: Ground) -> str | None:
        """Need something that can be cancelled."""
        return (
            None if Feature.CANCEL in ground.supports else f"{self.name}: the target does not support cancel"
        )

    def tell(self, step: str, *, commits: bool) -> str:
        """See :class:`~harness.faulting.fault.Fault`."""
        return f"the client cancelled before {moment(step, commits=commits)}"

    async def fire(self, situation: Situation) -> Decision:
        """Cancel what the client can see that it has; else whatever it may have."""
        operation = situation.request.operation
        books = await situation.books()
        mine = [e.reservation for e in books.of(operation.ticket) if e.person == operation.person]
        cancel = Cancel(
            ticket=operation.ticket, person=operation.person, reservation=mine[0] if mine else None
        )
        await situation.send(cancel)
        return PROCEED


def _before_it_ran(step: SeenStep) -> bool:
    return not step.commits


def _uncommitted(step: SeenStep) -> bool:
    """Say whether it has run, or will have, in a transaction that is still to be committed."""
    return step.commits or (step.in_transaction and step.kind is Kind.DATA)


def _takes_locks(step: SeenStep) -> bool:
    """Say whether somebody else can be in its way: others only read what was committed."""
    return step.writes or step.locks or step.calls


def _committing(step: SeenStep) -> bool:
    return step.ends_transaction


def _may_fail(at: Callable[[SeenStep], bool], step: SeenStep) -> bool:
    """Say whether such an error may come there: to undo something never fails."""
    return step.kind not in (Kind.ROLLBACK, Kind.SAVEPOINT) and at(step)


def _refused(sqlstate: str, message: str, _step: SeenStep) -> Decision:
    return refuse(sqlstate, message)


_REFUSALS: Mapping[str, tuple[str, Callable[[SeenStep], bool]]] = {
    "40001": ("could not serialize access", lambda step: step.in_transaction or _takes_locks(step)),
    "40P01": ("deadlock detected", lambda step: _before_it_ran(step) and _takes_locks(step)),
    "53300": ("too many connections", _before_it_ran),
    "57P01": ("terminating connection due to administrator command", _before_it_ran),
    "57014": ("canceling statement due to statement timeout", _before_it_ran),
    "23505": (
        "duplicate key value violates unique constraint",
        lambda step: step.inserts or (step.calls and step.writes),
    ),
    "25P03": (
        "terminating connection due to idle-in-transaction timeout",
        lambda step: step.in_transaction and not step.commits,
    ),
    "08006": ("connection failure", _before_it_ran),
    "53100": ("could not extend file: No space left on device", lambda step: step.writes),
}
"""What Postgres may answer instead, and at which steps it can."""

FAULTS: tuple[Fault, ...] = (
    WireFault(
        name="cut before",
        decision=lambda _: CUT,
        at=_before_it_ran,
        words="the connection was cut before {} reached Postgres",
    ),
    WireFault(
        name="cut uncommitted",
        decision=lambda step: CUT if step.commits else CUT_AFTER,
        at=_uncommitted,
        words="the connection was cut after {} ran and before it committed",
    ),
    WireFault(
        name="answer lost",
        decision=lambda _: CUT_AFTER,
        at=_committing,
        words="the answer to {} was lost after it committed",
        turn=Turn.SECOND,
    ),
    WireFault(
        name="answer replaced",
        decision=lambda _: fail_after("08006", "the server connection crashed"),
        at=_committing,
        words="the answer to {} was lost after it committed, and a pooler told of an error in its place",
    ),
    *(
        WireFault(
            name=f"refused {sqlstate}",
            decision=functools.partial(_refused, sqlstate, message),
            at=functools.partial(_may_fail, at),
            words=f"{{}} was refused with {sqlstate}",
            lies=True,
        )
        for sqlstate, (message, at) in _REFUSALS.items()
    ),
    Terminated(),
    RowsLocked(),
    WentDown(name="Postgres crashed", how=Postmaster.crash, words="Postgres crashed and recovered before {}"),
    WentDown(name="Postgres restarted", how=Postmaster.shut_down, words="Postgres was restarted before {}"),
    Pooled(),
    Gone(),
    Killed(),
    ProcessKilled(),
    ProcessStopped(),
    Retried(),
    Retried(name="client retries, same key", keyed=True),
    Twice(),
    CancelsMeanwhile(),
    Stalled(name="answer too late", gives_up=True, turn=Turn.MIDDLE),
    Stalled(),
)
"""In the order of the columns."""
