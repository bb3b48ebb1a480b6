"""The reduced search held against every order on a real Postgres; the whole table is in benchmarks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benchmarks.explore_enumeration import both
from harness.targets import resolve
from tests.driving.judging import shipped
from tests.exploring import oddities
from tests.exploring.cases.targets import case

if TYPE_CHECKING:
    from harness.model import Target
    from harness.postgres import Server

QUICK: list[Target] = [
    resolve("sql"),
    resolve("specimen:naive"),
    resolve("specimen:for_update"),
    case("advisory_lock", "asyncpg"),
    case("function_with_commit_apart", "asyncpg"),
    case("guarded_insert", "asyncpg"),
    oddities.NoWait(),
    oddities.OppositeLocks(),
]


@pytest.mark.parametrize("target", QUICK, ids=lambda target: target.name)
async def test_fewer_schedules_end_in_the_same_ways(target: Target, server: Server) -> None:
    """The same laws broken and the same final states as with every order, up to the names of alike buyers."""
    reduced, every = await both(server, target, shipped("last_ticket", 2))
    assert every.finished
    assert reduced.states == every.states
    assert reduced.runs < every.runs
