"""The plan's shape as Locust asks for it, once a second."""

from __future__ import annotations

from typing import TYPE_CHECKING

from locust import LoadTestShape

from harness.load.shape import buyers_at

if TYPE_CHECKING:
    from harness.load.plan import LoadPlan


class PlannedShape(LoadTestShape):
    """So many users as the shape of a plan says, until its time is up."""

    use_common_options = True

    def __init__(self, plan: LoadPlan) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Locust leaves it untyped
        self._plan = plan

    def tick(self) -> tuple[int, float] | None:
        """Return how many users there are to be now, all of them at once; ``None`` when it is over."""
        plan = self._plan
        elapsed = self.get_run_time()  # type: ignore[no-untyped-call]  # likewise
        users = buyers_at(plan.shape, plan.users, plan.run_time, elapsed)
        return None if users is None else (users, float(plan.users))
