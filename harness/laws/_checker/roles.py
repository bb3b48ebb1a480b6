"""What the calls of a few people can have done, whatever became of everybody else's.

Where a person's calls overlap, or their outcome is unknown and more calls follow, what each of them did to
the number of units that remain is not plain from the answers. Here the specification is asked, with so much
stock that there is always enough: every order of these people's calls that explains their answers is looked
at, and what each call does in any of them is noted.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeAlias

from harness.model.answers import Outcome
from harness.model.history import NEVER
from harness.model.sequential import opening

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from harness.model.evidence import Call
    from harness.model.scenario import TicketType
    from harness.model.sequential import State

PLENTY = 1 << 40
"""Units of a ticket type that are always enough."""
_NODES = 4000
"""How many pairs of placed calls and state are looked at before the answer is that it is too much."""


@dataclass(frozen=True, slots=True)
class Step:
    """A call, and what is known of it."""

    call: Call
    invoked: int
    ended: int
    """:data:`NEVER` when it need not have happened."""
    change: int | None = None
    """By how much it is to have changed what remains; ``None`` for whatever it can have."""


@dataclass(slots=True)
class Role:
    """What one call can have done."""

    changes: set[int] = field(default_factory=set)
    """By how much it can have changed the number of units that remain of its ticket type."""
    until: int = 0
    """Until when it can have done so: something unknown may have to have happened by some answer."""


class TooManyError(Exception):
    """These people's calls can be ordered in too many ways."""


_Node: TypeAlias = "tuple[int, State]"
"""Which calls are placed, and the state."""
_Edge: TypeAlias = "tuple[_Node, int, int, int]"
"""The node before, the call that was placed, its change, and by when something else had to be placed."""


def roles(tickets: Iterable[TicketType], steps: Sequence[Step]) -> list[Role] | None:
    """Return what each call can have done, or ``None`` when no order explains their answers.

    :param steps: all the calls of people who share nothing with others but the stock.
    :raises TooManyError: when there are too many orders.
    """
    start = (0, opening(replace(ticket, initial=PLENTY) for ticket in tickets))
    must = sum(1 << at for at, step in enumerate(steps) if step.ended < NEVER)
    before: dict[_Node, list[_Edge]] = {start: []}
    stack = [start]
    whole: list[_Node] = []
    while stack:
        node = stack.pop()
        placed, state = node
        if placed & must == must:
            whole.append(node)
        limit = min((step.ended for at, step in enumerate(steps) if not placed >> at & 1), default=NEVER)
        for at, step in enumerate(steps):
            if placed >> at & 1 or step.invoked >= limit:
                continue
            for after, change in _followed(state, step):
                there = (placed | 1 << at, after)
                if there not in before:
                    before[there] = []
                    stack.append(there)
                before[there].append((node, at, change, limit))
        if len(before) > _NODES:
            raise TooManyError
    return _read_off(before, whole, steps) if whole else None


def _followed(state: State, step: Step) -> Iterator[tuple[State, int]]:
    """Yield the states after a call, and by how much it changed what remains."""
    operation, answer = step.call.operation, step.call.answer
    for after in state.follow(operation, answer):
        change = after.remaining(operation.ticket) - state.remaining(operation.ticket)
        nothing = answer.outcome is Outcome.UNKNOWN and after == state
        if not nothing and step.change in (None, change):
            yield after, change


def _read_off(
    before: Mapping[_Node, list[_Edge]], whole: Iterable[_Node], steps: Sequence[Step]
) -> list[Role]:
    """Go back from where everything is explained, and note what each call did on the way."""
    found = [Role() for _ in steps]
    for placed, _ in whole:
        for at, role in enumerate(found):
            if not placed >> at & 1:
                role.changes.add(0)
    reached = set(whole)
    stack = list(reached)
    while stack:
        for node, at, change, limit in before[stack.pop()]:
            found[at].changes.add(change)
            found[at].until = max(found[at].until, min(limit, steps[at].ended))
            if node not in reached:
                reached.add(node)
                stack.append(node)
    return found
