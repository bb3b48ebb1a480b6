"""Run a recorded failure again and say STILL FAILS (exit 1), FIXED (exit 0) or DIVERGED (exit 3).

FAILURE is an id or the beginning of one, latest (the default), or a file. The target is the recorded one
unless --target names another, such as the one with the fix.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli._loop import run_async
from harness.cli._options import SETTINGS, settings
from harness.cli._policy import say
from harness.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from harness.exploring.replaying import Replayed
    from harness.model import Failure, Target

_EXIT_CODES = {"still fails": 1, "diverged": 3, "fixed": 0}
"""By outcome, the one that outweighs the others first."""


@click.command("replay", help=__doc__)
@click.argument("name", metavar="[FAILURE]", default="latest")
@click.option("--target", help=f"{SETTINGS['target'].help}  [default: the recorded one]")
@click.option(
    "--times", type=click.IntRange(1), default=1, show_default=True, help="How often it is run again."
)
@settings("database", "image", "disposable", "proxy-tls", "runs", "json", "color")
def replay(name: str, target: str | None, times: int, **chosen: Any) -> int:
    """Replay, print the steps and what they came to, and return the exit code."""
    from harness.cli._output import print_document, stdout_reserved

    failure = _failure(name, chosen["runs"])
    spec = target or _recorded_target(failure)
    with stdout_reserved() if chosen["json"] else contextlib.nullcontext():
        from harness.targets import resolve

        replays = run_async(_replay(failure, resolve(spec), times, chosen))
    worst = min(replays, key=lambda each: list(_EXIT_CODES).index(each.outcome))
    if chosen["json"]:
        print_document(_document(failure, spec, worst, replays))
    else:
        _print(failure, spec, worst, replays, chosen["color"])
    return _EXIT_CODES[worst.outcome]


COMMAND = replay


def _failure(name: str, runs: Path) -> Failure:
    from harness.reporting import find_failure, read_failure

    path = Path(name)
    if path.is_file():
        return read_failure(path)
    if path.suffix == ".json" or os.sep in name:
        raise UsageError(f"No failure file at {name}. Name an id, latest, or a file that exists.")
    return read_failure(find_failure(runs, name))


def _recorded_target(failure: Failure) -> str:
    """Return what the failure was recorded on.

    :raises UsageError: when it had a password, which is kept nowhere.
    """
    if "***" in failure.target:
        raise UsageError(
            f"{failure.target} had a password, which is not kept. Name the target again with --target."
        )
    return failure.target


async def _replay(failure: Failure, target: Target, times: int, chosen: dict[str, Any]) -> list[Replayed]:
    from harness.exploring.replaying import replay_failure
    from harness.faulting.replaying import replay_faults

    again = replay_faults if failure.faults else replay_failure
    with tempfile.TemporaryDirectory(prefix="oversell-replay-") as folder:
        return await again(
            failure,
            target,
            database=chosen["database"],
            image=chosen["image"],
            disposable=chosen["disposable"],
            folder=Path(folder),
            notice=say,
            times=times,
            tls=chosen["proxy_tls"],
        )


def _document(failure: Failure, spec: str, worst: Replayed, replays: list[Replayed]) -> dict[str, Any]:
    from harness.reporting.plain import to_plain

    plain: dict[str, Any] = to_plain(
        {
            "failure": failure.id,
            "outcome": worst.outcome,
            "target": spec,
            "laws": failure.laws,
            "message": worst.message,
            "difference": worst.difference,
            "times": {each: sum(r.outcome == each for r in replays) for each in _EXIT_CODES},
            "steps": worst.steps,
        }
    )
    return plain


def _print(failure: Failure, spec: str, worst: Replayed, replays: list[Replayed], color: bool | None) -> None:
    from harness.reporting import ReportConsole, lanes_lines, lay_out_lanes

    console = ReportConsole(no_color=color is False or None, force_terminal=color or None)
    _say(console, f"{failure.id}: {failure.laws[0]} in {failure.scenario.name}, replayed on {spec}")
    _say(console, f"recorded on {failure.target}: {failure.message}")
    heading, shown = _shown(failure, worst)
    console.print()
    _say(console, heading)
    for line in lanes_lines(lay_out_lanes(shown), console.width):
        console.print(line)
    console.print()
    if worst.difference:
        _say(console, f"first difference: {worst.difference}")
    count = sum(each.outcome == worst.outcome for each in replays)
    often = f" in {count} of {len(replays)} replays" if len(replays) > 1 else ""
    _say(console, f"{worst.outcome.upper()}{often}: {worst.message}", style="bold")


def _shown(failure: Failure, replayed: Replayed) -> tuple[str, Failure]:
    """Return the steps worth a look, as a failure: those of now, unless they are other ones that hold."""
    from harness.exploring.replaying import answers_of

    if replayed.difference and replayed.outcome != "still fails":
        return "the recorded steps:", failure
    told = answers_of(replayed.evidence, failure.phase) if replayed.evidence else {}
    return "the steps this time:", replace(failure, steps=replayed.steps, answers=told)


def _say(console: Console, text: str, *, style: str = "") -> None:
    from harness.reporting.text import one_line

    console.print(one_line(text), style=style, soft_wrap=True, markup=False, highlight=False)
