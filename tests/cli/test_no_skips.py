"""The rule that nothing may be skipped in CI."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(("ci", "code"), [("true", 1), ("", 0)])
def test_a_skip_fails_the_session_in_ci_only(ci: str, code: int, tmp_path: Path) -> None:
    """With CI set, a session with a skipped test fails and names it; elsewhere it passes."""
    (tmp_path / "test_it.py").write_text(
        "import pytest\ndef test_a(): pytest.skip('no engine here')\ndef test_b(): pass\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "tests.no_skips", "--rootdir", str(tmp_path), str(tmp_path)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "CI": ci},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == code, done.stdout
    assert ("test_it.py::test_a: no engine here" in done.stdout) == bool(ci)
