"""Run every inequivalent interleaving of a scenario: what a burst finds by luck, this finds by rule.

The exit code is the verdict: 0 safe, 1 violated, 3 inconclusive. A schedule that breaks a law is made small,
run again ten times, shown as swim lanes and kept under an id that oversell replay takes.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from harness.cli._gate import EXPLORING, OUTPUT, PLACE, SUBJECT, TIMES, plan_of, run_gate
from harness.cli._options import settings
from harness.errors import UsageError

if TYPE_CHECKING:
    from harness.cli._policy import Session
    from harness.driving.runner import Plan

_NO_BOUND = 10**9
"""Schedules: here only the time counts, unless somebody says otherwise."""


@click.command("explore", help=__doc__)
@settings(*SUBJECT, *EXPLORING, "preemptions", "pct", *PLACE, *TIMES, *OUTPUT)
@click.option(
    "--all",
    "every_violation",
    is_flag=True,
    help="Go on after the first schedule that breaks a law.",
)
@click.pass_obj
def explore(session: Session, /, **chosen: Any) -> int:
    """Explore and return the verdict's exit code."""
    if chosen["pct"] is not None and chosen["preemptions"] is not None:
        raise UsageError(
            "Schedules drawn at random have no bound on preemptions. Choose one of --pct and --preemptions."
        )
    return run_gate(session, chosen, lambda: _plan(chosen))


COMMAND = explore


def _plan(chosen: dict[str, Any]) -> Plan:
    """Return the plan: the time is shared out among the scenarios, and starting and stopping come on top."""
    from harness.driving.runner import BESIDES

    plan = plan_of(
        chosen,
        engines=("explore",),
        schedules=chosen["max_schedules"] or _NO_BOUND,
        preemptions=chosen["preemptions"],
        pct=chosen["pct"],
        every_violation=chosen["every_violation"],
    )
    each = chosen["max_time"] / len(plan.scenarios)
    return replace(
        plan, settings=replace(plan.settings, explore_time=each), max_time=chosen["max_time"] + BESIDES
    )
