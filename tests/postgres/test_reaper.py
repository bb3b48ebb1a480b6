"""The reaper, and that nothing outlives a run however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from harness.postgres import Reaper, _guardian
from tests.postgres.support import child, is_running
from tests.turns import await_end

if TYPE_CHECKING:
    from pathlib import Path

OBEDIENT = "import sys; print('up', flush=True); sys.stdin.read()"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {OBEDIENT}"


def group_leader(program: str) -> subprocess.Popen[str]:
    """Start a process in a group of its own, and wait until it runs."""
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    return process


def collect(process: subprocess.Popen[str]) -> int:
    """Wait for the end of a process, close its pipes, and return how it ended."""
    process.communicate(timeout=30)
    return process.returncode


def test_what_is_still_registered_at_the_end_is_removed(tmp_path: Path) -> None:
    """Process groups are stopped and folders removed; what was released is left alone."""
    doomed, spared = tmp_path / "doomed", tmp_path / "spared"
    for folder in (doomed, spared):
        (folder / "inner").mkdir(parents=True)
    leader, other = group_leader(OBEDIENT), group_leader(OBEDIENT)
    with Reaper() as reaper:
        reaper.watch_folder(doomed)
        reaper.watch_folder(spared)
        reaper.watch_process_group(leader.pid)
        reaper.watch_process_group(other.pid)
        reaper.release(spared)
        reaper.release(other.pid)
    assert collect(leader) == -signal.SIGTERM
    assert other.poll() is None
    other.kill()
    collect(other)
    assert not doomed.exists()
    assert spared.exists()


def test_a_process_that_ignores_the_signal_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Being asked comes first, being killed second."""
    monkeypatch.setattr(_guardian, "PATIENCE", 0.1)
    leader = group_leader(STUBBORN)
    _guardian.reap({("group", str(leader.pid)): str(int(signal.SIGTERM))})
    assert collect(leader) == -signal.SIGKILL


def test_the_signal_to_stop_with_can_be_chosen() -> None:
    """A server that must not linger gets the signal that suits it."""
    leader = group_leader(STUBBORN)
    with Reaper() as reaper:
        reaper.watch_process_group(leader.pid, stop=signal.SIGINT)
    assert collect(leader) != -signal.SIGKILL


def test_things_that_are_gone_already_are_no_trouble(tmp_path: Path) -> None:
    """A process that ended, a folder that was removed and a daemon that is not there stop nothing."""
    leader = group_leader(OBEDIENT)
    leader.kill()
    collect(leader)
    kept = tmp_path / "kept"
    kept.mkdir()
    with Reaper() as reaper:
        reaper.watch_process_group(leader.pid)
        reaper.watch_folder(tmp_path / "never made")
        reaper.watch_container("oversell-nothing", f"unix://{tmp_path}/docker.sock")
        reaper.watch_folder(kept)
    assert not kept.exists()


def test_a_killed_guardian_is_stood_in_for(tmp_path: Path) -> None:
    """When somebody kills the guardian, closing does its work."""
    folder = tmp_path / "folder"
    folder.mkdir()
    with Reaper() as reaper:
        reaper.watch_folder(folder)
        os.kill(reaper.pid, signal.SIGKILL)
        await_end(reaper.pid)
        reaper.watch_folder(tmp_path / "later")
    assert not folder.exists()


def test_ctrl_c_at_the_terminal_does_not_reach_the_guardian() -> None:
    """It lives in a session of its own and ignores what usually ends a process."""
    with Reaper() as reaper:
        assert os.getsid(reaper.pid) == reaper.pid


@pytest.mark.parametrize(("ending", "code"), [("return", 0), ("raise", 1)])
def test_a_run_that_ends_by_itself_leaves_nothing(ending: str, code: int) -> None:
    """A normal end and an exception both stop the server and remove its folder before we exit."""
    with child("embedded", ending) as run:
        assert run.ended() == code
        assert not is_running(run.postmaster)
        assert not run.folder.exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL, signal.SIGTERM])
def test_a_run_that_is_ended_leaves_nothing(number: signal.Signals) -> None:
    """Ctrl-C, SIGTERM and even SIGKILL leave neither a server nor a folder."""
    with child("embedded", "wait") as run:
        assert is_running(run.postmaster)
        assert run.folder.exists()
        run.process.send_signal(number)
        assert run.ended() != 0
        assert not is_running(run.postmaster)
        assert not run.folder.exists()
