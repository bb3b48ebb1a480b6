from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.errors import UsageError
from harness.model.events import Noticed
from harness.reporting import REPORTERS, Listeners, ReportConsole, Reporter, Setting, open_listeners
from tests.reporting.samples import VIOLATED_REPORT, run_events

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from harness.model.events import Event

ARTIFACTS = {"events.jsonl", "evidence", "junit.xml", "report.html", "report.md", "verdict.json"}
HELLO = Noticed(message="hello")


class Recorder:
    """A reporter that keeps what it hears, and raises when it is told to."""

    def __init__(
        self, error: BaseException | None = None, *, error_at_close: Exception | None = None
    ) -> None:
        self.heard: list[Event] = []
        self.closed = 0
        self._error = error
        self._error_at_close = error_at_close

    def __call__(self, event: Event) -> None:
        self.heard.append(event)
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        self.closed += 1
        if self._error_at_close is not None:
            raise self._error_at_close


def _listeners(folder: Path, console: ReportConsole, **reporters: Recorder) -> Listeners:
    entries = [
        Reporter(name, lambda _, recorder=recorder: recorder)  # type: ignore[misc]  # bound by the default
        for name, recorder in reporters.items()
    ]
    return Listeners(entries, Setting(folder, console))


def _go(folder: Path, console: ReportConsole) -> None:
    with open_listeners(folder, console=console) as listen:
        for event in run_events(VIOLATED_REPORT, folder):
            listen(event)


