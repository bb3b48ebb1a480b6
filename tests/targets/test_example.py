"""The example that documents how to write a target is one, and shows what it says it shows."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import pytest

from harness.model import Target, Verdict
from harness.targets import resolve
from tests.driving.judging import judge_of, shipped

if TYPE_CHECKING:
    from pathlib import Path

    from harness.postgres import Server

SPEC = "examples.asyncpg_shop:Shop"


@pytest.mark.parametrize("scenario", ["rush", "last_ticket", "same_person_twice", "client_disconnects"])
async def test_the_example_is_a_right_target(scenario: str, server: Server, tmp_path: Path) -> None:
    """It is found by its name and keeps every law."""
    target = resolve(SPEC)
    assert isinstance(target, Target)
    async with judge_of(server, target, tmp_path) as judge:
        check = await judge.check(shipped(scenario), rounds=3)
    assert (check.verdict, check.reasons, check.violations) == (Verdict.SAFE, (), ())
    assert check.audit == "every commit"


async def test_the_example_without_its_guard_is_violated(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What its docstring invites to try: take the guard out, and see."""
    shop = importlib.import_module("examples.asyncpg_shop")
    real = shop.buy

    class Unguarded:
        def __init__(self, connection: Any) -> None:
            self._connection = connection

        def __getattr__(self, name: str) -> Any:
            return getattr(self._connection, name)

        async def fetchval(self, query: str, *arguments: Any) -> Any:
            return await self._connection.fetchval(query.replace(" AND remaining > 0", ""), *arguments)

    async def unguarded(connection: Any, ticket: int, buyer: str) -> Any:
        return await real(Unguarded(connection), ticket, buyer)

    monkeypatch.setattr(shop, "buy", unguarded)
    async with judge_of(server, resolve(SPEC), tmp_path) as judge:
        check = await judge.check(shipped("last_ticket"), rounds=3)
    assert check.verdict is Verdict.VIOLATED
