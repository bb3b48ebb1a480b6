"""What broke, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.faulting.steps import in_short, operation_of, request_of
from harness.model.operations import kind_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from harness.faulting.fault import Fault
    from harness.model import Injection, Scenario

_DID = {
    "reserve": "reserved",
    "cancel": "cancelled",
    "availability": "asked what remains",
    "hold": "had a unit held",
    "confirm": "confirmed a hold",
    "release": "released a hold",
    "expire": "had a hold expire",
    "reserve_group": "reserved for a group",
    "join_waitlist": "joined the line",
    "leave_waitlist": "left the line",
    "change_capacity": "changed the capacity",
    "refund": "was paid back",
    "read_notice": "waited for a notice",
    "read_sales": "asked for the sales",
}


def told(injections: Iterable[Injection], scenario: Scenario, faults: Mapping[str, Fault]) -> str:
    """Return one clause: *the connection was cut before INSERT INTO rsvps while buyer-1 reserved*."""
    return ", and then ".join(_one(each, scenario, faults[each.fault]) for each in injections)


def _one(injection: Injection, scenario: Scenario, fault: Fault) -> str:
    what = fault.tell(in_short(injection.statement), commits=injection.commits)
    did = _DID[kind_of(operation_of(scenario, request_of(injection)))]
    again = " again" if injection.attempt else ""
    return f"{what.rstrip(',')} while {injection.client} {did}{again}"
