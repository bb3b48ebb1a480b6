"""Run folders: where everything a run leaves lies."""

from __future__ import annotations

import errno
import os
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

from harness.errors import UsageError

DEFAULT_RUNS = Path(".oversell/runs")
LATEST = "latest"
_NO_SYMLINKS_HERE = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}


def create_run_folder(root: Path) -> Path:
    """Make and return ``root/<UTC time>/`` and point ``root/latest`` at it.

    Two runs that start in one second get two folders: the second ends in ``-2``.

    :param root: the folder of all runs, what ``--runs`` names.
    :raises UsageError: when it cannot be made or written to.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
        folder = _make_unique(root, datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%SZ"))
        _point_latest_at(folder)
    except OSError as error:
        raise UsageError(
            f"No run folder can be made in {root}: {error.strerror or error}"
            f"{f' ({error.filename})' if error.filename else ''}. Choose another one with --runs DIR."
        ) from error
    return folder


def find_run(root: Path, name: str) -> Path:
    """Return the folder of a run.

    :param name: ``latest``, the name of a folder in ``root``, or a path.
    :raises UsageError: when there is no such run; the message lists those there are.
    """
    runs = run_folders(root)
    # Where symbolic links cannot be made, the newest run is the latest.
    candidates = [root / name, *runs[:1]] if name == LATEST else [root / name, Path(name)]
    for candidate in candidates:
        if name and candidate.is_dir():
            return candidate.resolve()
    there_are = ", ".join(run.name for run in runs[:10]) or "none yet"
    more = f" and {len(runs) - 10} older" if len(runs) > 10 else ""
    raise UsageError(f"No run named {name!r} in {root}. Runs: {there_are}{more}.")


def run_folders(root: Path) -> list[Path]:
    """Return the folders of all runs, the newest first."""
    if not root.is_dir():
        return []
    folders = [item for item in root.iterdir() if item.is_dir() and not item.is_symlink()]
    return sorted(folders, key=_age, reverse=True)


def _make_unique(root: Path, stamp: str) -> Path:
    for number in count(1):
        folder = root / (stamp if number == 1 else f"{stamp}-{number}")
        try:
            folder.mkdir()
        except FileExistsError:
            continue
        return folder
    raise AssertionError("count() does not end")


def _point_latest_at(folder: Path) -> None:
    link = folder.parent / f".{LATEST}-{folder.name}-{os.getpid()}"
    try:
        link.symlink_to(folder.name)
    except OSError as error:
        if error.errno in _NO_SYMLINKS_HERE:
            return
        raise
    try:
        link.replace(folder.parent / LATEST)
    except OSError:
        link.unlink()
        raise


def _age(folder: Path) -> tuple[str, int]:
    stamp, _, number = folder.name.partition("Z-")
    return stamp.rstrip("Z"), int(number) if number.isdecimal() else 1
