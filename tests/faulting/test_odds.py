"""What breaks at random is drawn from the seed and the count of steps, and from nothing else."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from harness.faulting.fault import Ground, Turn
from harness.faulting.faults import FAULTS
from harness.faulting.odds import Odds, at_random
from harness.faulting.steps import SeenStep
from tests.faulting.shop import seen

GROUND = Ground(supports=frozenset(), own_process=True, process=True)
INSERT = seen("INSERT INTO rsvps", in_transaction=True)
COMMIT = replace(INSERT, commits=True, in_transaction=False)
READ = seen("SELECT")


def drawn(seed: str, *, rate: float = 0.1, steps: int = 2000) -> list[str | None]:
    """Return what is fired at a fixed sequence of steps."""
    odds = Odds(at_random(FAULTS, GROUND)[0], rate, seed)
    sequence = [(INSERT, COMMIT, READ)[number % 3] for number in range(steps)]
    found = [odds.draw(lambda step=step: step) for step in sequence]  # type: ignore[misc]  # bound at once
    return [None if fault is None else fault.name for fault in found]


def test_the_same_seed_draws_the_same() -> None:
    """Rates and sequence; another seed draws others."""
    faults = at_random(FAULTS, GROUND)[0]
    assert drawn("1") == drawn("1")
    assert drawn("1") != drawn("2")
    assert Odds(faults, 0.1, "1").shares == Odds(faults, 0.5, "1").shares
    assert Odds(faults, 0.1, "1").shares != Odds(faults, 0.1, "2").shares


def test_what_comes_of_a_draw_does_not_move_the_next() -> None:
    """Another kind of step in the middle changes nothing of what is drawn for those after it."""
    faults = at_random(FAULTS, GROUND)[0]
    one, other = Odds(faults, 0.5, "1"), Odds(faults, 0.5, "1")
    for step in (INSERT, COMMIT, READ, READ):
        one.draw(lambda step=step: step)  # type: ignore[misc]  # bound at once
        other.draw(lambda: READ)
    assert [one.draw(lambda: INSERT) for _ in range(20)] == [other.draw(lambda: INSERT) for _ in range(20)]


def test_as_much_breaks_as_was_asked_for() -> None:
    """On average over many steps; nothing is asked of a step at which nothing breaks."""
    assert 0.08 < sum(name is not None for name in drawn("1", steps=5000)) / 5000 < 0.12
    asked = 0

    def read() -> SeenStep:
        nonlocal asked
        asked += 1
        return READ

    odds = Odds(at_random(FAULTS, GROUND)[0], 0.01, "1")
    for _ in range(1000):
        odds.draw(read)
    assert odds.steps == 1000
    assert 0 < asked < 50


def test_every_kind_has_its_turn_and_what_costs_much_comes_rarely() -> None:
    """Whatever the seed: none that applies at some step is never drawn."""
    faults = at_random(FAULTS, GROUND)[0]
    for seed in range(5):
        counts = Counter(drawn(f"{seed}", rate=1.0, steps=6000))
        assert set(counts) == {fault.name for fault in faults}
        costly = sum(counts[fault.name] for fault in faults if fault.turn is Turn.LAST)
        assert 0 < costly < 0.12 * 6000


@pytest.mark.parametrize("step", [INSERT, COMMIT, READ], ids=["insert", "commit", "read"])
def test_only_what_there_is_at_a_step_is_fired_there(step: SeenStep) -> None:
    """A read violates no key, and a commit is not refused for too many connections."""
    odds = Odds(at_random(FAULTS, GROUND)[0], 1.0, "1")
    found = {fault for _ in range(2000) if (fault := odds.draw(lambda: step)) is not None}
    assert found
    assert all(fault.applies(step) for fault in found)


def test_the_faults_are_those_of_the_table() -> None:
    """All that are neither about a single request nor need a stage of their own; others say why."""
    faults, reasons = at_random(FAULTS, GROUND)
    left_out = [fault for fault in FAULTS if fault not in faults]
    assert reasons == ()
    assert {fault.name for fault in left_out} == {
        "Postgres crashed",
        "Postgres restarted",
        "pooled",
        "client gone",
        "killed",
        "client retries",
        "client retries, same key",
        "sent twice",
        "cancels while buying",
        "answer too late",
        "stands still",
    }
    fewer, reasons = at_random(FAULTS, replace(GROUND, process=False))
    assert [fault.name for fault in faults if fault not in fewer] == ["process killed", "process stopped"]
    assert reasons == ("process killed and stopped: the target gives us no process of its own",)
