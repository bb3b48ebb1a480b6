"""In CI nothing may be skipped: a test that did not run cannot have failed.

Loaded by ``tests/conftest.py``. With ``CI`` set in the environment, a session in which something was
skipped fails and says what. A skip that is right even there has its reason's beginning in
:data:`ALLOWED`, with the justification beside it.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping

ALLOWED: Mapping[str, str] = {}
"""Beginning of a skip's reason -> why it may be skipped in CI too."""

_FOUND = pytest.StashKey[list[str]]()


def pytest_configure(config: pytest.Config) -> None:
    """Begin with nothing found."""
    config.stash[_FOUND] = []


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the session when something was skipped that should have run."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if not os.environ.get("CI") or reporter is None:
        return
    reports = reporter.stats.get("skipped", [])
    found = session.config.stash[_FOUND]
    found += [f"{report.nodeid}: {_reason(report)}" for report in reports if not _allowed(report)]
    if found and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Name what was skipped, and why that fails."""
    found = config.stash[_FOUND]
    if found:
        terminalreporter.section("skipped, which in CI is a failure", red=True)
        for line in found:
            terminalreporter.write_line(line)


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    place = report.longrepr
    return str(place[2] if isinstance(place, tuple) else place).removeprefix("Skipped: ")


def _allowed(report: pytest.TestReport | pytest.CollectReport) -> bool:
    return any(_reason(report).startswith(beginning) for beginning in ALLOWED)
