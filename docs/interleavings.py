"""The shortest interleaving that shows each mistake, taken from a real run and kept as data.

``python docs/generate.py --interleavings`` explores every wrong specimen in the scenario that it claims, with
two buyers (three, where two show nothing), makes the first schedule small that breaks a law it claims to
break, and writes what came of it to ``interleavings.json``. From that the page of the specimens is made, and
needs no database. ``--only NAME``, repeatable, does so for some and leaves the rest of the file as it is.

No time, no id and no order of a set is in the file: whoever does it again gets the same, and a test does for
a few. What the run decides may differ: whom Postgres ends in a deadlock, the order of random ids, and what
happens by the clock or after the answer.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from docs.generate import INTERLEAVINGS
from harness.content import content
from harness.driving.checking import refusal
from harness.driving.guard import install, started
from harness.driving.scenarios import load_scenarios
from harness.engines import ENGINES
from harness.engines.explore import racing_phases
from harness.exploring.exploration import Budget, Exploration
from harness.exploring.shrinking import Found, smaller_failure
from harness.exploring.stage import stage
from harness.laws import judge
from harness.postgres import provision
from harness.reporting.lanes import lay_out_lanes
from harness.reporting.words import operation_words
from harness.specimens import SPECIMENS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from harness.exploring.stage import Stage
    from harness.model import Failure, Phase, Scenario, Step
    from harness.postgres import Server
    from harness.specimens import Mistake, Specimen

_CROWDS = (2, 3)
"""Buyers: a third is tried when two show nothing."""
_SCHEDULES = 400
_SECONDS = 120.0
"""Far more than it takes, so that how fast the machine is decides nothing."""
_TIMEOUT = 10.0
_STATEMENTS = ("execute", "whole")
_LONGEST_ROUND = 4
_MANY = 9
"""Rounds of the same steps that a person would not want to read."""
_AGAIN = "and so on, again and again"
NOT_SHOWN = "no order of statements that was tried shows it: "


def write(only: Sequence[str] = ()) -> None:
    """Explore the wrong specimens, or those that are named, and write the file anew after each."""
    names = only or [specimen.name for specimen in _wrong()]
    known = json.loads(INTERLEAVINGS.read_text("utf-8")) if INTERLEAVINGS.is_file() else {}
    known = {name: known[name] for name in known if name in {each.name for each in _wrong()}}
    asyncio.run(_write(names, known))


async def _write(names: Sequence[str], known: dict[str, Any]) -> None:
    async with provision("embedded") as server:
        for name in names:
            known[name] = await interleaving(server, SPECIMENS.get(name))
            text = json.dumps(dict(sorted(known.items())), indent=1, ensure_ascii=False)
            INTERLEAVINGS.write_text(f"{text}\n", encoding="utf-8")
            sys.stderr.write(f"{name}: {known[name].get('not_shown') or len(known[name]['steps'])}\n")


async def interleaving(server: Server, specimen: Specimen) -> dict[str, Any]:
    """Return the shortest interleaving that shows what is wrong with a specimen, or why there is none."""
    mistake = specimen.mistake
    if mistake is None:
        raise ValueError(f"{specimen.name} is right")
    file = load_scenarios([content("scenarios")])[mistake.scenario]
    why = ""
    async with server.template(lambda url: install(specimen.target, url), label=specimen.name) as template:
        for buyers in _CROWDS:
            scenario = file.build(buyers)
            reason = refusal(scenario, ENGINES.get("explore"), specimen.target)
            if reason is not None:
                return _not_shown(mistake, reason)
            async with server.clone(template, "interleaving") as database:
                failure, why = await _explored(specimen, mistake, scenario, database)
            if failure is not None:
                return _told(mistake, failure)
    return _not_shown(mistake, why)


async def _explored(
    specimen: Specimen, mistake: Mistake, scenario: Scenario, database: str
) -> tuple[Failure | None, str]:
    """Return the first failure under a law that is claimed, made small, or why there is none."""
    budget = Budget(schedules=_SCHEDULES, until=time.monotonic() + _SECONDS)
    with tempfile.TemporaryDirectory() as folder:
        async with stage(
            database,
            lambda url: started(specimen.target, url, Path(folder)),
            isolation=None,
            timeout=_TIMEOUT,
        ) as made:
            for phase in racing_phases(scenario):
                found = await _found(made, mistake, scenario, phase, budget)
                if found is not None:
                    return found, ""
    clients = f"{scenario.crowd} clients"
    if budget.spent:
        return None, f"the first {_SCHEDULES:,} schedules of {clients} keep every law it breaks"
    return None, f"every schedule of {clients} keeps the laws that it breaks"


async def _found(
    made: Stage, mistake: Mistake, scenario: Scenario, phase: int, budget: Budget
) -> Failure | None:
    conflicts = await made.monitor.conflicts(None)
    exploration = Exploration(made, scenario, phase, conflicts)
    async for performance in exploration.performances(budget):
        broken = {each.law for each in judge(performance.evidence, sorted(mistake.laws)).violations}
        if performance.stuck:
            return None
        if broken:
            return await smaller_failure(
                made,
                Found(scenario, phase, performance),
                conflicts,
                law=min(broken),
                target=scenario.name,
                isolation=None,
                until=time.monotonic() + _SECONDS,
            )
    return None


def _told(mistake: Mistake, failure: Failure) -> dict[str, Any]:
    """Return what is kept of a failure."""
    steps, repeated = _folded(failure.steps)
    lanes = lay_out_lanes(replace(failure, steps=steps))
    phases = failure.scenario.phases
    return {
        "scenario": mistake.scenario,
        "law": failure.laws[0],
        "clients": list(lanes.clients),
        "before": list(_programs(phases[: failure.phase])),
        "steps": [
            {
                "client": row.client,
                "what": row.what,
                "sql": row.kind in _STATEMENTS,
                "notes": [*row.lines[1:], *([_AGAIN] if place in repeated else [])],
            }
            for place, row in enumerate(lanes.rows)
        ],
        "told": dict(lanes.told),
        "after": list(_programs(phases[failure.phase + 1 :])),
    }


def _folded(steps: Sequence[Step]) -> tuple[tuple[Step, ...], frozenset[int]]:
    """Leave out what a client does over and over, and return what is left with the ends of what was repeated.

    Whoever polls for a lock does so as often as there is time, so how often says nothing.
    """
    left: list[Step] = []
    repeated: set[int] = set()
    place = 0
    while place < len(steps):
        length = next(
            (each for each in range(1, _LONGEST_ROUND + 1) if _rounds(steps, place, each) > _MANY), 0
        )
        if length:
            left += steps[place : place + length]
            repeated.add(len(left) - 1)
            place += length * _rounds(steps, place, length)
        else:
            left.append(steps[place])
            place += 1
    return tuple(left), frozenset(repeated)


def _rounds(steps: Sequence[Step], place: int, length: int) -> int:
    """Return how often in a row the same so many steps come from there on."""
    shapes = [(step.client, step.kind, step.shape, step.failed) for step in steps[place:]]
    rounds = 1
    while shapes[rounds * length : (rounds + 1) * length] == shapes[:length]:
        rounds += 1
    return rounds


def _not_shown(mistake: Mistake, why: str) -> dict[str, Any]:
    otherwise = "" if mistake.engine == "explore" else f" `{mistake.engine}` shows it."
    return {"scenario": mistake.scenario, "not_shown": f"{NOT_SHOWN}{why}.{otherwise}"}


def _programs(phases: Iterable[Phase]) -> Iterable[str]:
    """Yield what everybody does in phases that did not run under the schedule."""
    for phase in phases:
        for program in phase.programs:
            yield f"{program.client}: {', then '.join(map(operation_words, program.operations))}"


def _wrong() -> list[Specimen]:
    return [specimen for specimen in SPECIMENS.entries.values() if specimen.mistake is not None]
