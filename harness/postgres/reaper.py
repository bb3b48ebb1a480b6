"""The reaper: nothing we started outlives us, however we die.

Clean exits stop their own things and release them here. What is still registered when our process
ends, by SIGKILL too, is removed by a guardian child process that notices its pipe closing.
"""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from harness.postgres import _guardian

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

_GUARDIAN_LIMIT = 60.0
"""Seconds the guardian has, once asked, for all there is to remove."""


class Reaper:
    """A registry of process groups, folders and containers that a guardian process removes.

    Use it as a context manager, or call :meth:`close`: whatever is still registered is removed then.
    The guardian has a session of its own, so Ctrl-C at the terminal does not reach it.
    """

    def __init__(self) -> None:
        self._watched: dict[tuple[str, str], str] = {}
        self._guardian = subprocess.Popen(
            [sys.executable, "-I", "-S", _guardian.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        """The guardian's process number."""
        return self._guardian.pid

    def watch_process_group(self, pid: int, *, stop: signal.Signals = signal.SIGTERM) -> None:
        """Register a process group by its leader; ``stop`` is sent first, SIGKILL if that is not enough.

        Release it once its leader was waited for, since the number may then be given to somebody else.
        """
        self._order("watch", "group", str(pid), str(int(stop)))

    def watch_folder(self, path: Path) -> None:
        """Register a folder to be removed with all it holds."""
        self._order("watch", "folder", str(path.absolute()))

    def watch_container(self, name: str, host: str) -> None:
        """Register a container by name or id, before it is made or after, and its daemon's address."""
        self._order("watch", "container", name, host)

    def release(self, thing: int | str | Path) -> None:
        """Take a process group (its number), a folder (its path) or a container (its name) off the list."""
        kind = "group" if isinstance(thing, int) else "folder" if isinstance(thing, Path) else "container"
        what = str(thing.absolute()) if isinstance(thing, Path) else str(thing)
        self._order("release", kind, what)

    def close(self) -> None:
        """Remove what is still registered and let the guardian go."""
        if self._guardian.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._guardian.stdin.close()
        try:
            self._guardian.wait(timeout=_GUARDIAN_LIMIT)
        except subprocess.TimeoutExpired:
            self._guardian.kill()
            self._guardian.wait()
        if self._guardian.returncode:
            # Somebody killed it: the work is ours.
            _guardian.reap(self._watched)
        self._watched.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _order(self, do: str, kind: str, what: str, how: str = "") -> None:
        """Tell the guardian, and remember it in case somebody kills the guardian."""
        order = {"do": do, "kind": kind, "what": what, "how": how}
        _guardian.follow(self._watched, order)
        if self._guardian.stdin is not None and not self._guardian.stdin.closed:
            with contextlib.suppress(BrokenPipeError):
                self._guardian.stdin.write(json.dumps(order).encode() + b"\n")
                self._guardian.stdin.flush()
