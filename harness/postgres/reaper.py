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

    from typing_extensions import Self


class Reaper:
    """A registry of process groups, folders and containers that a guardian process removes.

    Use it as a context manager, or call :meth:`close`: whatever is still registered is removed then.
    The guardian has a session of its own, so Ctrl-C at the terminal does not reach it.
    """

    def __init__(self) -> None:
        self._watched: dict[tuple[str, str], int] = {}
        self._guardian = subprocess.Popen(
            [sys.executable, "-I", "-S", _guardian.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,
        )

    def watch_process_group(self, pid: int, *, stop: signal.Signals = signal.SIGTERM) -> None:
        """Register a process group by its leader; ``stop`` is sent first, SIGKILL if that is not enough."""
        self._order("watch", "group", str(pid), stop)

    def watch_folder(self, path: Path) -> None:
        """Register a folder to be removed with all it holds."""
        self._order("watch", "folder", str(path.absolute()))

    def watch_container(self, name: str) -> None:
        """Register a container, by name or id; it may be created afterwards."""
        self._order("watch", "container", name)

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
            self._guardian.wait(timeout=2 * _guardian.PATIENCE)
        except subprocess.TimeoutExpired:
            self._guardian.kill()
            self._guardian.wait()
        if self._guardian.returncode:
            _guardian.reap(self._watched)
        self._watched.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _order(self, do: str, kind: str, what: str, stop: int = 0) -> None:
        """Tell the guardian; when somebody killed it, what is registered is still removed by :meth:`close`."""
        order = {"do": do, "kind": kind, "what": what, "signal": str(int(stop))}
        _guardian.follow(self._watched, order)
        if self._guardian.stdin is not None and not self._guardian.stdin.closed:
            with contextlib.suppress(BrokenPipeError):
                self._guardian.stdin.write(json.dumps(order).encode() + b"\n")
                self._guardian.stdin.flush()