@contextlib.contextmanager
def small_disk() -> Iterator[None]:
    """Let no file grow beyond a few bytes: writes really fail, for root as well.

    No fixture: pytest writes its own output, which may be a file, before a fixture is undone.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (16, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_run_leaves_every_artifact(finished: Callable[..., Path]) -> None:
    """All reporters together leave exactly the documented files, none of them half-written."""
    assert {item.name for item in finished(VIOLATED_REPORT).iterdir()} == ARTIFACTS


def test_only_the_named_reporters_are_opened(tmp_path: Path, console: ReportConsole) -> None:
    """Naming reporters leaves the others out."""
    with open_listeners(tmp_path, console=console, names=["junit"]) as listen:
        for event in run_events(VIOLATED_REPORT, tmp_path):
            listen(event)
    assert [item.name for item in tmp_path.iterdir()] == ["junit.xml"]


def test_an_unknown_reporter_is_a_usage_error(tmp_path: Path, console: ReportConsole) -> None:
    """The error lists the reporters there are."""
    with pytest.raises(
        UsageError, match="console, events, evidence, failures, html, junit, markdown, verdict_json"
    ):
        open_listeners(tmp_path, console=console, names=["pdf"])


def test_every_reporter_has_a_page() -> None:
    """The docstring of a reporter's module is its documentation, and its name is its file's."""
    for name in REPORTERS.entries:
        module = __import__(f"harness.reporting.reporters.{name}", fromlist=[name])
        assert module.__doc__
        assert len(module.__doc__.splitlines()) == 1


@pytest.mark.parametrize("error", [ValueError("broken"), SystemExit(1)], ids=["exception", "exit"])
def test_a_failing_reporter_is_said_once_and_dropped(
    tmp_path: Path, console: ReportConsole, said: Callable[[], str], error: BaseException
) -> None:
    """It hears no more, is closed, the others hear everything, and its traceback is in the internal log."""
    bad, good = Recorder(error), Recorder()
    with _listeners(tmp_path, console, bad=bad, good=good) as listen:
        listen(HELLO)
        listen(HELLO)
    assert (len(bad.heard), bad.closed) == (1, 1)
    assert (len(good.heard), good.closed) == (2, 1)
    assert said().count("\n") == 1
    assert "The reporter 'bad' failed and was left out" in said()
    assert "Traceback" in (tmp_path / "internal.log").read_text()


def test_an_interrupt_is_not_swallowed(tmp_path: Path, console: ReportConsole) -> None:
    """Ctrl-C while a reporter works ends the run, and every reporter is still closed."""
    recorder = Recorder(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt), _listeners(tmp_path, console, one=recorder) as listen:
        listen(HELLO)
    assert recorder.closed == 1


def test_a_failure_to_close_does_not_escape(
    tmp_path: Path, console: ReportConsole, said: Callable[[], str]
) -> None:
    """A reporter that cannot be closed is said, and the next one is closed all the same."""
    bad, good = Recorder(error_at_close=OSError(errno.EIO, "Input/output error")), Recorder()
    with _listeners(tmp_path, console, bad=bad, good=good):
        pass
    assert good.closed == 1
    assert "Input/output error" in said()


def test_a_full_disk_is_one_line(tmp_path: Path, console: ReportConsole, said: Callable[[], str]) -> None:
    """Every file fails, one line says so, the console report is whole, nothing half-written is left."""
    with small_disk():
        _go(tmp_path, console)
    lines = [line for line in said().splitlines() if "cannot be written" in line]
    assert len(lines) == 1
    assert str(tmp_path) in lines[0]
    assert "File too large" in lines[0]
    assert "violated: a law was broken" in said()
    assert {item.name for item in tmp_path.rglob("*")} <= {"evidence", "events.jsonl", "internal.log"}


def test_a_device_without_space_is_one_line(
    tmp_path: Path, console: ReportConsole, said: Callable[[], str]
) -> None:
    """The event log on a full device fails by itself; everything else is written."""
    (tmp_path / "events.jsonl").symlink_to("/dev/full")
    _go(tmp_path, console)
    assert said().count("No space left on device") == 1
    assert (tmp_path / "verdict.json").is_file()


def test_a_vanished_folder_is_one_line(
    tmp_path: Path, console: ReportConsole, said: Callable[[], str]
) -> None:
    """A run folder that is removed under way costs the files, not the report on the console."""
    folder = tmp_path / "run"
    folder.mkdir()
    with open_listeners(folder, console=console) as listen:
        events = run_events(VIOLATED_REPORT, folder)
        listen(next(events))
        for item in folder.iterdir():
            item.unlink()
        folder.rmdir()
        # Evidence makes its own folder, and with it the run folder again; here it must not come to that.
        folder.touch()
        for event in events:
            listen(event)
    assert said().count("cannot be written") == 1
    assert "violated: a law was broken" in said()


def test_evidence_is_not_written_outside(
    tmp_path: Path, console: ReportConsole, said: Callable[[], str]
) -> None:
    """A path that leads out of the run folder is refused."""
    folder = tmp_path / "run"
    folder.mkdir()
    kept = next(event for event in run_events(VIOLATED_REPORT, folder) if hasattr(event, "evidence"))
    object.__setattr__(kept, "path", "../outside.json")
    with open_listeners(folder, console=console, names=["evidence"]) as listen:
        listen(kept)
    assert not (tmp_path / "outside.json").exists()
    assert "leads out of the run folder" in said()


def test_a_reader_that_went_away_changes_no_exit_code_and_no_standard_output(tmp_path: Path) -> None:
    """With standard error closed by its reader, the run goes on and standard output is still ours."""
    script = (
        "import sys, pathlib\n"
        "from harness.reporting import ReportConsole, open_listeners\n"
        "from tests.reporting.samples import VIOLATED_REPORT, run_events\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        "with open_listeners(folder, console=ReportConsole(stderr=True)) as listen:\n"
        "    for event in run_events(VIOLATED_REPORT, folder): listen(event)\n"
        "print('document')\n"
    )
    reader, writer = os.pipe()
    os.close(reader)
    result = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=writer,
        cwd=Path(__file__).parents[2],
        timeout=60,
        check=False,
    )
    os.close(writer)
    assert (result.returncode, result.stdout) == (0, b"document\n")
    assert json.loads((tmp_path / "verdict.json").read_bytes())["verdict"] == "violated"


def test_what_was_gathered_survives_a_kill(tmp_path: Path) -> None:
    """After SIGKILL between two events, the evidence and a line per event are on disk."""
    script = (
        "import os, signal, sys, pathlib\n"
        "from harness.reporting import ReportConsole, open_listeners\n"
        "from harness.model.events import CheckFinished\n"
        "from tests.reporting.samples import VIOLATED_REPORT, run_events\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        "with open_listeners(folder, console=ReportConsole(stderr=True)) as listen:\n"
        "    for event in run_events(VIOLATED_REPORT, folder):\n"
        "        listen(event)\n"
        "        if isinstance(event, CheckFinished): os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)],
        capture_output=True,
        cwd=Path(__file__).parents[2],
        timeout=60,
        check=False,
    )
    assert result.returncode == -9
    lines = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    assert [line["event"] for line in lines] == [
        "run_started",
        "check_skipped",
        "check_started",
        "check_progressed",
        "check_progressed",
        "evidence_kept",
        "check_finished",
    ]
    assert lines[-1]["check"]["verdict"] == "violated"
    assert (tmp_path / lines[-2]["path"]).is_file()


def test_the_console_itself_may_fail(tmp_path: Path) -> None:
    """A console that cannot be written to neither stops the others nor escapes."""
    closed = io.StringIO()
    closed.close()
    _go(tmp_path, ReportConsole(file=closed))
    assert {item.name for item in tmp_path.iterdir()} >= ARTIFACTS
