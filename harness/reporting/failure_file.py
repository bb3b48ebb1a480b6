"""Failures on disk: schedules that break a law, written when they are kept, found again by their id."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.errors import InconclusiveError, UsageError
from harness.model import Failure
from harness.reporting.files import dump_json, inside, read_json, unreadable, write_text
from harness.reporting.folder import LATEST, run_folders
from harness.reporting.plain import from_plain, to_plain

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from harness.model import Report

FAILURES_FOLDER = "failures"
_MOST_LISTED = 10


def write_failure(path: Path, failure: Failure) -> None:
    """Write a failure, its folder made as needed.

    :raises OSError: when it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    data = to_plain(failure)
    # A replay compares shapes: they hold no constants, and a password taken for one would be a difference.
    for plain, step in zip(data["steps"], failure.steps, strict=True):
        plain["shape"] = step.shape
    write_text(path, dump_json(data))


def read_failure(path: Path) -> Failure:
    """Return the failure that :func:`write_failure` wrote.

    :raises InconclusiveError: when the file is missing, or broken in any way.
    """
    data = read_json(path)
    try:
        failure: Failure = from_plain(Failure, data, "failure")
        _require_whole(failure)
    except ValueError as error:
        raise unreadable(path, error) from error
    return failure


def find_failure(root: Path, name: str) -> Path:
    """Return the file of a failure, looked for in all runs.

    :param root: the folder of all runs, what ``--runs`` names.
    :param name: an id, the beginning of one, or ``latest``: the newest failure of the newest run with one.
    :raises UsageError: when there is none, or several begin like that; the message lists ids.
    """
    files = list(_files(root))
    if name == LATEST and files:
        return files[0]
    exact = [path for path in files if path.stem == name]
    if exact:
        return exact[0]
    found = [path for path in files if name and path.stem.startswith(name)]
    if len({path.stem for path in found}) == 1:
        return found[0]
    raise _not_found(root, name, found, files)


def gather_failures(report: Report, folder: Path) -> tuple[dict[str, Failure], list[str]]:
    """Return the failures of a run by their id, and one line for each that cannot be read."""
    found: dict[str, Failure] = {}
    troubles: list[str] = []
    for name in dict.fromkeys(_replays(report)):
        try:
            found[name] = read_failure(inside(folder, f"{FAILURES_FOLDER}/{name}.json"))
        except (InconclusiveError, ValueError) as error:
            troubles.append(str(error))
    return found, troubles


def _require_whole(failure: Failure) -> None:
    """Refuse what no engine writes and no replay could follow.

    :raises ValueError: when a part is missing or contradicts another.
    """
    if not failure.laws:
        raise ValueError("failure.laws is empty")
    if not 0 <= failure.phase < len(failure.scenario.phases):
        raise ValueError(f"failure.phase is {failure.phase}, and the scenario has no such phase")
    if len(failure.earlier) > failure.phase:
        raise ValueError("failure.earlier has schedules of phases that do not come before its own")
    _require_clients(failure, failure.phase, {*failure.choices, *(step.client for step in failure.steps)})
    for injection in failure.faults:
        if not 0 <= injection.phase < len(failure.scenario.phases):
            raise ValueError(
                f"failure.faults names phase {injection.phase}, and the scenario has no such phase"
            )
        _require_clients(failure, injection.phase, {injection.client})
    for phase, choices in enumerate(failure.earlier):
        _require_clients(failure, phase, set(choices))


def _require_clients(failure: Failure, phase: int, named: set[str]) -> None:
    """Refuse a schedule that lets somebody go who has nothing to do.

    :raises ValueError: when it does.
    """
    strangers = named - {program.client for program in failure.scenario.phases[phase].programs}
    if strangers:
        raise ValueError(f"its schedule names {sorted(strangers)[0]!r}, who has no program in its phase")


def _replays(report: Report) -> Iterable[str]:
    for check in report.checks:
        for violation in check.violations:
            if violation.replay:
                yield violation.replay


def _files(root: Path) -> Iterable[Path]:
    """Yield every failure's file: those of the newest run first, and of one run the newest first."""
    for run in run_folders(root):
        yield from sorted((run / FAILURES_FOLDER).glob("[!.]*.json"), key=_age, reverse=True)


def _age(path: Path) -> tuple[int, str]:
    return path.stat().st_mtime_ns, path.name


def _not_found(root: Path, name: str, found: list[Path], files: list[Path]) -> UsageError:
    ids = list(dict.fromkeys(path.stem for path in found or files))
    listed = ", ".join(ids[:_MOST_LISTED]) or "none yet"
    more = f" and {len(ids) - _MOST_LISTED} older" if len(ids) > _MOST_LISTED else ""
    if found:
        return UsageError(f"Several failures in {root} begin with {name!r}: {listed}{more}.")
    return UsageError(f"No failure named {name!r} in {root}. The newest: {listed}{more}.")
