"""``junit.xml``: for the test tab of a CI service. A suite per engine, a case per scenario."""

from harness.reporting.junit import JUNIT_FILE, render_junit
from harness.reporting.reporter import Reporter, WrittenAtEnd

REPORTER = Reporter("junit", lambda setting: WrittenAtEnd(setting.folder / JUNIT_FILE, render_junit))
