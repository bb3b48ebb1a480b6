"""The routes under ``/api`` and ``/healthz``, one module per subject.

Each handler reads its request, calls one function, and answers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.service.api import (
    events,
    groups,
    health,
    holds,
    live,
    proofs,
    refunds,
    rsvps,
    tickets,
    waitlist,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

HANDLERS: Sequence[Any] = (
    *rsvps.HANDLERS,
    *groups.HANDLERS,
    *holds.HANDLERS,
    *waitlist.HANDLERS,
    *refunds.HANDLERS,
    *events.HANDLERS,
    *tickets.HANDLERS,
    *proofs.HANDLERS,
    *live.HANDLERS,
    *health.HANDLERS,
)
