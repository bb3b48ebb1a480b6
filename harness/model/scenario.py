"""Scenarios: stock, programs, and the laws that must hold. *What* happens, never how it is driven."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.model.answers import Outcome
from harness.model.operations import Feature, Operation, fault_of, features_of

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True, kw_only=True)
class TicketType:
    """Something that can be bought, and how much of it there is."""

    name: str
    initial: int
    event: str = "event"
    """Ticket types of one event share its rule of one RSVP per person."""
    closed: bool = False
    """The purchase deadline has already passed."""

    def __post_init__(self) -> None:
        """Refuse stock that cannot be.

        :raises ValueError: when the name is empty or the quantity negative.
        """
        if not self.name or self.initial < 0:
            raise ValueError(f"a ticket type needs a name and a quantity of at least 0, not {self!r}")


@dataclass(frozen=True, slots=True)
class Program:
    """One client's operations, in its order."""

    client: str
    operations: tuple[Operation, ...]


@dataclass(frozen=True, slots=True)
class Phase:
    """Programs that run at the same time. The next phase starts when all of them have ended."""

    title: str
    programs: tuple[Program, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """Stock, programs and laws in one value."""

    tickets: tuple[TicketType, ...]
    phases: tuple[Phase, ...]
    laws: tuple[str, ...] | None = None
    """Names of the laws that must hold; ``None`` means all of them."""
    reaches: frozenset[Outcome] = frozenset()
    """Outcomes without which the interesting state was never reached, so that a pass says nothing."""
    free: bool = False
    """Engines that draw their own programs may use every operation that the target supports; otherwise only
    those kinds that the programs here use."""
    name: str = ""
    """Filled in from the file's name."""
    doc: str = ""
    """Filled in from the file's docstring."""

    def __post_init__(self) -> None:
        """Refuse scenarios that contradict themselves.

        :raises ValueError: when ticket names or client names of one phase repeat, an operation names a
            ticket that is not in stock or holds what does not belong there, or there is nothing to do.
        """
        stock = [ticket.name for ticket in self.tickets]
        _refuse_repeats("ticket type", stock)
        if not any(program.operations for program in self.programs()):
            raise ValueError("a scenario needs at least one operation")
        for phase in self.phases:
            _refuse_repeats(
                f"client of phase {phase.title!r}", [program.client for program in phase.programs]
            )
        for operation in self.operations():
            if fault := fault_of(operation):
                raise ValueError(fault)
            if operation.ticket not in stock:
                raise ValueError(
                    f"{operation!r} names a ticket that is not in stock; stock: {', '.join(stock)}"
                )

    def programs(self) -> Iterable[Program]:
        """Yield every program of every phase."""
        for phase in self.phases:
            yield from phase.programs

    def operations(self) -> Iterable[Operation]:
        """Yield every operation, phase by phase and client by client."""
        for program in self.programs():
            yield from program.operations

    @property
    def needs(self) -> frozenset[Feature]:
        """What a target must support to be driven through this scenario."""
        needed = {feature for operation in self.operations() for feature in features_of(operation)}
        if any(ticket.closed for ticket in self.tickets):
            needed.add(Feature.DEADLINE)
        return frozenset(needed)

    @property
    def crowd(self) -> int:
        """The largest number of clients that act at once."""
        return max(len(phase.programs) for phase in self.phases)

    def ticket(self, name: str) -> TicketType:
        """Return the ticket type of that name.

        :raises KeyError: when there is none.
        """
        return {ticket.name: ticket for ticket in self.tickets}[name]


def _refuse_repeats(kind: str, names: list[str]) -> None:
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ValueError(f"two of one name ({kind}): {', '.join(repeated)}")
