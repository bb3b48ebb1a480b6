"""Judge the harness itself: implementations known to be right or wrong before every engine.

Prints the kill matrix: which engine caught which mistake, under which law, after how many runs and how long;
beside it the story's own script. Exit code 0 when every mistake was caught under a law that it is meant to
break and no right implementation was accused, 1 when not, 3 when not all could be judged.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from harness.cli._gate import discard, run_folder
from harness.cli._loop import run_async
from harness.cli._options import DURATION, SETTINGS, settings
from harness.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from harness.cli._policy import Session
    from harness.driving.selftest import Hands, Selftest, SelftestPlan
    from harness.engines import Settings
    from harness.model.matrix import Matrix, Row

_SCHEDULES = 300
_SECONDS = 6.0
"""What each engine may take for one scenario: specimens are many, and some make every buyer wait."""
_RIGHT_DRAWING = 4.0
_RIGHT_ROUNDS = 6
_RIGHT_SCHEDULES = 12
"""A right specimen has many scenarios, so there is less of each: runs of a burst, schedules, and seconds for
what draws its own programs, which has one scenario for all that the target supports."""
_BREAKING = 25.0
_OTHERS_BREAKING = 3.0
"""Seconds for breaking everything in one scenario: of those that only a fault can show, where a lease of
five may have to run out first, and of all others."""
_BROKEN = ("last_ticket", "expired_holds_resell")
"""What a right specimen is broken in: there is little that other scenarios would add."""
_FREE = "anything"
_JOBS = 4
"""Processes, unless somebody asks for more: each opens dozens of connections; a server of ours has 200."""


@click.command("selftest", help=__doc__)
@click.option("--quick", is_flag=True, help="Each mistake by the one engine that surely catches it.")
@click.option("--specimen", multiple=True, help="Only this specimen. Repeatable.  [default: all]")
@click.option(
    "--engine", multiple=True, help=f"{SETTINGS['engine'].help}  [default: {SETTINGS['engine'].shown}]"
)
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    help=f"Processes that drive specimens at the same time.  [default: cores and one more, at most {_JOBS}]",
)
@click.option(
    "--max-time", type=DURATION, default="30m", show_default=True, help="Time for everything together."
)
@settings("database", "image", "disposable", "seed", "runs", "json", "quiet", "color")
@click.pass_obj
def selftest(session: Session, /, **chosen: Any) -> int:
    """Run the self-test, print the matrix, and return the exit code."""
    from harness.cli._output import print_document, stdout_reserved
    from harness.reporting.matrix import matrix_to_dict

    with stdout_reserved() if chosen["json"] else contextlib.nullcontext():
        plan = _plan(chosen)
        session.folder = run_folder(chosen["runs"])
        matrix = _run(plan, session, session.folder, chosen)
    if chosen["json"]:
        print_document(matrix_to_dict(matrix))
    else:
        _print(matrix, session.folder, chosen["color"])
    return matrix.result.exit_code


COMMAND = selftest


def _plan(chosen: dict[str, Any]) -> SelftestPlan:
    from harness.content import content
    from harness.driving.scenarios import load_scenarios
    from harness.driving.selftest import SelftestPlan
    from harness.engines import ENGINES, Settings, default_engines
    from harness.specimens import SPECIMENS

    if chosen["quick"] and chosen["engine"]:
        raise UsageError("A quick self-test takes the engine that each specimen names. Leave out --engine.")
    seed = chosen["seed"] if chosen["seed"] is not None else secrets.randbelow(2**32)
    effort = Settings(
        seed=seed,
        schedules=_SCHEDULES,
        burst_time=_SECONDS,
        explore_time=_SECONDS,
        stateful_time=_SECONDS,
        fault_time=_BREAKING,
        fault_pairs=0,
    )
    return SelftestPlan(
        specimens=tuple(SPECIMENS.get(name) for name in dict.fromkeys(chosen["specimen"]))
        or tuple(SPECIMENS.entries.values()),
        engines=tuple(ENGINES.get(name) for name in dict.fromkeys(chosen["engine"])) or default_engines(),
        known_engines=frozenset(ENGINES.entries),
        scenarios=load_scenarios([content("scenarios")]),
        settings=effort,
        other_settings=replace(effort, fault_time=_OTHERS_BREAKING),
        right_settings=_for_right_ones(effort, quick=chosen["quick"]),
        right_scenarios={"stateful": (_FREE,), "faults": _BROKEN},
        quick=chosen["quick"],
        max_time=chosen["max_time"],
        database=chosen["database"],
        image=chosen["image"],
        disposable=chosen["disposable"],
    )


def _for_right_ones(effort: Settings, *, quick: bool) -> Settings:
    """Return how hard to try with a right specimen in one of its scenarios; a quick run has but one."""
    effort = replace(effort, stateful_time=_RIGHT_DRAWING, fault_time=_OTHERS_BREAKING)
    return effort if quick else replace(effort, rounds=_RIGHT_ROUNDS, schedules=_RIGHT_SCHEDULES)


def _run(plan: SelftestPlan, session: Session, folder: Path, chosen: dict[str, Any]) -> Matrix:
    """Run the plan; whatever is known when it ends is written, however it ends."""
    from harness.cli._output import open_console
    from harness.driving.selftest import Selftest
    from harness.reporting import open_listeners

    console = open_console(chosen["color"])
    with open_listeners(folder, console=console, names=("evidence", "failures")) as keep:
        cells = len(plan.specimens) * (len(plan.engines) + 1)
        test = Selftest(
            plan,
            folder=folder,
            listen=keep,
            tell=_progress(cells, quiet=chosen["quiet"]),
            hands=_hands(plan, folder, chosen["jobs"]),
        )

        def settle() -> int:
            return _write(test, folder).result.exit_code

        try:
            run_async(test.run(), abandon=settle)
        except UsageError:
            discard(folder)
            raise
        except KeyboardInterrupt:
            session.interrupted_code = settle()
            raise
    return _write(test, folder)


def _hands(plan: SelftestPlan, folder: Path, jobs: int | None) -> Hands | None:
    """Return what brings up the processes; ``None`` where one is enough, which is then this one."""
    from harness.cli._hands import hands_of

    several = min(jobs or _usual_jobs(), len(plan.specimens))
    return hands_of(plan, several, folder) if several > 1 else None


def _usual_jobs() -> int:
    """Return how many processes there are unless somebody says otherwise.

    One more than there are cores: each of them waits almost half of its time, for locks, for requests that
    wait outside Postgres, for the second in which nothing more arrives.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores + 1, _JOBS)


def _progress(cells: int, *, quiet: bool) -> Callable[[Row, str], None]:
    """Return what says one line for each cell that was filled, on standard error."""
    from harness.reporting.matrix import progress_line

    done = 0

    def tell(row: Row, column: str) -> None:
        nonlocal done
        done += 1
        if not quiet:
            click.echo(progress_line(row, column, done, cells), err=True)

    return tell


def _write(test: Selftest, folder: Path) -> Matrix:
    from harness.reporting.files import dump_json, write_text
    from harness.reporting.matrix import JSON_FILE, MARKDOWN_FILE, matrix_to_dict, render_matrix

    matrix = test.matrix()
    write_text(folder / JSON_FILE, dump_json(matrix_to_dict(matrix)))
    write_text(folder / MARKDOWN_FILE, render_matrix(matrix))
    return matrix


def _print(matrix: Matrix, folder: Path, color: bool | None) -> None:
    from harness.reporting import ReportConsole
    from harness.reporting.matrix import print_matrix

    console = ReportConsole(no_color=color is False or None, force_terminal=color or None)
    print_matrix(matrix, console, folder=str(folder))
