"""The gateway: any running target, served under the contract of ``docs/service.md``.

A swarm speaks HTTP. Targets that do not are served here, in the engine's process: each request becomes one
operation on a client of a pool. The pool is the only thing between a buyer and the target, so as many
operations are under way at a time as there are clients, and whatever goes wrong between them goes wrong here
as well.

A request says less than an operation; :mod:`harness.swarming.known_sales` knows the rest. A buyer who goes
away changes nothing: what was asked for runs to its end, or to its time-out. Then the client is abandoned and
replaced, and the outcome is unknown.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from harness.contract.serving import Refusal, availability, operation_of, response_of
from harness.driving.program import describe
from harness.model import Outcome, ReadAvailability, not_offered
from harness.model.operations import features_of
from harness.swarming.http import LARGEST_BODY, serving
from harness.swarming.known_sales import KnownSales
from harness.swarming.pool import Pool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from harness.contract.serving import Asked, Response
    from harness.load.plan import Tickets
    from harness.model import Feature, Running, TicketType
    from harness.swarming.http import Request

TIMEOUT = 10.0
"""Seconds a request waits for a client, and again seconds for the target's answer."""

_HEALTHY: Response = (200, {"success": True})
_TOO_LARGE = Refusal(413, "too_large", f"A body has at most {LARGEST_BODY} bytes.")
_ENDED = Refusal(500, "outcome_unknown", "The load has ended: this may or may not have been done.")


@contextlib.asynccontextmanager
async def gateway(
    running: Running, supports: frozenset[Feature], *, clients: int, timeout: float = TIMEOUT
) -> AsyncIterator[Gateway]:
    """Serve a running target on this machine for the length of a block.

    :param running: guarded, see :mod:`harness.driving.guard`.
    :param supports: what the target can do; the rest is refused as not offered.
    :param clients: how many operations may be under way at a time.
    :param timeout: seconds for a client to come free, and again seconds for an answer.
    :raises TargetFailedError: when a client cannot be connected.
    """
    pool = Pool(running, timeout)
    try:
        await pool.fill(clients)
        served = Gateway(supports, pool)
        async with serving(served.answer) as served.url:
            yield served
    finally:
        pool.abandon()


class Gateway:
    """The HTTP side of a target, which knows the sales that are on."""

    def __init__(self, supports: frozenset[Feature], pool: Pool) -> None:
        self.url = ""
        """Where it is, without a slash at the end; empty until it is somewhere."""
        self._supports = supports
        self._pool = pool
        self._sales = KnownSales()

    @property
    def fault(self) -> str | None:
        """Say why the target takes no new client, if that is so at this moment."""
        return self._pool.fault

    def opened(self, number: int, sale: Any, tickets: Sequence[TicketType]) -> Tickets:
        """Let buyers visit a sale that the target has opened.

        :param number: the sale's number in the run.
        :param sale: what the target's ``open_sale`` returned.
        :returns: the ids of event and ticket type under which it is asked for, by the ticket type's name.
        """
        return self._sales.opened(number, sale, tickets)

    async def answer(self, request: Request) -> Response:
        """Do what a request asks for. When that is cancelled, it is not known what became of it."""
        try:
            return await self._answer(request)
        except asyncio.CancelledError:
            return _ENDED.response
        except Exception as error:
            # A bug of ours, or of a target's that is not guarded. It may have been done.
            return Refusal(500, "internal", describe(error)).response

    async def _answer(self, request: Request) -> Response:
        if len(request.body) > LARGEST_BODY:
            return _TOO_LARGE.response
        if request.path == "/healthz":
            return _HEALTHY
        asked = operation_of(request.method, request.path, request.query, request.body)
        return asked.response if isinstance(asked, Refusal) else await self._perform(asked)

    async def _perform(self, asked: Asked) -> Response:
        """Have done what is asked for, if there is such a thing and it is offered."""
        found = self._sales.find(asked)
        if isinstance(found, Refusal):
            return found.response
        operations = tuple(found.operations.values())
        if not all(features_of(operation) <= self._supports for operation in operations):
            return response_of(asked, not_offered(operations[0]))
        answers = await self._pool.perform(found.sale.sale, operations)
        for operation, answer in zip(operations, answers, strict=False):
            found.sale.note(operation, answer)
        if answers[-1].outcome is Outcome.ACCEPTED and isinstance(asked.operation, ReadAvailability):
            return availability(
                {ticket: each.remaining for ticket, each in zip(found.operations, answers, strict=True)}
            )
        return response_of(asked, answers[-1])
