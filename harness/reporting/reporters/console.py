"""Standard error, for people: what is under way, then a table, each violation in a sentence, the verdict."""

from harness.reporting.console import ConsoleReporter
from harness.reporting.reporter import Reporter

REPORTER = Reporter("console", lambda setting: ConsoleReporter(setting.console))
