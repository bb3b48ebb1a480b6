"""Faults over HTTP: the buyer's connection is one thing, the service's to Postgres another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness.faulting.enumeration import Clean, cells
from harness.model import Outcome
from harness.targets import resolve
from tests.faulting.shop import broken, house_of, queue

if TYPE_CHECKING:
    from pathlib import Path

    from harness.postgres import Server


@pytest.mark.parametrize("fault", ["client gone", "answer too late"])
@pytest.mark.parametrize("step", [1, 2])
async def test_the_service_goes_on_without_its_client(
    fault: str, step: int, server: Server, tmp_path: Path
) -> None:
    """The buyer hung up and knows nothing; the purchase is made all the same, before anybody judges."""
    async with house_of(server, resolve("service"), tmp_path) as house:
        performance = await broken(await house.theatre(), queue(1, 2), fault, step)
    (call,) = performance.evidence.history
    assert call.outcome is Outcome.UNKNOWN
    assert [entry.person for entry in performance.evidence.books.entries or ()] == ["buyer-1"]


async def test_the_service_survives_a_broken_connection(server: Server, tmp_path: Path) -> None:
    """It answers that it does not know, and serves the next."""
    async with house_of(server, resolve("service"), tmp_path) as house:
        performance = await broken(await house.theatre(), queue(2, 2), "answer lost", 2)
    told = [(call.client, call.outcome) for call in performance.evidence.history]
    assert told == [("buyer-1", Outcome.UNKNOWN), ("buyer-2", Outcome.ACCEPTED)]
    assert len(performance.evidence.books.entries or ()) == 2


async def test_the_same_key_buys_once(server: Server, tmp_path: Path) -> None:
    """The answer to COMMIT was lost; the second request with that key is told what the first one bought."""
    async with house_of(server, resolve("service"), tmp_path) as house:
        theatre = await house.theatre()
        scenario = queue(1, 2)
        clean = Clean(
            plain=await theatre.perform(scenario), keyed=await theatre.perform(scenario, keyed=True)
        )
        todo = cells(clean, theatre.faults, theatre.ground)
        keyed = [each for each in todo if each.fault == "client retries, same key"]
        lost = next(each for each in keyed if each.statement.startswith("COMMIT"))
        performance = await theatre.perform(scenario, (lost,))
    assert performance.fired == (lost,)
    first, second = performance.evidence.history
    (entry,) = performance.evidence.books.entries or ()
    assert (first.outcome, second.outcome) == (Outcome.UNKNOWN, Outcome.ACCEPTED)
    assert second.answer.reservation == entry.reservation
    assert len(keyed) > len([each for each in todo if each.fault == "client retries"])
