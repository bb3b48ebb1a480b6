"""The fast path and the exact search say the same, and both say what is true."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

import harness.laws._checker.sweep
import harness.laws._checker.walk
from harness.laws._checker.columns import GIVE, READ, REFUSAL, TAKE, Columns, holds
from harness.laws._checker.counters import decide
from harness.laws._checker.search import search
from harness.laws._checker.sweep import sweep
from harness.model.history import NEVER, Explained, parts
from tests.laws.histories import History, mutated, planted, right, seeded

if TYPE_CHECKING:
    from random import Random

BUDGET = 100_000
YES, NO, UNDECIDED = Explained.YES, Explained.NO, Explained.UNDECIDED


def both(history: History) -> tuple[Explained, Explained]:
    """What the fast path and the exact search say of a history of one event."""
    (part,) = parts(history.tickets, history.calls)
    return decide(part, budget=BUDGET).explained, search(part, budget=BUDGET).explained


def drawn(random: Random) -> tuple[str, History]:
    """Draw a history that is right, has something wrong planted, or was mutated."""
    history = right(random, units=random.choice([1, 1, 2]), line=random.random() < 0.05)
    how = random.choice(["right", "right", "planted", "mutated", "mutated"])
    if how == "planted":
        return how, planted(random, history)
    return how, history if how == "right" else mutated(random, history)


@pytest.mark.timeout(600)  # ten thousand histories, on a machine that may be busy
def test_the_fast_path_and_the_exact_search_agree() -> None:
    """On 10,000 small histories of all operations; right ones are explained, planted ones never."""
    said: Counter[tuple[str, Explained, Explained]] = Counter()
    for number in range(10_000):
        how, history = drawn(seeded(number))
        fast, exact = both(history)
        said[how, fast, exact] += 1
        assert {fast, exact} != {YES, NO}, f"they differ about {how} history {number}: {fast}, {exact}"
        assert exact is not UNDECIDED, f"{how} history {number} is not small"
        if how != "mutated":
            assert exact is (YES if how == "right" else NO), f"{how} history {number} is {exact}"
    by_fast = Counter[Explained]()
    for (_, fast, _), times in said.items():
        by_fast[fast] += times
    assert by_fast[NO] > 2_500, "too few histories were wrong"
    assert by_fast[YES] > 5_000
    assert by_fast[UNDECIDED] < 700, "the fast path leaves too much to the exact search"


def test_they_agree_where_the_fast_path_has_to_go_back_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """It keeps one state, in stretches of one completion, so that it proves a no from the middle."""
    short_stretches(monkeypatch, 1)
    for number in range(20_000, 23_000):
        how, history = drawn(seeded(number))
        assert set(both(history)) != {YES, NO}, f"they differ about {how} history {number}"


def short_stretches(monkeypatch: pytest.MonkeyPatch, length: int) -> None:
    """Have the walk keep a snapshot after so many completions, and the sweeps so many states."""
    monkeypatch.setattr(harness.laws._checker.walk, "STRETCH", length)
    monkeypatch.setattr(harness.laws._checker.sweep, "_WIDTH", length)
    monkeypatch.setattr(harness.laws._checker.sweep, "_BEYOND", 2)


def columns(random: Random, rows: int, units: int) -> Columns:
    """Draw rows at random, right or wrong, with some that never end and some optional ones that do."""
    length, longest = random.randint(rows, 4 * rows), random.randint(2, 14)
    found = Columns(random.randint(0, 3))
    for begin in sorted(random.randint(0, length) for _ in range(rows)):
        kind = random.choice([TAKE, TAKE, TAKE, GIVE, GIVE, REFUSAL, READ, READ])
        amount = random.randint(1, units)
        if kind == READ:
            amount = random.randint(0, 3)
        elif kind == REFUSAL:
            amount = random.choice([1, 1, 2])
        end, optional = begin + random.randint(1, longest), False
        if kind in (TAKE, GIVE):
            optional = random.random() < 0.15
            end = NEVER if optional and random.random() < 0.7 else end
        found.add(kind, amount, begin, end, optional, 0)
    return found


def can_be_placed(rows: Columns) -> bool:
    """Try every order."""
    must = sum(1 << row for row in range(len(rows)) if not rows.optional[row])
    seen: set[tuple[int, int]] = set()
    stack = [(0, rows.initial)]
    while stack:
        placed, left = stack.pop()
        if placed & must == must:
            return True
        first_end = min(
            (rows.ended[row] for row in range(len(rows)) if must & ~placed & 1 << row), default=NEVER
        )
        begun = max((rows.invoked[row] for row in range(len(rows)) if placed >> row & 1), default=-NEVER)
        for row in range(len(rows)):
            if placed >> row & 1 or rows.invoked[row] >= first_end or rows.ended[row] <= begun:
                continue
            kind, amount = rows.kind[row], rows.amount[row]
            after = left + {TAKE: -amount, GIVE: amount}.get(kind, 0)
            true = {REFUSAL: left < amount, READ: left == amount}.get(kind, after >= 0)
            node = (placed | 1 << row, after)
            if true and node not in seen:
                seen.add(node)
                stack.append(node)
    return False


@pytest.mark.parametrize("units", [1, 3])
@pytest.mark.parametrize("stretch", [1, 2, 256])
def test_a_sweep_finds_moments_when_there_are_some(
    stretch: int, units: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when it keeps few states and goes back in short stretches, so that it has to go back often."""
    if stretch < 256:
        short_stretches(monkeypatch, stretch)
    said: Counter[bool] = Counter()
    for number in range(3_000):
        random = seeded(number)
        rows = columns(random, random.randint(3, 11), units)
        swept, possible = sweep(rows, budget=BUDGET), can_be_placed(rows)
        said[possible] += 1
        assert not swept.undecided
        assert (swept.order is not None) is possible, f"columns {number}: {rows}"
        assert (swept.stuck is not None) is not possible
    assert min(said.values()) > 350


def test_an_explanation_is_checked_for_everything_it_must_be() -> None:
    """Sold, refused, given back and read again; each mistake in the order is noticed."""
    rows = Columns(1)
    rows.add(TAKE, 1, 0, 10, False, 0)
    rows.add(REFUSAL, 1, 5, 20, False, 1)
    rows.add(GIVE, 1, 12, 30, False, 2)
    rows.add(READ, 1, 25, 40, False, 3)
    rows.add(TAKE, 1, 26, NEVER, True, 4)
    assert holds(rows, [0, 1, 2, 3])
    assert holds(rows, [0, 1, 2, 3, 4])
    assert not holds(rows, [0, 1, 2]), "the read is missing"
    assert not holds(rows, [0, 1, 2, 3, 3]), "the read comes twice"
    assert not holds(rows, [1, 0, 2, 3]), "refused before it was sold"
    assert not holds(rows, [0, 2, 1, 3]), "refused while one remains"
    assert not holds(rows, [0, 1, 2, 4, 3]), "another number is read"
    assert not holds(rows, [4, 0, 1, 2, 3]), "sold before it was invoked"
    assert not holds(rows, [0, 1, 4, 2, 3]), "sold while none remained"


def test_a_small_budget_is_no_verdict() -> None:
    """A sweep that would have to look at more states than it may says so."""
    random = seeded(0)
    undecided = 0
    for _ in range(200):
        rows = columns(random, 11, 1)
        swept = sweep(rows, budget=1)
        undecided += bool(swept.undecided)
        if swept.order is not None:
            assert can_be_placed(rows)
        elif swept.stuck is not None:
            assert not can_be_placed(rows)
    assert undecided
