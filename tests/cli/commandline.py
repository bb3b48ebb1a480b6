"""Running the real command, as a person or a pipeline does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from harness.cli._options import SETTINGS

if TYPE_CHECKING:
    import pytest

OVERSELL = (sys.executable, "-m", "harness")


def environment(**more: str) -> dict[str, str]:
    """Return ours without settings, with these variables added."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OVERSELL_")}
    return {**kept, "PYTHONUNBUFFERED": "1", **more}


def without_settings(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a folder the current one, and unset every variable that sets something."""
    for setting in SETTINGS.values():
        monkeypatch.delenv(setting.variable, raising=False)
    monkeypatch.chdir(folder)


def oversell(*words: str, cwd: Path, timeout: float = 60, **more: str) -> subprocess.CompletedProcess[str]:
    """Run ``oversell`` in a folder to its end."""
    return subprocess.run(
        [*OVERSELL, *words],
        cwd=cwd,
        env=environment(**more),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def carrying(mark: str) -> dict[int, str]:
    """Return the processes that inherited this mark in their environment, zombies left out."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (process / "environ").read_bytes():
                found[int(process.name)] = (process / "cmdline").read_text().replace("\0", " ")
        except OSError:
            continue
    return found
