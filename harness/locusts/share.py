"""One process's share of the load: what its buyers must know, and what is kept of what they did."""

from __future__ import annotations

import itertools
import time
from random import Random
from typing import TYPE_CHECKING

import gevent
from gevent.event import Event

from harness.load.behaviour import Visit
from harness.load.messages import Clock, Opened, Planned, Taken, Trouble
from harness.load.records import Record, pack
from harness.locusts.recorder import Recorder
from harness.locusts.timing import EngineClock

if TYPE_CHECKING:
    from collections.abc import Callable

    from locust.env import Environment

    from harness.load.messages import Message
    from harness.load.plan import LoadPlan, Sale
    from harness.model import Answer, Operation

BEGUN = 60.0
"""Seconds in which Locust must have begun: workers may be told to spawn buyers before that."""
STALLED = 30.0
"""Seconds without a chunk being taken, after which the engine is taken to be gone."""


class Share:
    """What one process that makes load knows, and what it has done."""

    def __init__(self, worker: str, name: str, send: Callable[[Message], None]) -> None:
        """Take part.

        :param worker: how the engine knows this process.
        :param name: what the names of its buyers begin with; no other process has it.
        :param send: says something to the engine.
        """
        self.ready = Event()
        """Set once there is a plan, a sale, and the engine's time."""
        self.plan: LoadPlan | None = None
        self.sale: Sale | None = None
        self.closing = False
        """Nothing new is to be begun any more."""
        self._worker = worker
        self._name = name
        self._send = send
        self._numbers = itertools.count(1)
        self._recorder = Recorder(worker, send)
        self._clock = EngineClock(worker, send)
        self._timed = False
        self._finishing = False
        self._finished = Event()

    @property
    def ended(self) -> bool:
        """Whether all was said that will ever be."""
        return bool(self._finished.is_set())

    def receive(self, message: Message) -> None:
        """Hear something from the engine."""
        match message:
            case Planned(plan=plan):
                if self.plan is None:
                    self.plan = plan
                    gevent.spawn(self._get_ready, plan)
            case Opened(sale=sale):
                if self.sale is None or sale.number > self.sale.number:
                    self.sale = sale
                    self._look_whether_ready()
            case Taken(number=number):
                self._recorder.taken(number)
            case Clock():
                self._clock.heard(message)
            case _:
                raise ValueError(f"nothing for a process that makes load: {message.type}")

    def newcomer(self, sale: Sale) -> Visit:
        """Return somebody who was never there before, with luck of their own, and what they want."""
        assert self.plan is not None  # noqa: S101  # buyers come when all is ready
        # An engine opens sales of its own. Without one the same event may be visited by run after run.
        name = self._name if self.plan.record else f"{self.plan.seed:x}-{self._name}"
        person = f"{name}-{next(self._numbers)}"
        luck = Random(f"{self.plan.seed} {person}")  # noqa: S311  # for choosing, not for secrets
        return Visit(ticket=luck.choice(list(sale.tickets)), person=person, luck=luck)

    def wait_for_room(self) -> bool:
        """Wait while too much is recorded and not yet taken; say whether there is room now."""
        if self._recorder.room.is_set():
            return True
        if self._recorder.room.wait(STALLED):
            return True
        if not self.closing:
            self.closing = True
            self.trouble(f"no record was taken for {STALLED:g} s: the engine, or the way to it, is gone")
        return False

    def record(
        self,
        sale: Sale,
        client: str,
        operation: Operation,
        answer: Answer,
        invoked: int,
        completed: int | None,
    ) -> None:
        """Keep one operation, its times told by our own clock."""
        if self.plan is None or not self.plan.record or self.ended:
            return
        offset = self._clock.offset
        ended = None if completed is None else completed + offset
        self._recorder.add(pack(Record(sale.number, client, operation, answer, invoked + offset, ended)))

    def trouble(self, text: str) -> None:
        """Say what went wrong."""
        self._send(Trouble(self._worker, text))

    def finish(self, patience: float) -> None:
        """Send what is left, and say that it was all; whoever comes second waits for the first.

        :param patience: seconds to wait for each sign that what was sent is safe. 0 where nothing can come
            in meanwhile.
        """
        self.closing = True
        if self._finishing:
            self._finished.wait(patience)
            return
        self._finishing = True
        if patience and self.plan is not None:
            self._clock.stop()
        if not self._recorder.finish(patience, self._clock.error) and patience:
            self.trouble(f"{self._recorder.waiting} of the chunks of records that were sent were not taken")
        self._finished.set()

    def _get_ready(self, plan: LoadPlan) -> None:
        """Learn the engine's time, and begin to record."""
        if plan.record:
            if not self._clock.start():
                self.trouble("the engine did not say what time it is")
                return
            self._recorder.start()
        self._timed = True
        self._look_whether_ready()

    def _look_whether_ready(self) -> None:
        if self._timed and self.sale is not None:
            self.ready.set()


def give_share(environment: Environment, share: Share) -> None:
    """Let the buyers of an environment find their share."""
    vars(environment)[_ATTRIBUTE] = share


def share_of(environment: Environment) -> Share:
    """Return the share of the process whose environment this is, once Locust has begun.

    :raises RuntimeError: when it has not: nobody fired Locust's ``init`` event.
    """
    until = time.monotonic() + BEGUN
    while True:
        share = vars(environment).get(_ATTRIBUTE)
        if isinstance(share, Share):
            return share
        if time.monotonic() > until:
            raise RuntimeError("Locust's init event was never fired, so buyers cannot know what is on sale")
        gevent.sleep(0.05)


def planned_host(environment: Environment) -> str | None:
    """Return the host of the plan, if there is one already and it names one."""
    share = vars(environment).get(_ATTRIBUTE)
    return (share.plan.host or None) if isinstance(share, Share) and share.plan is not None else None


_ATTRIBUTE = "oversell"
"""Of Locust's environment, which is made to be extended like this."""
