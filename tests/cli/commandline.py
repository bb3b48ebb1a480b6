"""Running the real command, as a person or a pipeline does."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    Environment = dict[str, str]

OVERSELL = (sys.executable, "-m", "harness")


def environment(**more: str) -> dict[str, str]:
    """Return ours without settings, with these variables added."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OVERSELL_")}
    return {**kept, "PYTHONUNBUFFERED": "1", **more}


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
