"""Where an embedded server keeps its data: in memory where there is plenty, else in the temporary folder.

A clone creates some 300 files. On a disk's file system that takes 20 to 300 ms, depending on the state of
its directories; in memory it takes 15 ms, always.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from harness.postgres.reaper import Reaper

PREFIX = "oversell-pg-"
OWNER_FILE = "owner"
"""Holds the number of the process a folder belongs to: without that process it is a left-over."""

MEMORY = Path("/dev/shm")  # noqa: S108  # private folders are made in it, as in any temporary folder
MEMORY_NEEDED = 4 << 30
"""Bytes that must be free in memory before data is kept there: many times what a run writes."""

_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


def temporary() -> Path:
    """Return the folder for temporary files."""
    return Path(tempfile.gettempdir())


def for_data(*, durable: bool) -> Path:
    """Return where to make a data folder. ``TMPDIR`` decides when it is set, and crash tests need a disk."""
    if durable or os.environ.get("TMPDIR") or not _room_in_memory():
        return temporary()
    return MEMORY


@contextlib.contextmanager
def private_folder(parent: Path, reaper: Reaper) -> Iterator[Path]:
    """Make a folder only its owner can enter; it is removed at exit, and by the reaper after a crash.

    :raises UsageError: when it cannot be made.
    """
    try:
        folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
    except OSError as error:
        raise UsageError(f"no folder can be made in {parent}: {error.strerror}; set TMPDIR.") from error
    reaper.watch_folder(folder)
    try:
        (folder / OWNER_FILE).write_text(f"{os.getpid()}\n")
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        reaper.release(folder)


def left_over_folders() -> Sequence[Path]:
    """Return the data folders whose owner is gone, as far as we may look into them."""
    parents = {temporary(), MEMORY}
    return sorted(each for parent in parents for each in parent.glob(f"{PREFIX}*") if _abandoned(each))


def is_running(pid: int) -> bool:
    """Say whether a process of that number exists."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass  # Somebody else's, but there.
    return True


def _abandoned(folder: Path) -> bool:
    try:
        return not is_running(int((folder / OWNER_FILE).read_text()))
    except (ValueError, OverflowError, FileNotFoundError):
        return True
    except OSError:
        return False


def _room_in_memory() -> bool:
    """Say whether data can be kept in memory without anybody missing it."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        free = shutil.disk_usage(MEMORY).free
        writable = MEMORY.is_mount() and os.access(MEMORY, os.W_OK | os.X_OK)
        return writable and min(free, _available_memory()) >= MEMORY_NEEDED
    return False


def _available_memory() -> int:
    """Return the bytes of memory that could be had, within the limits of our control group."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    available = next(int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:"))
    for limit in _LIMITS:
        with contextlib.suppress(OSError, ValueError):
            available = min(available, int(limit.read_text()))
    return available
