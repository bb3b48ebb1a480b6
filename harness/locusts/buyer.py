"""Buyers: Locust users that visit sales, do what their behaviour says, and have all of it recorded.

A buyer of one's own is a subclass::

    from locust import task
    from harness.locusts import Buyer
    from harness.model import Cancel, Outcome, Reserve

    class Hesitant(Buyer):
        @task
        def buy(self):
            me = self.arrive()
            if self.do(Reserve(ticket=me.ticket, person=me.person)).outcome is Outcome.ACCEPTED:
                self.do(Cancel(ticket=me.ticket, person=me.person))

        @task
        def rush(self):
            self.visit("rush")

Tasks of its own replace the one of :class:`Buyer`, which visits as the plan says. ``self.client`` is Locust's
own client, for requests that are no part of the audit.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from random import Random, uniform
from typing import TYPE_CHECKING, Any

import gevent
from gevent.event import Event
from locust import FastHttpUser, task
from locust.contrib.fasthttp import insecure_ssl_context_factory
from locust.exception import StopUser

from harness.contract.answers import NOTHING_NAMED, answer_of
from harness.contract.requests import request_for
from harness.load.behaviour import BEHAVIOURS
from harness.locusts.connection import Connection, NoAnswerError, Origin
from harness.locusts.share import planned_host, share_of
from harness.model import Answer, Outcome
from harness.model.naming import Named
from harness.model.operations import kind_of

if TYPE_CHECKING:
    from locust.env import Environment

    from harness.contract.requests import Request
    from harness.load.behaviour import Steps, Visit
    from harness.load.plan import LoadPlan, Sale
    from harness.locusts.share import Share
    from harness.model import Operation

READY = 60.0
"""Seconds in which a buyer must be told what is on sale."""
GRACE = 1.0
"""Seconds beyond the time-outs, in which what is under way ends by itself."""
SHAKEN = 0.2
"""Seconds before the next visit of somebody who got no answer: who is down is not asked all the time."""
GIVES_UP = 0.01
"""How often a fickle buyer gives up before the answer comes."""
IMPATIENCE = 0.05
"""Seconds after which they do, at the most."""
TRIES_AGAIN = 0.5
"""How often a fickle buyer asks once more, who does not know what became of it."""
TAKEN_AWAY = Answer(Outcome.UNKNOWN, detail="the buyer was taken away before the answer came")


class UnknownOutcomeError(Exception):
    """What Locust counts as a failure: nobody can say whether it happened."""


@dataclass(frozen=True, slots=True)
class Errand:
    """One request for one operation."""

    sale: Sale
    client: str
    """Whose call it is in the history."""
    operation: Operation
    ids: tuple[str, str]
    request: Request
    among_others: bool
    """Others leave at the same moment."""


class Buyer(FastHttpUser):
    """Somebody who visits the newest sale, again and again, each time under a new name."""

    def __init__(self, environment: Environment) -> None:
        if self.host is None:
            self.host = planned_host(environment)
        super().__init__(environment)
        self._named = Named()
        self._luck: Random | None = None
        """Of a fickle buyer, for this visit."""
        self._sale: Sale | None = None
        self._origin: Origin | None = None
        self._connections: list[Connection] = []
        self._under_way = 0
        self._idle = Event()
        self._idle.set()
        self._leaving = False

    def __init_subclass__(cls, **options: Any) -> None:
        """Leave our own task out where a subclass has tasks of its own."""
        super().__init_subclass__(**options)
        own = [each for each in cls.tasks if each is not Buyer.come]
        if own:
            cls.tasks = own

    @task
    def come(self) -> None:
        """Visit once, as the plan says."""
        self.visit()

    def wait_time(self) -> float:
        """Return how long to wait until the next visit, in seconds, as the plan says."""
        plan = self._share.plan
        if plan is None or not plan.wait[1]:
            return 0.0
        return uniform(*plan.wait)  # noqa: S311  # for waiting, not for secrets

    def arrive(self) -> Visit:
        """Come to the newest sale as somebody new; what earlier visits were answered is forgotten."""
        self._begin()
        sale = self._share.sale
        assert sale is not None  # noqa: S101  # there is one, once all is ready
        self._sale = sale
        self._named = Named()
        visit = self._share.newcomer(sale)
        self._luck = self._fickleness(visit)
        return visit

    def visit(self, behaviour: str | None = None) -> None:
        """Come, and do what a behaviour says.

        :param behaviour: its name; ``None`` to have one chosen by the weights of the plan.
        :raises UsageError: when there is none of that name.
        """
        visit = self.arrive()
        if behaviour is None:
            weights = self._plan.behaviours
            (behaviour,) = visit.luck.choices(list(weights), list(weights.values()))
        steps = BEHAVIOURS.get(behaviour).visit(visit)
        try:
            if not self._walk(steps):
                gevent.sleep(SHAKEN)
        finally:
            steps.close()

    def do(self, operation: Operation) -> Answer:
        """Ask for an operation, and return what was answered. Records it.

        A fickle buyer who does not know what became of it may ask once more.

        Names of reservations and holds are filled in from what was answered since :meth:`arrive`.

        :raises ValueError: when the sale has no such ticket type, or the contract no such request.
        """
        self._begin()
        answer = self._perform(operation, operation.person, self._connection(0))
        if answer.outcome is not Outcome.UNKNOWN or not self._happens(TRIES_AGAIN):
            return answer
        gevent.sleep(SHAKEN)
        self._begin()
        return self._perform(operation, f"{operation.person} (again)", self._connection(0))

    def do_together(self, *operations: Operation) -> tuple[Answer, ...]:
        """Ask for several operations at the same moment, each on a connection of its own."""
        self._begin()
        connections = [self._connection(number) for number in range(len(operations))]
        for connection in connections:
            try:
                connection.open(self._plan.timeout)
            except NoAnswerError:
                break  # it is tried once more below, where it is recorded
        asking = [
            gevent.spawn(
                self._perform, operation, _name_of(operation, number), connections[number], among_others=True
            )
            for number, operation in enumerate(operations)
        ]
        try:
            gevent.joinall(asking)
        finally:
            gevent.killall(asking)
        return tuple(each.get() for each in asking)

    def stop(self, force: bool = False) -> bool:
        """Stop, once the operation that is under way has been answered: its outcome would be lost else."""
        if force:
            self._leaving = True
            if not self._idle.is_set():
                self._idle.wait(2 * self._plan.timeout + GRACE)  # to connect, and to be answered
        return bool(super().stop(force=force))

    def on_stop(self) -> None:
        """Close the connections."""
        for connection in self._connections:
            connection.close()

    def _walk(self, steps: Steps) -> bool:
        """Do what is asked for, one step after the other; ``False`` when an outcome was unknown."""
        sent: Any = None
        while True:
            try:
                step = steps.send(sent)
            except StopIteration:
                return True
            if isinstance(step, tuple):
                sent = answers = self.do_together(*step)
            else:
                sent = self.do(step)
                answers = (sent,)
            if any(answer.outcome is Outcome.UNKNOWN for answer in answers):
                return False

    @property
    def _share(self) -> Share:
        return share_of(self.environment)

    @property
    def _plan(self) -> LoadPlan:
        plan = self._share.plan
        assert plan is not None  # noqa: S101  # there is one, once all is ready
        return plan

    def _begin(self) -> None:
        """Wait until something may be begun.

        :raises StopUser: when nothing may be begun any more.
        """
        share = self._share
        if not share.ready.is_set() and not share.ready.wait(READY) and not share.closing:
            share.trouble(f"buyers were not told what is on sale within {READY:g} s")
            raise StopUser
        if self._leaving or share.closing or not share.wait_for_room() or share.closing:
            raise StopUser
        if self._sale is None:
            self._sale = share.sale
        if self._origin is None:
            self._origin = self._target(self._plan.host or str(self.host))

    def _target(self, url: str) -> Origin:
        headers = {str(name): str(value) for name, value in (self.default_headers or {}).items()}
        if self.client.auth_header:
            headers["Authorization"] = self.client.auth_header
        return Origin(url, headers, self.ssl_context_factory or insecure_ssl_context_factory)

    def _connection(self, number: int) -> Connection:
        assert self._origin is not None  # noqa: S101  # made when it began
        while len(self._connections) <= number:
            self._connections.append(Connection(self._origin))
        return self._connections[number]

    def _perform(
        self, operation: Operation, client: str, connection: Connection, *, among_others: bool = False
    ) -> Answer:
        sale = self._sale
        assert sale is not None  # noqa: S101  # chosen when it began
        ids = sale.tickets.get(operation.ticket)
        if ids is None:
            valid = ", ".join(sale.tickets)
            raise ValueError(f"nothing named {operation.ticket!r} is on sale; there is: {valid}")
        operation = self._named.filled_in(operation)
        request = request_for(operation, ids)
        if request is None:
            moment = time.monotonic_ns()
            self._share.record(sale, client, operation, NOTHING_NAMED, moment, moment)
            return NOTHING_NAMED
        answer = self._run(Errand(sale, client, operation, ids, request, among_others), connection)
        self._named.remember(operation, answer)
        return answer

    def _run(self, errand: Errand, connection: Connection) -> Answer:
        """Send a request and record what came of it, whatever happens to this greenlet meanwhile."""
        answer, completed, size, failure = TAKEN_AWAY, None, 0, ""
        self._under_way += 1
        self._idle.clear()
        invoked = time.monotonic_ns()
        try:
            connection.open(self._plan.timeout)
            invoked = time.monotonic_ns()
            status, body = self._exchange(errand, connection)
            came, size = time.monotonic_ns(), len(body)
            answer = answer_of(errand.operation, errand.ids, errand.request, status, body)
            if answer.outcome is Outcome.UNKNOWN:
                failure = f"status {status}"
            else:
                completed = came
        except NoAnswerError as error:
            failure = str(error)
            answer = Answer(Outcome.UNKNOWN, detail=failure)
        finally:
            self._share.record(errand.sale, errand.client, errand.operation, answer, invoked, completed)
            self._under_way -= 1
            if not self._under_way:
                self._idle.set()
        self._tell_locust(errand, invoked, size, failure)
        return answer

    def _exchange(self, errand: Errand, connection: Connection) -> tuple[int, bytes]:
        request = errand.request
        body = None if request.body is None else json.dumps(request.body).encode()
        timeout = self._plan.timeout
        if self._luck is not None and self._happens(GIVES_UP):
            timeout = min(timeout, self._luck.uniform(0.001, IMPATIENCE))
        return connection.ask(request.method, request.path, body, timeout, among_others=errand.among_others)

    def _fickleness(self, visit: Visit) -> Random | None:
        """Return the luck of a fickle buyer, which is not that of their behaviour; ``None`` for others."""
        if not self._plan.fickle:
            return None
        return Random(f"{self._plan.seed} fickle {visit.person}")  # noqa: S311  # for choosing, not for secrets

    def _happens(self, chance: float) -> bool:
        """Say whether something happens that only happens to fickle buyers."""
        return self._luck is not None and self._luck.random() < chance

    def _tell_locust(self, errand: Errand, invoked: int, size: int, failure: str) -> None:
        """Have Locust count it, by its kind: a refusal is an answer, an unknown outcome a failure."""
        self.environment.events.request.fire(
            request_type=errand.request.method,
            name=kind_of(errand.operation),
            response_time=(time.monotonic_ns() - invoked) / 1e6,
            response_length=size,
            exception=UnknownOutcomeError(failure) if failure else None,
            context=self.context(),
        )


def _name_of(operation: Operation, number: int) -> str:
    """Return whose call it is in the history: nobody makes two at one time."""
    return f"{operation.person}/{number + 1}" if number else operation.person
