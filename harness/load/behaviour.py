"""What a buyer does on one visit, as a pure generator: it yields operations and is sent answers.

So a behaviour knows neither Locust nor HTTP, and can be tried without either::

    def _visit(visit: Visit) -> Steps:
        answer = yield Reserve(ticket=visit.ticket, person=visit.person)
        if answer.outcome is Outcome.ACCEPTED: ...

Yielding several operations in one tuple asks for them at the same moment, on connections of their own; what
is sent back is then a tuple of answers in the same order.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from harness.catalogue import Catalogue
from harness.errors import UsageError
from harness.model import Feature

if TYPE_CHECKING:
    from collections.abc import Iterable
    from random import Random

    from harness.model import Operation

Steps: TypeAlias = "Generator[Operation | tuple[Operation, ...], Any, None]"
"""Operations out, answers in. A visit ends early when an outcome is unknown."""

ONLY_BY_NAME = frozenset(Feature)
"""What no scenario needs: a behaviour that fits this much comes only where it is named."""


@dataclass(frozen=True, slots=True)
class Visit:
    """Who comes, and for what."""

    ticket: str
    """The scenario's name of a ticket type that is on sale."""
    person: str
    """Nobody else in the run has this name, nor one that begins with it and a full stop."""
    luck: Random
    """Seeded by the run's seed, the worker and the visit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """Something that buyers do."""

    name: str
    doc: str
    needs: frozenset[Feature]
    """What the target must support."""
    fits: frozenset[Feature]
    """It belongs to scenarios that need all of these, and is left out of others unless it is named."""
    visit: Callable[[Visit], Steps]


BEHAVIOURS: Catalogue[Behaviour] = Catalogue("behaviour", "harness.load.behaviours", "BEHAVIOUR")


def behaviours_for(needs: frozenset[Feature], supports: frozenset[Feature]) -> dict[str, int]:
    """Return the behaviours that fit a scenario, each with weight 1, in alphabetical order.

    :param needs: what the scenario needs.
    :param supports: what the target can do.
    """
    return {
        behaviour.name: 1
        for behaviour in BEHAVIOURS.entries.values()
        if behaviour.fits <= needs and behaviour.needs <= supports
    }


def weights_of(words: Iterable[str], option: str) -> dict[str, int]:
    """Return the weight of each behaviour that was named: ``NAME``, or ``NAME=WEIGHT``.

    :param option: where it was named, for messages.
    :raises UsageError: when there is no such behaviour, it is named twice, or its weight is no whole number
        from 1.
    """
    found: dict[str, int] = {}
    for word in words:
        name, equals, weight = (part.strip() for part in word.partition("="))
        if BEHAVIOURS.get(name).name in found:
            raise UsageError(f"{option} names {name} twice. Give it one weight: {name}=2")
        if equals and not (weight.isascii() and weight.isdecimal() and int(weight) > 0):
            raise UsageError(
                f"{option}: {weight!r} is no weight; valid: a whole number from 1, as in {name}=2"
            )
        found[name] = int(weight or 1)
    return found
