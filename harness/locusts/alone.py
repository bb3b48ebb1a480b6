"""Without an engine: a plan from Locust's own command line, and nothing recorded."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from harness.load.behaviour import weights_of
from harness.load.plan import LoadPlan, Sale, Shape

if TYPE_CHECKING:
    from argparse import Namespace

UNAUDITED = "Nothing is audited: this is a load test without an engine. For the audit use `oversell swarm`."
MISSING = (
    "A Buyer must know what is on sale. Run this file by `oversell swarm --locustfile FILE`, which tells it, "
    "or name the ids that your service gave: --oversell-event ID --oversell-ticket ID."
)
TIMEOUT = 30.0
"""Seconds to wait for an answer."""


def add_options(parser: Any, *, shown: bool) -> None:
    """Add what must be said where no engine says it.

    :param shown: whether Locust's page asks for it as well.
    """
    for name, default, text in (
        ("event", "", "Id of the event that buyers visit when no engine tells them."),
        ("ticket", "", "Id of the ticket type they want."),
        ("behaviours", "rush", "What they do, by weight: rush=3,impatient=1."),
    ):
        parser.add_argument(f"--oversell-{name}", default=default, help=text, include_in_web_ui=shown)


def plan_from(options: Namespace | None) -> tuple[LoadPlan, Sale] | None:
    """Return what the options say; ``None`` when they do not say what is on sale.

    :raises UsageError: when what they do is no behaviours by weight.
    """
    event, ticket = getattr(options, "oversell_event", ""), getattr(options, "oversell_ticket", "")
    if not event or not ticket:
        return None
    plan = LoadPlan(
        host="",
        behaviours=weights_of(
            (getattr(options, "oversell_behaviours", "") or "rush").split(","), "--oversell-behaviours"
        ),
        users=1,
        spawn_rate=None,
        run_time=0.0,
        shape=Shape.STEADY,
        wait=(0.0, 0.0),
        timeout=TIMEOUT,
        seed=secrets.randbits(32),
        record=False,
        may_load_host=True,
    )
    return plan, Sale(number=0, tickets={"ticket": (str(event), str(ticket))})
