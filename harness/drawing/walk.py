"""A walk: one example, phase after phase on an open sale, with everything needed to walk it again."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from harness.drawing.switches import SwitchChooser
from harness.model import Outcome, Phase

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.drawing.switches import Switch
    from harness.exploring.conflicts import Isolation
    from harness.exploring.stage import Ran, Session, Stage
    from harness.model import Evidence, Program, Scenario

_ATTEMPTS = 3
"""How often an example is begun anew because clients overtook each other in a line."""


@dataclass(frozen=True, slots=True)
class DrawnPhase:
    """Programs that run at the same time, and the schedule they run under."""

    programs: tuple[Program, ...]
    switches: tuple[Switch, ...]


@dataclass(slots=True)
class Walk:
    """See the module."""

    stage: Stage
    scenario: Scenario
    """What is judged: its stock, scaled down, and its laws. Its phases give way to those that were drawn."""
    isolation: Isolation
    phases: list[DrawnPhase] = field(default_factory=list)
    ran: list[Ran] = field(default_factory=list)
    evidence: Evidence | None = None
    """What there is to judge after the last phase."""
    _session: Session | None = None

    @property
    def key(self) -> tuple[DrawnPhase, ...]:
        """What was drawn."""
        return tuple(self.phases)

    @property
    def drawn(self) -> Scenario:
        """What was drawn, as a scenario."""
        phases = tuple(
            Phase(f"step {number}", phase.programs) for number, phase in enumerate(self.phases, start=1)
        )
        return replace(self.scenario, phases=phases)

    async def run(self, drawn: Sequence[DrawnPhase]) -> Evidence:
        """Run what was drawn as far as it has not run, and return everything there is to judge by now.

        Where clients overtake each other in a line, which Postgres allows, the schedule says nothing; then
        the example is begun anew, on a fresh sale.
        """
        self.phases = list(drawn)
        for _ in range(_ATTEMPTS):
            await self._catch_up()
            if not any(ran.overtaken for ran in self.ran):
                break
            self._session = None
            self.ran.clear()
        else:
            await self._catch_up()
        self.evidence = await self._opened().evidence(self.drawn)
        return self.evidence

    @property
    def last_evidence(self) -> Evidence:
        """What there is to judge, once something has run."""
        if self.evidence is None:
            raise AssertionError("nothing has run")
        return self.evidence

    @property
    def earlier(self) -> tuple[tuple[str, ...], ...]:
        """For each phase but the last who was let go, in order; nobody where none was left for another."""
        return tuple(
            ran.trace.chosen if phase.switches else ()
            for phase, ran in zip(self.phases[:-1], self.ran, strict=False)
        )

    @property
    def stuck(self) -> bool:
        """Whether nobody could go on."""
        return any(ran.stuck for ran in self.ran)

    async def _catch_up(self) -> None:
        """Run the phases that have not run on the present sale."""
        if self._session is None:
            self._session = await self.stage.open(self.scenario.tickets, self.isolation)
        for phase in self.phases[len(self.ran) :]:
            clients = [program.client for program in phase.programs]
            chooser = SwitchChooser(clients, phase.switches)
            self.ran.append(await self._session.under_schedule(phase.programs, chooser))

    def _opened(self) -> Session:
        if self._session is None:
            raise AssertionError("a phase has run")
        return self._session


def overlapping(evidence: Evidence) -> int:
    """Return in how many phases two requests were under way at the same time."""
    found = 0
    for number in range(len(evidence.scenario.phases)):
        calls = [call for call in evidence.history if call.phase == number]
        found += any(one.overlaps(other) for at, one in enumerate(calls) for other in calls[:at])
    return found


def contenders(evidence: Evidence) -> int:
    """Return how many pairs of overlapping calls wanted units of a ticket type of which too few remained."""
    wanted = [call for call in evidence.history if call.outcome in (Outcome.ACCEPTED, Outcome.SOLD_OUT)]
    return sum(
        Outcome.SOLD_OUT in (one.outcome, other.outcome)
        and Outcome.ACCEPTED in (one.outcome, other.outcome)
        and one.operation.ticket == other.operation.ticket
        and one.overlaps(other)
        for at, one in enumerate(wanted)
        for other in wanted[:at]
    )


def sold_out(evidence: Evidence) -> int:
    """Return how often a ticket type that is on sale ran out of stock, by the states that were seen."""
    times = 0
    for ticket in evidence.scenario.tickets:
        before = ticket.initial
        for books in evidence.every_state():
            for stock in books.stock:
                if stock.ticket == ticket.name and not ticket.closed:
                    left = stock.remaining
                    if left is None:
                        left = stock.initial - (books.sold(stock) or 0) - stock.held
                    times += left <= 0 < before
                    before = left
    return times


def answers(evidence: Evidence) -> Sequence[tuple[str, int, Outcome]]:
    """Return what each client was told, in its order."""
    return sorted(
        ((call.client, call.phase, call.outcome) for call in evidence.history),
        key=lambda told: told[:2],
    )
