"""``verdict.json``: the verdict document, for programs. Described by ``reports/verdict.schema.json``."""

from harness.reporting.document import VERDICT_FILE, report_to_dict
from harness.reporting.files import dump_json
from harness.reporting.reporter import Reporter, WrittenAtEnd

REPORTER = Reporter(
    "verdict_json",
    lambda setting: WrittenAtEnd(
        setting.folder / VERDICT_FILE, lambda report: dump_json(report_to_dict(report))
    ),
)
