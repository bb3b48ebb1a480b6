"""Judge a target: scenarios x engines on a disposable Postgres, one verdict.

The exit code is the verdict: 0 safe, 1 violated, 3 inconclusive. Everything the run leaves is in its run
folder, .oversell/runs/latest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from harness.cli._gate import EXPLORING, OUTPUT, PLACE, SUBJECT, TIMES, plan_of, run_gate
from harness.cli._options import settings

if TYPE_CHECKING:
    from harness.cli._policy import Session
    from harness.driving.runner import Plan


@click.command("check", help=__doc__)
@settings(*SUBJECT, "engine", *PLACE, "rounds", *EXPLORING, *TIMES, *OUTPUT)
@click.pass_obj
def check(session: Session, /, **chosen: Any) -> int:
    """Run the gate and return the verdict's exit code."""
    return run_gate(session, chosen, lambda: plan(chosen))


COMMAND = check


def plan(chosen: dict[str, Any]) -> Plan:
    """Return what these settings of the command come to.

    :raises UsageError: when a scenario, engine, law or target is named that does not exist.
    """
    return plan_of(
        chosen,
        engines=chosen["engine"],
        rounds=chosen["rounds"],
        schedules=chosen["max_schedules"],
    )
