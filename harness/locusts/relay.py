"""The master's part: what the engine says goes down to the workers, what the workers say goes up."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

import gevent
from locust.runners import STATE_MISSING

from harness import __version__
from harness.load.messages import (
    NAME,
    PROTOCOL,
    Clock,
    Ended,
    Hello,
    NoMessageError,
    Opened,
    Planned,
    Refused,
    Stop,
    Taken,
    Trouble,
    from_map,
    to_map,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from locust.runners import MasterRunner

    from harness.load.messages import Message

logger = logging.getLogger(__name__)

DRAINING = 60.0
"""Seconds beyond what buyers may wait for answers, in which workers must have sent all that was recorded."""


class Relay:
    """What the master knows of its workers."""

    def __init__(self, runner: MasterRunner, up: Callable[[Message], None]) -> None:
        """Begin to hear workers.

        :param up: says something to the engine.
        """
        self._runner = runner
        self._up = up
        self._planned: Planned | None = None
        self._opened: Opened | None = None
        self._greeted: set[str] = set()
        self._refused: set[str] = set()
        self._ended: set[str] = set()
        self._draining = False

    def down(self, message: Message) -> None:
        """Hand on what the engine says: to the worker it is for, or to all of them."""
        match message:
            case Taken(worker=worker) | Clock(worker=worker):
                self._tell(worker, message)
                return
            case Planned():
                self._planned = message
            case Opened():
                self._opened = message
        for worker in list(self._greeted):
            self._tell(worker, message)

    def hear(self, worker: str, data: object) -> None:
        """Hear a worker.

        :param worker: Locust's id of it.
        """
        if worker in self._refused:
            return
        try:
            message = from_map(data)
        except NoMessageError as error:
            self._refuse(worker, f"the worker {worker} is of another version of oversell ({error})")
            return
        if isinstance(message, Hello):
            self._welcome(worker, message)
            return
        self._up(message)
        if isinstance(message, Ended):
            self._ended.add(worker)
            if not self._draining:
                self._up(Trouble(worker, "it left early, so there was less load than was asked for"))

    def drain(self) -> None:
        """Have all workers stop, and wait until they have sent what they recorded, or are gone."""
        self._draining = True
        for worker in list(self._greeted):
            self._tell(worker, Stop("the load is over"))
        timeout = self._planned.plan.timeout if self._planned is not None else 0.0
        patience = DRAINING + 2 * timeout
        until = time.monotonic() + patience
        while left := self._still_to_end():
            if time.monotonic() > until:
                for worker in left:
                    self._up(Trouble(worker, f"it did not end within {patience:g} s"))
                return
            gevent.sleep(0.05)

    def _still_to_end(self) -> set[str]:
        if not len(self._runner.greenlet):  # Locust hears nobody any more
            return set()
        clients = self._runner.clients
        here = {worker for worker in clients if clients[worker].state != STATE_MISSING}
        return (self._greeted & here) - self._ended

    def _welcome(self, worker: str, hello: Hello) -> None:
        if (hello.protocol, hello.version) != (PROTOCOL, __version__):
            self._refuse(
                worker,
                f"the worker {worker} runs oversell {hello.version} (protocol {hello.protocol}), this is "
                f"{__version__} (protocol {PROTOCOL}): install the same on every machine",
            )
            return
        if worker not in self._greeted:
            self._greeted.add(worker)
            self._up(hello)
        for message in (self._planned, self._opened):
            if message is not None:
                self._tell(worker, message)

    def _refuse(self, worker: str, reason: str) -> None:
        self._refused.add(worker)
        self._greeted.discard(worker)
        logger.error("Refused: %s", reason)
        self._up(Trouble(worker, reason))
        self._tell(worker, Refused(reason))

    def _tell(self, worker: str, message: Message) -> None:
        self._runner.send_message(NAME, to_map(message), client_id=worker)
