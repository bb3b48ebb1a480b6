"""The pytest plugin ``oversell``: makes tests of gates and runs them.

It is loaded into every run of pytest where oversell is installed, so it imports nothing before the first
gate is met, and asks of every other test only whether it is one.

Theory of operation. A gate is a test function; here it becomes one test for each scenario and engine, by
parametrizing the fixture ``oversell_check``. That fixture makes the check, so that what goes wrong on the way
is an *error* of the test; the test's call only says what the check came to: *violated* and *inconclusive* are
failures. One thread with an event loop of its own serves all checks of the process
(:mod:`harness.testing._background`), so that they never run inside somebody else's loop. It keeps the
database servers, which end with the session.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, cast

import pytest

from harness.testing import gate_of

if TYPE_CHECKING:
    from harness.testing._checks import Checks, Outcome

_FIXTURE = "oversell_check"


def pytest_pycollect_makeitem(obj: object) -> None:
    """Have a gate ask for the fixture that makes its checks."""
    if gate_of(obj) is not None and not any(_FIXTURE in mark.args for mark in getattr(obj, "pytestmark", ())):
        pytest.mark.usefixtures(_FIXTURE)(obj)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make one test of a gate for each scenario and engine."""
    gate = gate_of(metafunc.function)
    if gate is None:
        return
    from harness.errors import UsageError
    from harness.testing._asking import pairs

    try:
        found = pairs(gate)
    except UsageError as error:
        raise pytest.Collector.CollectError(f"oversell: {error}") from None
    metafunc.parametrize(
        _FIXTURE, found, ids=[f"{scenario}-{engine}" for scenario, engine in found], indirect=True
    )


@pytest.fixture
def oversell_check(request: pytest.FixtureRequest) -> Outcome:
    """What one check of a gate came to."""
    from harness.errors import UsageError

    gate = gate_of(request.node.function)
    assert gate is not None  # noqa: S101  # gates alone ask for this
    try:
        outcome = _checks(request.config).check(gate, *request.param, ahead=_ahead(request.node))
    except UsageError as error:
        pytest.fail(f"oversell: {error}", pytrace=False)
    if outcome.skipped:
        pytest.skip(outcome.skipped)
    request.node.user_properties += outcome.properties
    request.node.add_report_section("call", "oversell", outcome.summary)
    return outcome


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Say what a check came to, in place of calling the gate's function."""
    if gate_of(pyfuncitem.function) is None:
        return None
    outcome = cast("Outcome", pyfuncitem.funcargs[_FIXTURE])
    if outcome.failure:
        pytest.fail(outcome.failure, pytrace=False)
    return True


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Finish the reports and stop the servers, if there are any."""
    checks = session.config.stash.get(_CHECKS, None)
    if checks is not None:
        cut_off = exitstatus == pytest.ExitCode.INTERRUPTED
        checks.close(*(["interrupted before it was done"] if cut_off else []))


_CHECKS: pytest.StashKey[Checks] = pytest.StashKey()


def _checks(config: pytest.Config) -> Checks:
    """Return what makes the checks of this process."""
    if _CHECKS not in config.stash:
        from harness.testing._checks import Checks

        config.stash[_CHECKS] = Checks()
    return config.stash[_CHECKS]


def _ahead(item: pytest.Function) -> int:
    """Return how many tests of its gate this process is likely to run yet, the item itself included."""
    same = [each for each in item.session.items if getattr(each, "function", None) is item.function]
    processes: int = getattr(item.config, "workerinput", {}).get("workercount", 1)
    return math.ceil((len(same) - same.index(item)) / processes)
