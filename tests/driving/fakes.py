"""A target in memory: the sequential specification behind the target protocol, and ways to spoil it."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.driving.scenarios import ScenarioFile
from harness.model import Answer, Feature, Outcome, Phase, Program, Reserve, Scenario, TicketType
from harness.model.sequential import State, opening
from tests.turns import next_turn

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from harness.model import Books, Gate, Operation
    from harness.model.events import Event

    Behaviour = Callable[["MemoryClient", "Sale", Operation], Awaitable[Any]]

BUY = Reserve(ticket="general", person="ada")
ACCEPTED = Answer(Outcome.ACCEPTED, reservation="1")


def rush(buyers: int = 2, stock: int = 1, name: str = "rush", **more: Any) -> Scenario:
    """Return the smallest scenario worth the name."""
    people = [f"buyer-{number + 1}" for number in range(buyers)]
    programs = tuple(Program(name, (Reserve(ticket="general", person=name),)) for name in people)
    return Scenario(
        name=name,
        tickets=(TicketType(name="general", initial=stock),),
        phases=(Phase("rush", programs),),
        **more,
    )


def as_file(scenario: Scenario) -> ScenarioFile:
    """Return the scenario as if it had been read from a file; its crowd is what it is."""
    return ScenarioFile(
        name=scenario.name,
        doc=scenario.doc,
        path=Path(f"{scenario.name}.py"),
        buyers=scenario.crowd,
        make=lambda _: scenario,
    )


async def for_ever() -> None:
    """Never return; can be cancelled."""
    await asyncio.Event().wait()


@dataclass
class Sale:
    """The state of one sale."""

    state: State


async def as_specified(_: MemoryClient, sale: Sale, operation: Operation) -> Answer:
    """Serve one operation as the specification says."""
    sale.state, answer = sale.state.apply(operation)
    await next_turn()
    return answer


async def oversell(_: MemoryClient, sale: Sale, operation: Operation) -> Answer:
    """Serve every buyer as if the stock were as large as the crowd, and show the books of that."""
    plenty = tuple(TicketType(name=ticket.name, initial=99) for ticket in sale.state.tickets)
    after, answer = replace(sale.state, tickets=plenty).apply(operation)
    sale.state = replace(after, tickets=sale.state.tickets)
    await next_turn()
    return answer


@dataclass
class MemoryClient:
    """A buyer's connection that counts what is done to it."""

    behave: Behaviour = as_specified
    abandoned: int = 0
    closed: int = 0

    async def perform(self, sale: Any, operation: Operation, gate: Gate) -> Answer:
        await gate()
        answer: Answer = await self.behave(self, sale, operation)
        return answer

    async def close(self) -> None:
        self.closed += 1

    def abandon(self) -> None:
        self.abandoned += 1


@dataclass
class MemoryTarget:
    """A target without a database, spoiled wherever a test says so."""

    behave: Behaviour = as_specified
    supports: frozenset[Feature] = frozenset(Feature)
    name: str = "memory"
    clients: list[MemoryClient] = field(default_factory=list)
    stopped: int = 0

    async def install(self, _: str) -> None:
        """Load nothing."""

    @contextlib.asynccontextmanager
    async def start(self, _database: str, _folder: Path) -> AsyncIterator[MemoryRunning]:
        try:
            yield MemoryRunning(self)
        finally:
            self.stopped += 1


@dataclass
class MemoryRunning:
    """The target at work."""

    target: MemoryTarget

    async def connect(self, _: str) -> MemoryClient:
        self.target.clients.append(MemoryClient(self.target.behave))
        return self.target.clients[-1]

    async def open_sale(self, tickets: Sequence[TicketType]) -> Sale:
        return Sale(opening(tickets))

    async def books(self, sale: Sale) -> Books:
        return sale.state.books()


@dataclass
class Heard:
    """A listener that keeps everything."""

    events: list[Event] = field(default_factory=list)
    first: dict[type, asyncio.Event] = field(default_factory=dict)
    """Set once an event of that kind was heard, where somebody waits for it."""

    def __call__(self, event: Event) -> None:
        self.events.append(event)
        if type(event) in self.first:
            self.first[type(event)].set()

    async def hear(self, kind: type) -> None:
        """Wait until an event of that kind is heard."""
        heard = self.first.setdefault(kind, asyncio.Event())
        if not self.of(kind):
            await heard.wait()

    def of(self, kind: type) -> list[Any]:
        """Return the events of one kind."""
        return [event for event in self.events if isinstance(event, kind)]
