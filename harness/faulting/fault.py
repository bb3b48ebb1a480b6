"""What a fault is, and what it is given to work with: the protocol by which one more is added.

A fault is one object with a name. It is asked whether it makes sense at a step (:meth:`Fault.applies`),
whether it can be done to a target at all (:meth:`Fault.impossible`), and, when the step has come and
everything stands still, to do its work (:meth:`Fault.fire`). It answers with what becomes of the step itself:
a decision for the proxy. Whatever it does besides goes through the :class:`Situation`.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from enum import IntEnum, auto
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Sequence
    from typing import Any

    from harness.faulting.steps import Request, SeenStep
    from harness.faulting.watch import Watch
    from harness.model import Books, Client, Feature, Operation, Running
    from harness.postgres.embedded import Postmaster
    from harness.wire import Decision


@dataclass(frozen=True, slots=True)
class Ground:
    """What is known of a target before anything is broken."""

    supports: frozenset[Feature]
    own_process: bool
    """It runs in a process of its own; otherwise its clients live in ours."""
    keys: bool = False
    """Its clients can send an idempotency key."""
    concurrent: bool = False
    """It can be started several times at once."""
    own_server: bool = False
    """There can be a Postgres of the engine's own, to go down and come back."""
    pooler: bool = False
    """There is a PgBouncer to be put before Postgres."""
    through_pooler: str = ""
    """What the target's driver is told there, as parameters of its URL: ``statement_cache_size=0``."""
    process: bool = False
    """It gives us its process to kill and to stop; known once it runs."""


@dataclass(slots=True, kw_only=True)
class Situation:
    """A step that has come, while its request stands still: what a fault may do about it."""

    ground: Ground
    step: SeenStep
    request: Request
    client: Client
    """The broken request's own."""
    running: Running
    database: str
    """URL of the database itself, for connections of our own beside the proxy."""
    books: Callable[[], Awaitable[Books]]
    """Read what the target shows by now."""
    watch: Watch
    """What Postgres says of its sessions."""
    others: Callable[[Sequence[int]], Awaitable[None]]
    """Let the other programs of the phase run, until they are done, or wait for this one or for one of these
    backends."""
    send: Callable[[Operation], Awaitable[None]]
    """Send one more request as the same client, over another connection, until it is done or waits for this
    one."""
    later: Callable[[Coroutine[Any, Any, None], Callable[[], None]], None]
    """Have something done once the step goes on; whatever becomes of it, the second is called at its end."""
    done: Callable[[], bool]
    """Say whether the step has gone on, and Postgres is done with it."""
    distrust: Callable[[], Callable[[], None]]
    """From now on a refusal counts as one for a passing reason, whoever gets it; until what is returned is
    called."""
    fall: Callable[[Callable[[Postmaster], Awaitable[None]]], Awaitable[None]]
    """Have Postgres go down in this way and come back; every connection is made anew. For faults that are
    :attr:`Place.OWN_SERVER`."""
    restart: Callable[[], Awaitable[None]]
    """Kill the target's process and start it again; every client connects anew."""

    def leave(self, why: str) -> None:
        """Let the client go away. What it asked for may go on without it."""
        self.request.give_up(why)

    def die(self) -> None:
        """Let whoever serves the request die at this step: nothing of it is ever gone on with."""
        self.request.dead = True
        self.request.give_up("whoever served it died")

    async def hang_up_if_apart(self) -> None:
        """Break the client's own connection to a target that runs elsewhere, and let that notice.

        Where the client lives in our process, its connection is the target's own, and nobody but us listens.
        """
        if self.ground.own_process:
            self.client.abandon()
            await asyncio.sleep(_NOTICED)


_NOTICED = 0.01
"""Seconds in which a server notices that a client has gone."""


class Turn(IntEnum):
    """When a fault has its turn."""

    FIRST = auto()
    """At every step before anything else is fired: it costs little with a right target, and shows much."""
    SECOND = auto()
    """At every step after those: the mistakes that are made most."""
    MIDDLE = auto()
    """At each step in the order of the columns."""
    LAST = auto()
    """At every step once everything else was fired: it costs much."""


class Place(IntEnum):
    """On which stage a fault is fired."""

    HERE = auto()
    """On the database given."""
    OWN_SERVER = auto()
    """On a Postgres of the engine's own, with fsync on: it goes down."""
    POOLED = auto()
    """On the database given, behind a pooler: the step's transaction came in another session than those
    before it, which others are given now."""


class Fault(Protocol):
    """Something that breaks."""

    @property
    def name(self) -> str:
        """What the table calls it."""

    @property
    def turn(self) -> Turn:
        """When it is fired, where the time may not do for all."""

    @property
    def keyed(self) -> bool:
        """The request is sent with an idempotency key, and its repeats with the same."""

    @property
    def place(self) -> Place:
        """On which stage it is fired."""

    @property
    def alone(self) -> bool:
        """It is about one request whose client, whose server or whose neighbours are known: under load nobody
        can tell them apart."""

    def impossible(self, ground: Ground) -> str | None:
        """Return why this cannot be done to such a target; ``None`` when it can."""

    def applies(self, step: SeenStep) -> bool:
        """Say whether there is such a fault at such a step."""

    def tell(self, step: str, *, commits: bool) -> str:
        """Return what broke, in words that go on with *while buyer-1 reserved*.

        :param step: what the statement is about, in short.
        :param commits: the step is its commit.
        """

    async def fire(self, situation: Situation) -> Decision:
        """Break it, and return what becomes of the step."""


@dataclass(frozen=True, slots=True)
class Anywhere:
    """What most faults have in common: they can be done to any target at any step."""

    turn: Turn = Turn.MIDDLE
    keyed: bool = False
    place: Place = Place.HERE
    alone: bool = False

    def impossible(self, ground: Ground) -> str | None:  # noqa: ARG002  # some ask for something of it
        """Find nothing in the way."""
        return None

    def applies(self, step: SeenStep) -> bool:  # noqa: ARG002  # some look at it
        """Happen at any step."""
        return True
