"""How many buyers there are at each moment of a load, by its shape: arithmetic, and nothing else."""

from __future__ import annotations

from harness.load.plan import Shape

OPENS = 0.2
"""When everybody comes in a spike, as a part of the run."""
CALMS = 0.6
"""When half of them have gone again, likewise."""
EDGE = 0.1
"""How long a soak goes up, and again down, likewise."""


def buyers_at(shape: Shape, users: int, run_time: float, elapsed: float) -> int | None:
    """Return how many buyers there are after so many seconds; ``None`` once the time is up.

    At least one until then, so that a load never stands still, and never more than ``users``.

    :param users: the most there ever are.
    :param run_time: seconds of the whole load.
    :param elapsed: seconds since it began.
    """
    if elapsed >= run_time:
        return None
    part = max(elapsed, 0.0) / run_time
    wanted = -int(-round(users * _share(shape, part), 9) // 1)  # upwards, from what was meant
    return min(users, max(1, wanted))


def _share(shape: Shape, part: float) -> float:
    """Return which share of the buyers is there, when that part of the time is over."""
    match shape:
        case Shape.STEADY:
            return 1.0
        case Shape.SPIKE:
            return 0.1 if part < OPENS else 1.0 if part < CALMS else 0.5
        case Shape.RAMP:
            return part
        case Shape.SOAK:
            return min(1.0, part / EDGE, (1.0 - part) / EDGE)
