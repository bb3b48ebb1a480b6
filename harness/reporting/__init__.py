"""From a verdict to something a person or a pipeline reads.

Engines emit the events of :mod:`harness.model.events`; :func:`open_listeners` hands each of them to every
reporter. A reporter is one file in ``reporters/``. Whatever goes wrong in one of them is said in one line
and changes neither the verdict nor what the others write.
"""

from harness.reporting.console import ReportConsole, print_report
from harness.reporting.document import read_report, report_from_dict, report_to_dict
from harness.reporting.evidence_file import read_evidence, write_evidence
from harness.reporting.failure_file import find_failure, gather_failures, read_failure, write_failure
from harness.reporting.folder import DEFAULT_RUNS, create_run_folder, find_run
from harness.reporting.junit import render_junit
from harness.reporting.lanes import lay_out_lanes
from harness.reporting.lanes_console import lanes_lines
from harness.reporting.listeners import REPORTERS, Listeners, open_listeners
from harness.reporting.markdown import render_markdown
from harness.reporting.page import gather_evidence, render_page
from harness.reporting.reporter import Listening, Reporter, Setting

__all__ = [
    "DEFAULT_RUNS",
    "REPORTERS",
    "Listeners",
    "Listening",
    "ReportConsole",
    "Reporter",
    "Setting",
    "create_run_folder",
    "find_failure",
    "find_run",
    "gather_evidence",
    "gather_failures",
    "lanes_lines",
    "lay_out_lanes",
    "open_listeners",
    "print_report",
    "read_evidence",
    "read_failure",
    "read_report",
    "render_junit",
    "render_markdown",
    "render_page",
    "report_from_dict",
    "report_to_dict",
    "write_evidence",
    "write_failure",
]
