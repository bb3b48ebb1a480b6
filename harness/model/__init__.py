"""The words of the project as frozen data. Pure: nothing here reads, writes or waits.

Everything a person needs to write a scenario or a target is exported from this module.
"""

from harness.model.answers import Answer, Outcome
from harness.model.evidence import Books, Call, Entry, Evidence, Incident, IncidentKind, Stock
from harness.model.operations import Cancel, Feature, Operation, Proof, ReadAvailability, Reserve
from harness.model.scenario import Phase, Program, Scenario, TicketType
from harness.model.schedule import Failure, Step
from harness.model.target import Client, Gate, Running, Target
from harness.model.verdict import Check, Judgement, LawResult, NotRun, Report, Verdict, Violation

__all__ = [
    "Answer",
    "Books",
    "Call",
    "Cancel",
    "Check",
    "Client",
    "Entry",
    "Evidence",
    "Failure",
    "Feature",
    "Gate",
    "Incident",
    "IncidentKind",
    "Judgement",
    "LawResult",
    "NotRun",
    "Operation",
    "Outcome",
    "Phase",
    "Program",
    "Proof",
    "ReadAvailability",
    "Report",
    "Reserve",
    "Running",
    "Scenario",
    "Step",
    "Stock",
    "Target",
    "TicketType",
    "Verdict",
    "Violation",
]
