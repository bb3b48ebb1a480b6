"""Settling: the target is given time to get over a fault, and then looked at."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from harness.driving.program import Recorder
from harness.model import Afterwards, Evidence, Expire, Feature, Hold, Outcome, Program, ReadAvailability

if TYPE_CHECKING:
    from harness.faulting.performing import Theatre
    from harness.model import Books, Call, Scenario

_REST = 3.0
"""Seconds in which sessions come to rest."""
_PROBES = 3
"""How often the target is asked whether it answers: a pool may have to notice that a connection is dead."""
_PROBE = "probe"
_PLACE = -1
"""Of the client that makes our own requests."""
_APART, _APART_HERE = 0.02, 0.005
"""Seconds between two readings of the books that must agree, where something may still be on its way: in a
process of the target's own, and in ours."""


async def settle(
    theatre: Theatre, scenario: Scenario, sale: Any, recorder: Recorder, *, faulty: bool
) -> tuple[Evidence, bool]:
    """Return what a run left once everything is quiet, and whether the target needs a new start.

    :param faulty: something was broken: holds that a lost answer left run out, and the target is asked
        whether it answers.
    """
    left_open, last = await _rest(theatre), len(scenario.phases) - 1
    probes: tuple[Call, ...] = ()
    if faulty:
        await _expire(theatre, sale, recorder, last)
        probes = await _probe(theatre, scenario, sale, last)
        left_open = left_open and await _rest(theatre)
    history = recorder.history()
    unsure = any(call.completed is None for call in history)
    evidence = Evidence(
        scenario=scenario,
        history=history,
        books=await _books(theatre, sale, twice=unsure),
        afterwards=Afterwards(probes=probes, left_open=left_open) if faulty else None,
    )
    mute = bool(probes) and all(call.completed is None for call in probes)
    return evidence, bool(left_open) or mute


async def _rest(theatre: Theatre) -> tuple[str, ...]:
    """Wait until no session is busy, and return what those are about that still are."""
    until = time.monotonic() + _REST
    pause = 0.001
    while (busy := await theatre.watch.busy()) and time.monotonic() < until:
        await asyncio.sleep(pause)
        pause = min(pause * 2, 0.05)
    return busy


async def _books(theatre: Theatre, sale: Any, *, twice: bool) -> Books:
    books = await theatre.stage.running.books(sale)
    until = time.monotonic() + _REST
    while twice and time.monotonic() < until:
        await asyncio.sleep(_APART if theatre.ground.own_process else _APART_HERE)
        again = await theatre.stage.running.books(sale)
        if again == books:
            break
        books = again
    return books


async def _expire(theatre: Theatre, sale: Any, recorder: Recorder, phase: int) -> None:
    """Let those holds run out that nobody was told of: whoever asked has gone."""
    if Feature.EXPIRY not in theatre.ground.supports:
        return
    lost = {
        (call.operation.ticket, call.operation.person)
        for call in recorder.calls
        if isinstance(call.operation, Hold) and call.outcome is Outcome.UNKNOWN
    }
    for ticket, person in sorted(lost):
        expire = Expire(ticket=ticket, person=person)
        await _ask(theatre, sale, Program(f"{person} (expiry)", (expire,)), recorder, phase)


async def _probe(theatre: Theatre, scenario: Scenario, sale: Any, phase: int) -> tuple[Call, ...]:
    """Ask whether the target answers, a few times at most."""
    if Feature.AVAILABILITY not in theatre.ground.supports:
        return ()
    recorder = Recorder()
    while len(recorder.calls) < _PROBES and not any(call.completed for call in recorder.calls):
        asking = ReadAvailability(ticket=scenario.tickets[0].name, person=_PROBE)
        await _ask(theatre, sale, Program(_PROBE, (asking,)), recorder, phase)
    return tuple(recorder.calls)


async def _ask(theatre: Theatre, sale: Any, program: Program, recorder: Recorder, phase: int) -> None:
    """Make a request of our own."""
    stage = theatre.stage
    await stage.run_alone(_PLACE, await stage.client(_PLACE), sale, program, phase, recorder)
