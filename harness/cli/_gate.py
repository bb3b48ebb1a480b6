"""What the commands that judge a target share: from chosen settings to a plan, a run folder, an exit code."""

from __future__ import annotations

import contextlib
import secrets
import shutil
from typing import TYPE_CHECKING, Any

from harness.cli._loop import run_async
from harness.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from harness.cli._policy import Session
    from harness.driving.runner import Plan
    from harness.model import Report

SUBJECT = ("target", "scenario", "law")
"""Settings that say who is judged, and by what."""
PLACE = ("database", "image", "disposable", "seed")
EXPLORING = ("buyers", "max-schedules", "isolation", "proxy-tls")
DRAWING = ("profile", "examples")
TIMES = ("max-time", "operation-timeout")
OUTPUT = ("scenarios", "runs", "json", "quiet", "verbose", "color")


def plan_of(chosen: dict[str, Any], *, engines: Sequence[str], **settings: Any) -> Plan:
    """Return what to drive and how.

    :param engines: names of the engines; when there are none, those that drive by default.
    :param settings: of the engines, beyond those that stand in ``chosen``; ``None`` leaves the default.
    :raises UsageError: when a scenario, engine, law or target is named that does not exist.
    """
    from harness.cli._choices import known_scenarios
    from harness.driving.scenarios import choose_scenarios
    from harness.engines import ENGINES, Plan, Settings, default_engines
    from harness.laws import LAWS
    from harness.targets import resolve

    scenarios = choose_scenarios(known_scenarios(chosen["scenarios"]), chosen["scenario"])
    settings |= {
        "seed": chosen["seed"] if chosen["seed"] is not None else secrets.randbelow(2**32),
        "operation_timeout": chosen["operation_timeout"],
        "buyers": chosen.get("buyers"),
        "proxy_tls": chosen.get("proxy_tls"),
        "isolation": chosen["isolation"].replace("-", " ") if chosen.get("isolation") else None,
    }
    return Plan(
        target=resolve(chosen["target"]),
        spec=chosen["target"],
        scenarios=scenarios,
        engines=tuple(ENGINES.get(name) for name in engines) or default_engines(),
        asked_for=frozenset(chosen["scenario"]),
        laws=tuple(LAWS.get(name).name for name in chosen["law"]) or None,
        settings=Settings(**{name: value for name, value in settings.items() if value is not None}),
        max_time=chosen["max_time"],
        database=chosen["database"],
        image=chosen["image"],
        disposable=chosen["disposable"],
    )


def run_gate(session: Session, chosen: dict[str, Any], make_plan: Callable[[], Plan]) -> int:
    """Run a plan, report on it as chosen, and return the verdict's exit code.

    :param make_plan: makes the plan, under the protection that standard output gets from what scenario
        files and targets print.
    """
    from harness.cli._output import stdout_reserved

    if chosen["quiet"] and chosen["verbose"]:
        raise UsageError("Quiet and verbose contradict each other. Choose one of --quiet and --verbose.")
    with stdout_reserved() if chosen["json"] else contextlib.nullcontext():
        plan = make_plan()
        session.folder = run_folder(chosen["runs"])
        report, cut = _run(plan, session, chosen)
    if chosen["json"] and report is not None:
        _print(report)
    if isinstance(cut, UsageError):
        discard(session.folder)
    if cut is not None:
        raise cut
    assert report is not None  # noqa: S101  # a run that made none was cut off by an error
    return report.verdict.exit_code


def _run(plan: Plan, session: Session, chosen: dict[str, Any]) -> tuple[Report | None, BaseException | None]:
    """Run the plan; return its report and, when it was cut off, by what."""
    from harness.cli._ledger import Ledger
    from harness.cli._telling import open_telling
    from harness.engines import run

    assert session.folder is not None  # noqa: S101  # made by the caller
    with open_telling(session.folder, chosen) as tell:
        ledger = Ledger(tell, folder=session.folder, target=plan.target.name, seed=plan.settings.seed)

        def abandon() -> int:
            return ledger.settle("interrupted before it was done").verdict.exit_code

        try:
            return run_async(run(plan, folder=session.folder, listen=ledger), abandon=abandon), None
        except UsageError as error:
            return None, error
        except KeyboardInterrupt as interruption:
            session.interrupted_code = abandon()
            return ledger.report, interruption
        except Exception as error:
            return ledger.settle(f"internal error: {error!r}"), error


def run_folder(runs: Path) -> Path:
    """Make the run folder; ``.oversell`` ignores itself, so that repositories stay clean."""
    from harness.reporting import create_run_folder

    folder = create_run_folder(runs)
    if runs.parent.name == ".oversell":
        with contextlib.suppress(OSError), (runs.parent / ".gitignore").open("x") as file:
            file.write("*\n")
    return folder


def discard(folder: Path) -> None:
    """Remove a run folder: nothing was run, so there is nothing to keep."""
    shutil.rmtree(folder, ignore_errors=True)
    latest = folder.parent / "latest"
    with contextlib.suppress(OSError):
        if latest.is_symlink() and not latest.exists():
            latest.unlink()


def _print(report: Report) -> None:
    from harness.cli._output import print_document
    from harness.reporting import report_to_dict

    print_document(report_to_dict(report))
