"""How checks become one verdict, and a verdict an exit code."""

from __future__ import annotations

import pytest

from harness.model import Check, NotRun, Verdict
from harness.model.verdict import INTERNAL_EXIT_CODE, USAGE_EXIT_CODE, combine

SAFE = Check(scenario="rush", engine="burst", verdict=Verdict.SAFE)
VIOLATED = Check(scenario="rush", engine="burst", verdict=Verdict.VIOLATED)
OPEN = Check(
    scenario="rush", engine="burst", verdict=Verdict.INCONCLUSIVE, reasons=("nothing overlapped", "too short")
)
ASKED_FOR = NotRun(scenario="group", engine="burst", reason="the target has no quantity", asked_for=True)
BY_THE_WAY = NotRun(scenario="group", engine="burst", reason="the target has no quantity", asked_for=False)


@pytest.mark.parametrize(
    ("checks", "not_run", "troubles", "verdict", "reasons"),
    [
        ([SAFE], [], [], Verdict.SAFE, ()),
        ([SAFE], [BY_THE_WAY], [], Verdict.SAFE, ()),
        ([SAFE, VIOLATED, OPEN], [ASKED_FOR], ["the disk is full"], Verdict.VIOLATED, ()),
        (
            [SAFE, OPEN],
            [],
            [],
            Verdict.INCONCLUSIVE,
            ("rush/burst: nothing overlapped", "rush/burst: too short"),
        ),
        ([SAFE], [ASKED_FOR], [], Verdict.INCONCLUSIVE, ("group/burst: the target has no quantity",)),
        ([SAFE], [], ["the disk is full"], Verdict.INCONCLUSIVE, ("the disk is full",)),
        ([], [], ["the disk is full"], Verdict.INCONCLUSIVE, ("the disk is full",)),
        (
            [],
            [BY_THE_WAY],
            [],
            Verdict.INCONCLUSIVE,
            ("no scenario could be driven against this target",),
        ),
    ],
)
def test_checks_combine_into_one_verdict(
    checks: list[Check],
    not_run: list[NotRun],
    troubles: list[str],
    verdict: Verdict,
    reasons: tuple[str, ...],
) -> None:
    """A violation outweighs everything; anything left open is inconclusive, and says why."""
    assert combine(iter(checks), iter(not_run), iter(troubles)) == (verdict, reasons)


def test_an_inconclusive_check_without_a_reason_is_not_safe() -> None:
    """Whoever forgets to say why must not turn an open question into a pass."""
    silent = Check(scenario="rush", engine="burst", verdict=Verdict.INCONCLUSIVE)
    assert combine([SAFE, silent], [], [])[0] is Verdict.INCONCLUSIVE


def test_every_ending_has_an_exit_code_of_its_own() -> None:
    """A pipeline tells them apart by nothing else."""
    assert [Verdict.SAFE.exit_code, Verdict.VIOLATED.exit_code, Verdict.INCONCLUSIVE.exit_code] == [0, 1, 3]
    assert (USAGE_EXIT_CODE, INTERNAL_EXIT_CODE) == (2, 4)
