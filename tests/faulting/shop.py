"""A shop that writes down what its code saw, and a theatre with it on."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from harness.driving.guard import install, started
from harness.faulting.enumeration import Clean, cells
from harness.faulting.steps import step_of
from harness.faulting.theatre import House, ground_of
from harness.model import Phase, Program, Reserve, Scenario, TicketType
from harness.specimens._shop import Shop
from harness.specimens._statements import SOLD_OUT, insert_rsvp, take
from harness.wire import Kind, Statement

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import asyncpg

    from harness.faulting.performing import Performance, Theatre
    from harness.faulting.steps import SeenStep
    from harness.model import Answer, Injection, Target
    from harness.postgres import Server
    from harness.specimens._statements import Ticket


class WatchedShop(Shop):
    """Takes by itself, then writes the RSVP in a transaction: steps 1 and 2, then 3 and 4."""

    name = "watched"

    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []
        """Who, and what its code went through: the error's name, or ``done``."""

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        """Take, write, and say how it went."""
        try:
            if not await take(db, ticket, operation):
                return SOLD_OUT
            async with db.transaction():
                answer = await insert_rsvp(db, ticket, operation)
        except BaseException as error:
            self.seen.append((operation.person, getattr(error, "sqlstate", None) or type(error).__name__))
            raise
        self.seen.append((operation.person, "done"))
        return answer


def seen(
    sql: str, *, commits: bool = False, in_transaction: bool = False, kind: Kind = Kind.DATA
) -> SeenStep:
    """Return a statement as a step."""
    statement = Statement(session=1, number=1, sql=sql, kind=kind, point=True, in_transaction=in_transaction)
    return step_of(statement, number=1, pid=1, commits=commits)


def queue(buyers: int, stock: int) -> Scenario:
    """Return a scenario in which so many buy one each."""
    names = [f"buyer-{number + 1}" for number in range(buyers)]
    programs = tuple(Program(name, (Reserve(ticket="general", person=name),)) for name in names)
    return Scenario(
        name="queue",
        tickets=(TicketType(name="general", initial=stock),),
        phases=(Phase("buy", programs),),
    )


@contextlib.asynccontextmanager
async def house_of(server: Server, target: Target, folder: Path) -> AsyncIterator[House]:
    """Yield a house on a database of its own."""
    template = await server.create_template(lambda url: install(target, url), label="faults")
    async with (
        server.clone(template, "faults") as url,
        House(
            url,
            lambda url: started(target, url, folder),
            ground_of(target),
            None,
            10.0,
            install=lambda url: install(target, url),
        ) as house,
    ):
        yield house


async def cell(theatre: Theatre, scenario: Scenario, fault: str, step: int) -> Injection:
    """Return the cell of a fault at a step of the first buyer's request."""
    plain = await theatre.perform(scenario)
    todo = cells(Clean(plain=plain, keyed=None), theatre.faults, theatre.ground)
    wanted = [each for each in todo if (each.fault, each.step, each.client) == (fault, step, "buyer-1")]
    assert len(wanted) == 1, f"no cell for {fault} at step {step}"
    return wanted[0]


async def broken(theatre: Theatre, scenario: Scenario, fault: str, step: int) -> Performance:
    """Run a scenario with a fault at a step of the first buyer's request."""
    injection = await cell(theatre, scenario, fault, step)
    performance = await theatre.perform(scenario, (injection,))
    assert performance.fired == (injection,)
    return performance
