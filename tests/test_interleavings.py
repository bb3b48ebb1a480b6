"""The interleavings on the page of the specimens: one for every mistake, and still true."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from docs.generate import INTERLEAVINGS
from docs.interleavings import NOT_SHOWN, interleaving
from harness.specimens import SPECIMENS
from tests.driving.judging import shipped

if TYPE_CHECKING:
    from harness.postgres import Server

STORED: dict[str, dict[str, Any]] = json.loads(INTERLEAVINGS.read_text("utf-8"))
AGAIN = "run python docs/generate.py --interleavings --only {}"


def clients_of(scenario: str) -> set[str]:
    """Return who there is in a scenario for two or three buyers."""
    phases = [phase for buyers in (2, 3) for phase in shipped(scenario, buyers).phases]
    return {program.client for phase in phases for program in phase.programs}


def test_every_mistake_has_an_interleaving_or_a_reason_for_none() -> None:
    """And nobody else has; it is of the scenario and of a law that the specimen claims."""
    wrong = {name: each.mistake for name, each in SPECIMENS.entries.items() if each.mistake is not None}
    missing = sorted(wrong.keys() - STORED.keys())
    assert not missing, AGAIN.format(" --only ".join(missing))
    assert sorted(STORED) == list(STORED) == sorted(wrong)
    for name, shown in STORED.items():
        mistake = wrong[name]
        assert shown["scenario"] == mistake.scenario, AGAIN.format(name)
        if "not_shown" in shown:
            assert shown["not_shown"].startswith(NOT_SHOWN)
            assert mistake.engine != "explore", f"{name} claims explore, {AGAIN.format(name)}"
        else:
            assert shown["law"] in mistake.laws, AGAIN.format(name)
            assert {step["client"] for step in shown["steps"]} <= set(shown["clients"])
            others = {line.partition(":")[0] for line in shown["before"] + shown["after"]}
            assert {*shown["clients"], *others} <= clients_of(shown["scenario"]), AGAIN.format(name)


@pytest.mark.parametrize("name", ["naive", "locks_asked_first", "cancel_twice"])
async def test_exploring_again_gives_what_is_stored(name: str, server: Server) -> None:
    """Step by step: what the page says happens still does, and nothing in it depended on the run."""
    assert await interleaving(server, SPECIMENS.get(name)) == STORED[name], AGAIN.format(name)
