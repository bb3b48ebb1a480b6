"""Settling: what is made good in time is no violation, and what is not is waited for once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from harness.faulting.judging import Patient, patient_with
from harness.laws import judge
from harness.model import Feature, Hold, Outcome, Phase, Program, Scenario, TicketType
from harness.postgres import connect
from harness.specimens import SPECIMENS
from tests.faulting.shop import WatchedShop, broken, house_of, queue

if TYPE_CHECKING:
    from pathlib import Path

    from harness.postgres import Server

REPAIR = (
    "UPDATE tickets t SET quantity_available = quantity_initial"
    " - (SELECT count(*) FROM rsvps WHERE ticket_id = t.id)"
)


async def test_what_a_sweeper_repairs_is_no_violation(server: Server, tmp_path: Path) -> None:
    """The books are read again for a while, and how long it took is known."""
    patient = Patient()
    async with house_of(server, WatchedShop(), tmp_path) as house:
        theatre = await house.theatre()
        leaked = await broken(theatre, queue(1, 2), "killed", 3)
        assert [violation.law for violation in judge(leaked.evidence).violations] == ["no_leak"]
        sweeper = await connect(house.database)
        settling = asyncio.create_task(patient.settled(theatre, leaked, None))
        await sweeper.execute(REPAIR)
        settled = await settling
        sweeper.terminate()
    assert judge(settled.evidence).violations == ()
    assert settled.evidence.states == (leaked.evidence.books,)
    assert patient.longest > 0


async def test_what_nobody_repairs_is_waited_for_once(server: Server, tmp_path: Path) -> None:
    """Where that was in vain, and nothing was ever repaired, there is less hope the next time."""
    target = WatchedShop()
    patient = patient_with(target)
    assert patient_with(target) is patient
    async with house_of(server, target, tmp_path) as house:
        theatre = await house.theatre()
        leaked = await broken(theatre, queue(1, 2), "killed", 3)
        assert not patient.hopeless
        settled = await patient.settled(theatre, leaked, None)
        assert [violation.law for violation in judge(settled.evidence).violations] == ["no_leak"]
        assert patient.hopeless
        again = await patient.settled(theatre, leaked, None)
        assert judge(again.evidence).violations == judge(settled.evidence).violations


async def test_a_hold_that_nobody_was_told_of_runs_out(server: Server, tmp_path: Path) -> None:
    """Whoever asked has gone; the target gives back what it held, and that is asked of it."""
    target = SPECIMENS.get("box_office").target
    assert Feature.EXPIRY in target.supports
    scenario = Scenario(
        name="hold",
        tickets=(TicketType(name="general", initial=1),),
        phases=(Phase("hold", (Program("buyer-1", (Hold(ticket="general", person="buyer-1"),)),)),),
    )
    async with house_of(server, target, tmp_path) as house:
        theatre = await house.theatre()
        plain = await theatre.perform(scenario)
        last = plain.steps[-1][1].number
        performance = await broken(theatre, scenario, "answer lost", last)
    told = [(call.client, call.outcome) for call in performance.evidence.history]
    assert told == [("buyer-1", Outcome.UNKNOWN), ("buyer-1 (expiry)", Outcome.ACCEPTED)]
    (stock,) = performance.evidence.books.stock
    assert (stock.remaining, stock.held) == (1, 0)
