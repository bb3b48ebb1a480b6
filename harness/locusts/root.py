"""The process that the engine started: it has the link, shows the books and says how the load goes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gevent
import locust
from gevent.event import Event
from locust.runners import MasterRunner

from harness import __version__
from harness.errors import InconclusiveError
from harness.load.messages import PROTOCOL, Hello, Live, Planned, Stats, Workers
from harness.locusts.books_tab import BooksTab
from harness.locusts.link import Link

if TYPE_CHECKING:
    from collections.abc import Callable

    from locust.env import Environment

    from harness.load.messages import Message
    from harness.load.plan import LoadPlan

OFTEN = 0.5
"""Seconds between two messages about how it goes."""
CLOSING = 5.0
"""Seconds in which the engine must have read the last messages."""


class Root:
    """What is said to the engine and heard from it, whichever part the process plays beside."""

    def __init__(
        self, environment: Environment, received: Callable[[Message], None], lost: Callable[[str], None]
    ) -> None:
        """Prepare.

        :param received: told of each message of the engine.
        :param lost: told why, when the engine is gone.
        """
        self._environment = environment
        self._received = received
        self._lost = lost
        self._link: Link | None = None
        self._plan: LoadPlan | None = None
        self._planned = Event()
        self._states: dict[str, str] = {}
        self._tab = BooksTab()

    def connect(self, address: str) -> None:
        """Connect to the engine.

        :param address: ``PORT:TOKEN``.
        :raises InconclusiveError: when it is not there.
        """
        port, _, token = address.partition(":")
        try:
            self._link = Link(int(port), self._hear, self._lost)
        except (OSError, ValueError) as error:
            raise InconclusiveError(f"the engine cannot be reached on port {port}: {error}") from error
        self.send(Hello("", PROTOCOL, __version__, locust.__version__, token))
        if self._environment.web_ui is not None:
            self._tab.add_to(self._environment.web_ui)
        self._environment.events.quit.add_listener(self._on_quit)
        gevent.spawn(self._tell)

    def send(self, message: Message) -> None:
        """Say something to the engine."""
        if self._link is not None:
            self._link.send(message)

    def wait_for_plan(self, patience: float) -> LoadPlan | None:
        """Return what is to be done, once it is known; ``None`` when it is not in so many seconds."""
        self._planned.wait(patience)
        return self._plan

    def _hear(self, message: Message) -> None:
        if isinstance(message, Live):
            self._tab.live = message
        self._received(message)
        if isinstance(message, Planned):
            self._plan = message.plan
            self._planned.set()

    def _tell(self) -> None:
        while True:
            self._tell_once()
            gevent.sleep(OFTEN)

    def _tell_once(self) -> None:
        total: Any = self._environment.stats.total
        runner: Any = self._environment.runner
        self.send(
            Stats(
                users=runner.user_count,
                requests=total.num_requests,
                failures=total.num_failures,
                rate=float(total.current_rps),
                median_ms=float(total.median_response_time or 0),
                p95_ms=float(total.get_response_time_percentile(0.95) or 0),
            )
        )
        if isinstance(runner, MasterRunner):
            states = {worker: str(runner.clients[worker].state) for worker in runner.clients}
            if states != self._states:
                self._states = states
                self.send(Workers(states))

    def close(self) -> None:
        """Say the last, and close the link."""
        self._tell_once()
        if self._link is not None:
            self._link.close(CLOSING)

    def _on_quit(self, **_: Any) -> None:
        self.close()
