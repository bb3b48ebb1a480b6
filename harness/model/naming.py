"""What the target called things: filled into the operations that come back to them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from harness.model.operations import Cancel, Confirm, Hold, Refund, Release, Reserve, ReserveGroup

if TYPE_CHECKING:
    from harness.model.answers import Answer
    from harness.model.operations import Operation


@dataclass(slots=True)
class Named:
    """What was answered so far: reservations and holds, by ticket type and person, as answered last."""

    reservations: dict[tuple[str, str], str] = field(default_factory=dict)
    holds: dict[tuple[str, str], str] = field(default_factory=dict)

    def filled_in(self, operation: Operation) -> Operation:
        """Return the operation with the name of what it is about, where an answer gave one."""
        match operation:
            case Cancel(reservation=None, ticket=ticket, person=person, whose=whose):
                return replace(operation, reservation=self.reservations.get((ticket, whose or person)))
            case Refund(reservation=None, ticket=ticket, person=person):
                return replace(operation, reservation=self.reservations.get((ticket, person)))
            case (
                Confirm(hold=None, ticket=ticket, person=person)
                | Release(hold=None, ticket=ticket, person=person)
            ):
                return replace(operation, hold=self.holds.get((ticket, person)))
        return operation

    def remember(self, operation: Operation, answer: Answer) -> None:
        """Keep the names that an answer gave."""
        match operation:
            case Reserve() | Confirm() if answer.reservation is not None:
                self.reservations[operation.ticket, operation.person] = answer.reservation
            case Hold() if answer.reservation is not None:
                self.holds[operation.ticket, operation.person] = answer.reservation
            case ReserveGroup():
                for member, name in zip(operation.members, answer.group, strict=False):
                    self.reservations[operation.ticket, member] = name
