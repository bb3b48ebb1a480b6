"""The table of measurements says what was promised, and does not hide a miss."""

from __future__ import annotations

from benchmarks.figures import Measured, Rate


def test_a_figure_shows_its_runs_and_their_spread() -> None:
    """Number of runs, minimum, median, maximum, promise, and whether the median kept it."""
    figure = Measured("clone", "ms", [10.0, 30.0, 20.0], "<= 40 ms", lambda median: median <= 40)
    assert figure.row() == "| clone | 3 | 10 ms | 20 ms | 30 ms | <= 40 ms | yes |"


def test_a_miss_is_shown_as_a_miss() -> None:
    """The median decides, not the best run."""
    figure = Measured("clone", "ms", [10.0, 50.0, 60.0], "<= 40 ms", lambda median: median <= 40)
    assert figure.row().endswith("| <= 40 ms | **missed** |")


def test_a_rate_is_kept_only_by_all() -> None:
    """19 of 20 is a miss."""
    assert Rate("violated", 20, 20).row().endswith("| 20 of 20 | | all | yes |")
    assert Rate("violated", 19, 20).row().endswith("| 19 of 20 | | all | **missed** |")
