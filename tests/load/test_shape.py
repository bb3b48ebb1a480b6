"""The number of buyers at each moment is a matter of arithmetic."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.load.plan import Shape
from harness.load.shape import buyers_at


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        (Shape.STEADY, [100, 100, 100, 100, 100, 100, 100, 100]),
        (Shape.SPIKE, [10, 10, 10, 100, 100, 50, 50, 50]),
        (Shape.RAMP, [1, 5, 15, 20, 55, 60, 95, 99]),
        (Shape.SOAK, [1, 50, 100, 100, 100, 100, 50, 10]),
    ],
)
def test_each_shape_has_its_numbers(shape: Shape, expected: list[int]) -> None:
    """At the beginning, within the first tenth, before and after a fifth, and so on, of a hundred seconds."""
    moments = [0, 5, 15, 20, 55, 60, 95, 99]
    assert [buyers_at(shape, 100, 100.0, float(moment)) for moment in moments] == expected


@given(st.sampled_from(list(Shape)), st.integers(1, 10_000), st.floats(0.5, 86_400), st.floats(0, 0.999_999))
def test_there_is_always_somebody_and_never_too_many(
    shape: Shape, users: int, run_time: float, part: float
) -> None:
    """From one to all of them, as long as the time is not up."""
    buyers = buyers_at(shape, users, run_time, run_time * part)
    assert buyers is not None
    assert 1 <= buyers <= users


@given(st.sampled_from(list(Shape)), st.integers(1, 100), st.floats(0.5, 86_400), st.floats(0, 10))
def test_it_is_over_when_the_time_is_up(shape: Shape, users: int, run_time: float, late: float) -> None:
    """Not before, and for good."""
    assert buyers_at(shape, users, run_time, run_time + late) is None


@given(st.integers(1, 1000), st.floats(0, 1), st.floats(0, 1))
def test_a_ramp_never_goes_down(users: int, one: float, other: float) -> None:
    """Later there are at least as many."""
    early, late = sorted((one, other))
    before = buyers_at(Shape.RAMP, users, 2.0, early)
    after = buyers_at(Shape.RAMP, users, 2.0, late)
    assert before is not None
    assert after is not None
    assert before <= after
