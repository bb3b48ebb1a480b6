"""The words of the project as frozen data. Pure: nothing here reads, writes or waits.

Everything a person needs to write a scenario or a target is exported from this module.
"""

from harness.model.answers import Answer, Outcome, not_offered
from harness.model.evidence import Books, Call, Commit, Entry, Evidence, Incident, IncidentKind, Stock
from harness.model.faults import Afterwards, FaultFinding, FaultRow, FaultTable, Injection, Mark
from harness.model.operations import (
    Cancel,
    ChangeCapacity,
    Confirm,
    Expire,
    Feature,
    Hold,
    JoinWaitlist,
    LeaveWaitlist,
    Operation,
    Proof,
    ReadAvailability,
    ReadNotice,
    ReadSales,
    Refund,
    Release,
    Reserve,
    ReserveGroup,
)
from harness.model.scenario import Phase, Program, Scenario, TicketType
from harness.model.schedule import Failure, Step
from harness.model.target import Client, Gate, Process, Running, Target
from harness.model.verdict import Check, Judgement, LawResult, NotRun, Report, Verdict, Violation

__all__ = [
    "Afterwards",
    "Answer",
    "Books",
    "Call",
    "Cancel",
    "ChangeCapacity",
    "Check",
    "Client",
    "Commit",
    "Confirm",
    "Entry",
    "Evidence",
    "Expire",
    "Failure",
    "FaultFinding",
    "FaultRow",
    "FaultTable",
    "Feature",
    "Gate",
    "Hold",
    "Incident",
    "IncidentKind",
    "Injection",
    "JoinWaitlist",
    "Judgement",
    "LawResult",
    "LeaveWaitlist",
    "Mark",
    "NotRun",
    "Operation",
    "Outcome",
    "Phase",
    "Process",
    "Program",
    "Proof",
    "ReadAvailability",
    "ReadNotice",
    "ReadSales",
    "Refund",
    "Release",
    "Report",
    "Reserve",
    "ReserveGroup",
    "Running",
    "Scenario",
    "Step",
    "Stock",
    "Target",
    "TicketType",
    "Verdict",
    "Violation",
    "not_offered",
]
