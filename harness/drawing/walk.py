"""A walk: one example, phase after phase on an open sale, with everything needed to walk it again."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from harness.drawing.switches import SwitchChooser
from harness.exploring.replaying import first_difference, steps_of
from harness.model import Phase

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.drawing.switches import Switch
    from harness.exploring.conflicts import Isolation
    from harness.exploring.stage import Ran, Session, Stage
    from harness.model import Evidence, Program, Scenario, Step

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
    watched: bool = False
    """Have every phase under a schedule, to see its steps; else only those in which somebody is left for
    another, since the others need none and are done in half the time."""
    phases: list[DrawnPhase] = field(default_factory=list)
    ran: list[Ran | None] = field(default_factory=list)
    """By phase what it did, where that was seen."""
    evidence: Evidence | None = None
    """What there is to judge after the last phase."""
    _session: Session | None = None

    @property
    def key(self) -> tuple[DrawnPhase, ...]:
        """What was drawn."""
        return tuple(self.phases)

    @property
    def drawn(self) -> Scenario:
        """What was drawn and has run, as a scenario."""
        ran = self.phases[: max(1, len(self.ran))]
        phases = tuple(Phase(f"step {number}", phase.programs) for number, phase in enumerate(ran, start=1))
        return replace(self.scenario, phases=phases)

    async def run(self, drawn: Sequence[DrawnPhase]) -> Evidence:
        """Run what was drawn as far as it has not run, and return everything there is to judge by now.

        Where clients overtake each other in a line, which Postgres allows, the schedule says nothing; then
        the example is begun anew, on a fresh sale.
        """
        self.phases = list(drawn)
        for _ in range(_ATTEMPTS):
            await self._catch_up()
            if not any(ran.overtaken for ran in self.seen):
                break
            self._session = None
            self.ran.clear()
        else:
            await self._catch_up()
        return self.last_evidence

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
            ran.trace.chosen if ran is not None and phase.switches else ()
            for phase, ran in zip(self.phases[:-1], self.ran, strict=False)
        )

    @property
    def seen(self) -> Sequence[Ran]:
        """What was seen of the phases that ran under a schedule."""
        return [ran for ran in self.ran if ran is not None]

    @property
    def stuck(self) -> bool:
        """Whether nobody could go on."""
        return any(ran.stuck for ran in self.seen)

    async def _catch_up(self) -> None:
        """Run the phases that have not run on the present sale, each until everything is quiet."""
        session = self._session or await self.stage.open(self.scenario.tickets, self.isolation)
        self._session = session
        for phase in self.phases[len(self.ran) :]:
            ran = None
            if phase.switches or self.watched:
                clients = [program.client for program in phase.programs]
                chooser = SwitchChooser(clients, phase.switches)
                ran = await session.under_schedule(phase.programs, chooser)
            else:
                await session.alone(phase.programs)
            self.ran.append(ran)
            self.evidence = await session.evidence(self.drawn)


def difference(before: Walk, now: Walk) -> str:
    """Say what another walk through the same example did differently; empty when nothing.

    Where luck chose an order, in a line for a lock or outside of Postgres, a difference says nothing. Nor
    does it where every client did the same and was told the same, only sooner or later beside the others:
    that is how busy the machine was.
    """
    if any(ran.overtaken or ran.outside or ran.unordered for ran in (*before.seen, *now.seen)):
        return ""
    for one, other in zip(before.ran, now.ran, strict=False):
        if one is not None and other is not None:
            was, is_ = _by_client(one), _by_client(other)
            changes = (first_difference(was.get(each, ()), is_.get(each, ())) for each in {**was, **is_})
            found = next(filter(None, changes), "")
            if found:
                return found
    told, tells = _answers(before.last_evidence), _answers(now.last_evidence)
    changed = [client for client in told if told[client] != tells.get(client)]
    if not changed:
        return ""
    client = changed[0]
    return f"{client} was told {', '.join(told[client])}, and is told {', '.join(tells.get(client, ()))}"


def _by_client(ran: Ran) -> Mapping[str, Sequence[Step]]:
    """Return what each client did, in its order."""
    did: dict[str, list[Step]] = {}
    for step in steps_of(ran.trace):
        did.setdefault(step.client, []).append(step)
    return did


def _answers(evidence: Evidence) -> dict[str, tuple[str, ...]]:
    """Return what each client was told, in its order."""
    told: dict[str, tuple[str, ...]] = {}
    for call in evidence.history:
        told[call.client] = (*told.get(call.client, ()), call.outcome.value)
    return told
