"""A target served by the gateway is the target: the same answers, the same books, the same bugs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness.model import Verdict
from harness.specimens import SPECIMENS
from tests.driving.judging import judge_of, shipped
from tests.swarming.through import Through

if TYPE_CHECKING:
    from pathlib import Path

    from harness.postgres import Server


@pytest.mark.parametrize(
    ("specimen", "scenario"),
    [
        ("atomic", "last_ticket"),
        ("atomic", "cancel_and_resell"),
        ("atomic", "somebody_elses_cancel"),
        ("seat_pool", "several_ticket_types"),
        ("fencing_tokens", "confirm_races_release"),
        ("box_office", "friends_together"),
        ("box_office", "waitlist_promotion"),
        ("box_office", "refund_twice"),
        ("box_office", "sales_statistics"),
        ("box_office", "availability_during_rush"),
        ("box_office", "capacity_lowered"),
    ],
)
async def test_a_right_specimen_is_safe_through_the_gateway(
    specimen: str, scenario: str, server: Server, tmp_path: Path
) -> None:
    """Whole scenarios over HTTP, judged by all laws: nothing is lost or made up on the way."""
    target = Through(SPECIMENS.get(specimen).target)
    async with judge_of(server, target, tmp_path) as judge:
        done = await judge.check(shipped(scenario))
    assert (done.verdict, done.reasons, done.violations) == (Verdict.SAFE, (), ()), done


@pytest.mark.parametrize(
    ("specimen", "scenario"),
    [
        ("clamp", "last_ticket"),
        ("cancel_by_number", "somebody_elses_cancel"),
        ("cancel_by_event", "stale_cancel"),
        ("confirm_takes_again", "confirm_twice"),
        ("release_whatever_it_is", "confirm_races_release"),
        ("group_deducts_first", "friends_together"),
        ("line_from_the_end", "waitlist_promotion"),
        ("capacity_unchecked", "capacity_lowered"),
        ("refund_keeps_ticket", "refund_twice"),
        ("sales_never_go_down", "sales_statistics"),
    ],
)
async def test_a_wrong_specimen_shows_its_bug_through_the_gateway(
    specimen: str, scenario: str, server: Server, tmp_path: Path
) -> None:
    """The law is broken that the specimen says it breaks."""
    wrong = SPECIMENS.get(specimen)
    assert wrong.mistake is not None
    async with judge_of(server, Through(wrong.target), tmp_path) as judge:
        done = await judge.check(shipped(scenario))
    assert done.verdict is Verdict.VIOLATED
    assert {violation.law for violation in done.violations} & wrong.mistake.laws
