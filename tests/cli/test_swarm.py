"""oversell swarm: what a command line comes to, and what it is refused for."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import threading
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import pytest

from harness.cli import main
from harness.cli import swarm as command
from harness.cli._hosts import addresses_of, is_loopback
from harness.cli._policy import Session, guard
from harness.errors import UsageError
from harness.load.plan import LoadSettings, Shape
from tests.cli.commandline import OVERSELL, carrying, environment, oversell, without_settings
from tests.locusts.running import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from harness.driving.runner import Plan

EMBEDDED = ("--database", "embedded")
FEW = (*EMBEDDED, "--users", "20")
OWN_OPTION = """
from locust import events, task
from harness.locusts import Buyer

@events.init_command_line_parser.add_listener
def options(parser):
    parser.add_argument("--behave", default="")

class Mine(Buyer):
    @task
    def buy(self):
        assert self.environment.parsed_options.behave == "well"
        self.visit("rush")
"""
ANYBODY = "0.0.0.0"  # noqa: S104  # that is what is to be refused


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder without settings, which is the current one."""
    without_settings(tmp_path, monkeypatch)
    return tmp_path


@pytest.fixture
def taken() -> Iterator[int]:
    """A port of 127.0.0.1 on which somebody else listens."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


def chosen(*words: str) -> tuple[dict[str, Any], Sequence[str]]:
    """Return what click makes of a command line, and what stands behind ``--``."""
    with click.Context(click.Command("oversell"), obj=Session()) as top:
        context = command.COMMAND.make_context("swarm", list(words), parent=top)
        return context.params, context.meta[command.PASSED_ON]


def planned(*words: str) -> Plan:
    """Return the plan of a command line that is not refused."""
    return command.plan(*chosen(*words))


def load(*words: str) -> LoadSettings:
    """Return the load of a command line that is not refused."""
    return command.load_settings(*chosen(*words))


def refusal(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Return the one line that a command line gets that is refused, before anything was started."""
    assert main(["swarm", *words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert list(Path.cwd().glob(".oversell/runs/2*")) == []
    return line


def test_a_bare_command_is_a_rush_of_the_shipped_functions() -> None:
    """One scenario, the swarm alone, everybody at once."""
    plan = planned()
    assert [file.name for file in plan.scenarios] == ["rush"]
    assert plan.asked_for == {"rush"}
    assert [engine.name for engine in plan.engines] == ["swarm"]
    assert plan.spec == "sql"
    assert plan.settings.load == LoadSettings(users=100, run_time=60, port=None)


def test_every_flag_reaches_the_load(folder: Path) -> None:
    """Nothing that was said is lost on the way."""
    (folder / "mine.py").write_text("from harness.locusts import Buyer\n")
    flags = ["--users", "200", "--run-time", "2m", "--wait", "1s..2s", "--stock", "50", "--keep-going"]
    flags += ["--chaos", "--chaos-rate", "2.5%"]
    more = ["--workers", "2", "--shape", "spike", "--behaviour", "rush=3", "--locustfile", "mine.py"]
    made = load(*flags, *more, "--web", "--i-may-load-this-host", "--", "--tags", "a")
    assert made == LoadSettings(
        users=200,
        run_time=120,
        wait=(1, 2),
        stock=50,
        keep_going=True,
        chaos=0.025,
        workers=2,
        shape=Shape.SPIKE,
        behaviours={"rush": 3},
        locustfile=folder / "mine.py",
        web=True,
        may_load_host=True,
        locust_options=("--tags", "a"),
    )


def test_chaos_has_a_rate_of_its_own() -> None:
    """One in a hundred, unless another is named; without the flag a rate in a file is of no consequence."""
    assert load("--chaos").chaos == 0.01
    assert load("--chaos", "--chaos-rate", "100%").chaos == 1
    assert load("--no-chaos").chaos is None


@pytest.mark.parametrize("rate", ["0%", "100.1%", "1", "0.01", "-1%", "1 %", "nan%", "%", "much", ""])
def test_a_rate_that_is_no_share_is_refused(rate: str, capsys: pytest.CaptureFixture[str]) -> None:
    """In one line that shows a valid one."""
    line = refusal(capsys, "--chaos", "--chaos-rate", rate)
    assert "--chaos-rate" in line
    assert "as in 0.5%" in line


def test_a_master_says_where_and_for_whom_it_waits() -> None:
    """A port that the workers of other machines can know beforehand, unless another is named."""
    made = load("--master", "--expect-workers", "4", "--expect-within", "90s")
    assert (made.master, made.bind, made.port) == (True, "127.0.0.1", 5557)
    assert (made.expect_workers, made.expect_within) == (4, 90)
    assert load("--master", "--port", "6001").port == 6001
    assert load("--master", "--bind", "localhost").bind == "127.0.0.1", "Locust binds to addresses only"


def test_environment_and_file_are_heard(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings of the swarm stand in a table of their own, and obey the one order of precedence."""
    (folder / "oversell.toml").write_text(
        'target = "service"\n[swarm]\nusers = 7\nbehaviour = ["rush=2"]\nspawn-rate = 2.5\nwait = "1s"\n'
    )
    made = load()
    assert (made.users, made.behaviours, made.spawn_rate, made.wait) == (7, {"rush": 2}, 2.5, (1, 1))
    assert planned().spec == "service"
    monkeypatch.setenv("OVERSELL_SWARM_USERS", "8")
    assert load().users == 8
    assert load("--users", "9").users == 9


def test_the_time_of_the_run_follows_from_the_time_of_load() -> None:
    """Every scenario has its load, and time to gather and judge; waiting for workers comes on top."""
    one = planned("--run-time", "60s").max_time
    assert one > 60
    assert planned("--run-time", "600s").max_time >= one + 540
    assert planned("--run-time", "60s", "--scenario", "rush", "--scenario", "last_ticket").max_time > one + 60
    assert planned("--run-time", "60s", "--master", "--expect-within", "300s").max_time == one + 300


@pytest.mark.parametrize(
    ("text", "pause"),
    [("0s", (0, 0)), ("0", (0, 0)), ("500ms", (0.5, 0.5)), ("0s..2s", (0, 2)), ("1s .. 1m", (1, 60))],
)
def test_a_pause_is_one_time_or_two(text: str, pause: tuple[float, float]) -> None:
    """A wait of none is one too."""
    assert load("--wait", text).wait == pause


def test_only_what_follows_the_two_dashes_is_passed_on() -> None:
    """Options of Locust are not parsed as ours, whatever they look like."""
    assert load("--users", "5", "--", "--tags", "a", "b").locust_options == ("--tags", "a", "b")
    assert load("--users", "5", "--").locust_options == ()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--users", "0"], "--users"),
        (["--users", "many"], "--users"),
        (["--spawn-rate", "0"], "--spawn-rate"),
        (["--spawn-rate", "nan"], "--spawn-rate"),
        (["--run-time", "60"], "valid: 250ms, 90s, 5m, 1h30m"),
        (["--run-time", "0s"], "--run-time"),
        (["--wait", "1..2"], "valid: 0s, 500ms, 1s..3s"),
        (["--wait", "2s..1s"], "ends before it begins"),
        (["--wait", "1s..2s..3s"], "is no pause"),
        (["--stock", "0"], "--stock"),
        (["--workers", "-1"], "--workers"),
        (["--shape", "round"], "'steady', 'spike', 'ramp', 'soak'"),
        (["--behaviour", "rusch"], "Did you mean 'rush'?"),
        (["--behaviour", "rush=0"], "'0' is no weight"),
        (["--behaviour", "rush="], "'' is no weight"),
        (["--behaviour", "rush=a"], "valid: a whole number from 1"),
        (["--behaviour", "rush", "--behaviour", "rush=2"], "names rush twice"),
        (["--locustfile", "nowhere.py"], "nowhere.py"),
        (["--target", "speciman"], "No target named"),
        (["--scenario", "rusch"], "Did you mean 'rush'?"),
        (["rush"], "rush"),
        (["--engine", "burst"], "No option named '--engine'"),
        (["--max-time", "5m"], "No option named '--max-time'"),
    ],
)
def test_a_value_that_is_none_is_refused(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line, exit code 2, what is valid."""
    assert said in refusal(capsys, *words)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--master", "--workers", "2"], "--master waits for workers from elsewhere"),
        (["--master", "--worker"], "Choose one of --master and --worker"),
        (["--worker"], "--worker --master-host HOST"),
        (["--worker", "--master-host", "h", "--target", "sql"], "--target is for the master to say"),
        (["--worker", "--master-host", "h", "--users", "5"], "--users is for the master to say"),
        (["--worker", "--master-host", "h", "--web"], "--web is for the master to say"),
        (["--master-host", "h"], "--master-host says nothing without --worker"),
        (["--bind", ANYBODY], "--bind says nothing without --master"),
        (["--port", "5557"], "--port says nothing without --master"),
        (["--expect-workers", "3"], "--expect-workers says nothing without --master"),
        (["--expect-within", "3s"], "--expect-within says nothing without --master"),
        (["--web-port", "8089"], "--web-port says nothing without --web"),
        (["--web-host", "127.0.0.1"], "--web-host says nothing without --web"),
        (["--chaos-rate", "2%"], "--chaos-rate says nothing without --chaos"),
        (
            ["--chaos", "--target", "http://127.0.0.1:3000"],
            "http://127.0.0.1:3000 is connected to its own already",
        ),
        (["--worker", "--master-host", "h", "--chaos"], "--chaos is for the master to say"),
        (["--shape", "ramp", "--spawn-rate", "5"], "Choose one of --shape and --spawn-rate"),
        (["--users", "100", "--spawn-rate", "1", "--run-time", "60s"], "100 s to come"),
        (["--users", "2", "--workers", "3"], "2 users cannot be shared out among 3 workers"),
        (["--users", "2", "--master", "--expect-workers", "3"], "among 3 workers"),
        (
            ["--master", "--bind", ANYBODY, "--target", "service"],
            "none of those can reach --target service",
        ),
        (
            ["--master", "--bind", ANYBODY, "--target", "http://localhost:8000"],
            "none of those can reach --target http://localhost:8000",
        ),
        (["--master", "--bind", "203.0.113.77"], "203.0.113.77 is no address of this machine"),
        (["--master", "--bind", "no.such.host.invalid"], "cannot be resolved"),
        (["--master", "--bind", "::1"], "Locust listens on IPv4"),
        (["--web", "--web-host", "::1"], "Locust listens on IPv4"),
        (
            ["--master", "--scenario", "rush", "--scenario", "last_ticket"],
            "go home after one scenario, and 2 are named",
        ),
        (["--quiet", "--verbose"], "Choose one of --quiet and --verbose"),
        (["--", "--users", "5"], "Use that, before --"),
        (["--", "-u", "5"], "oversell's --users"),
        (["--", "-u5"], "oversell's --users"),
        (["--", "--run-t", "5"], "oversell's --run-time"),
        (["--", "--host=http://127.0.0.1"], "oversell's --target"),
        (["--", "--csv", "x"], "kept in the run folder"),
        (["--", "--list"], "makes no load"),
        (["--", "--no-such-thing"], "Locust does not take what stands behind --: unrecognized arguments"),
    ],
)
def test_what_cannot_be_meant_together_is_refused(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is started, with the way out."""
    assert said in refusal(capsys, *words)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = 1", "mine.py has no user that is a Buyer, so there is nothing to audit"),
        ("from locust import HttpUser\nclass Mine(HttpUser): pass", "has no user that is a Buyer"),
        ("import nowhere_at_all", "ModuleNotFoundError: No module named 'nowhere_at_all'"),
        ("def (", "mine.py, line 1: SyntaxError"),
        ("import sys; sys.exit(0)", "SystemExit: 0"),
    ],
)
@pytest.mark.parametrize("words", [(), ("--worker", "--master-host", "127.0.0.1")], ids=["master", "worker"])
def test_a_locustfile_of_no_use_is_refused(
    text: str, said: str, words: Sequence[str], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before a database is brought up, with what Locust says of it."""
    (folder / "mine.py").write_text(text)
    assert said in refusal(capsys, *words, "--locustfile", "mine.py")


def test_options_of_a_locustfile_are_known_with_it_only(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What its own parser takes is taken; everything else is refused as without it."""
    (folder / "mine.py").write_text(OWN_OPTION)
    assert "unrecognized arguments: --behave" in refusal(capsys, "--", "--behave", "well")
    line = refusal(capsys, "--locustfile", "mine.py", "--", "--behave", "well", "--more", "so")
    assert "unrecognized arguments: --more" in line


def test_a_port_in_use_is_refused(taken: int, capsys: pytest.CaptureFixture[str]) -> None:
    """Two masters on one port, or a page where there is one already."""
    assert f"Port {taken} on 127.0.0.1 is in use" in refusal(capsys, "--master", "--port", str(taken))
    assert f"Port {taken} on localhost is in use" in refusal(
        capsys, "--master", "--bind", "localhost", "--port", str(taken)
    )
    line = refusal(capsys, "--web", "--web-port", str(taken))
    assert f"Port {taken} on 127.0.0.1 is in use" in line
    assert "--web-port" in line


def test_a_file_does_not_contradict_what_it_does_not_know_of(folder: Path) -> None:
    """Ten machines share one settings file: what is not for a worker in it is no mistake of the worker's."""
    (folder / "oversell.toml").write_text(
        'target = "service"\n[swarm]\nusers = 7\nport = 6000\nweb-port = 8089\n'
    )
    params, _ = chosen("--worker", "--master-host", "h")
    assert params["worker"]
    assert load().users == 7


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("swarm = 3", "key swarm: must be a table"),
        ("[swarm]\nuserz = 3", "Did you mean 'swarm.users'?"),
        ("users = 3", "it belongs to the table swarm"),
        ('[swarm]\nusers = "3"', "key swarm.users: must be a whole number"),
        ('[swarm]\nspawn-rate = "3"', "key swarm.spawn-rate: must be a number"),
        ('[swarm]\nrun-time = "3"', "key swarm.run-time"),
        ('[swarm]\nchaos = "yes"', "key swarm.chaos: must be true or false"),
        ("[swarm]\nchaos-rate = 0.01", "key swarm.chaos-rate: must be a string"),
        ("[swarm]\nweb = 1", "key swarm.web: must be true or false"),
        ("[swarm]\nconsent = true", "No setting named 'swarm.consent'"),
    ],
)
def test_a_wrong_table_is_refused_by_file_and_key(
    folder: Path, text: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing in it is silently ignored, and nobody consents by a file."""
    (folder / "oversell.toml").write_text(text)
    line = refusal(capsys)
    assert "oversell.toml" in line
    assert said in line


@pytest.mark.parametrize(
    "url", ["http://192.0.2.7:8000", "https://192.0.2.7", "http://[2001:db8::1]:80", "http://0.0.0.0:80"]
)
def test_a_host_that_is_not_this_machine_needs_consent(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Load that nobody asked for is an attack; consent is one flag, and no setting of a file."""
    words = ("--target", url, "--database", "postgresql://me@127.0.0.1/shop")
    line = refusal(capsys, *words)
    assert "is not this machine" in line
    assert "--i-may-load-this-host" in line
    assert load(*words, "--i-may-load-this-host").may_load_host


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8000", "http://127.1.2.3", "http://[::1]:9", "http://localhost"]
)
def test_this_machine_needs_no_consent(url: str) -> None:
    """Every way of naming it."""
    made = load("--target", url, "--database", "postgresql://me@127.0.0.1/shop")
    assert not made.may_load_host


def resolving_to(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """Have every name lead to these addresses."""
    entries = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0)) for address in addresses]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: entries)


def test_a_name_for_this_machine_is_good_here_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where workers of other machines look it up it may mean another: then it needs consent."""
    resolving_to(monkeypatch, "127.0.1.1")
    assert load("--target", "http://shop.example").may_load_host
    with pytest.raises(UsageError, match="may be another one where workers look it up"):
        load("--target", "http://shop.example", "--master")
    assert load("--target", "http://shop.example", "--master", "--i-may-load-this-host").may_load_host


def test_a_name_counts_by_every_address_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    """One loopback address among others does not make a host this machine."""
    resolving_to(monkeypatch, "127.0.0.1", "192.0.2.7")
    assert addresses_of("two.example") == ["127.0.0.1", "192.0.2.7"]
    with pytest.raises(UsageError, match=r"two\.example \(192\.0\.2\.7\) is not this machine"):
        load("--target", "http://two.example:8000")


@pytest.mark.parametrize(
    ("address", "ours"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("::ffff:192.0.2.7", False),
        ("10.0.0.1", False),
        ("fe80::1%lo", False),
    ],
)
def test_which_addresses_are_this_machine(address: str, ours: bool) -> None:
    """Mapped addresses count as what they map to, private networks as other machines."""
    assert is_loopback(address) is ours


def test_a_name_that_nobody_answers_for_is_refused_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A resolver may take minutes; the command does not."""
    monkeypatch.setattr("harness.cli._hosts._RESOLVING", 0.05)
    waiting = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: waiting.wait(30))
    try:
        with pytest.raises(UsageError, match="could not be resolved within"):
            addresses_of("slow.example")
    finally:
        waiting.set()


def test_errors_name_where_a_value_came_from(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The person who set a variable is told about the variable."""
    monkeypatch.setenv("OVERSELL_SWARM_USERS", "0")
    assert guard(lambda: main(["swarm"]), Session()) == 2
    assert "OVERSELL_SWARM_USERS" in capsys.readouterr().err


@contextlib.contextmanager
def running(folder: Path, *words: str, seen: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Yield a swarm once this was said, and a mark in the environment of all that it starts."""
    mark = f"swarm-test-{os.getpid()}-{folder.name}"
    with subprocess.Popen(
        [*OVERSELL, "swarm", *words],
        cwd=folder,
        env=environment(SWARM_TEST_MARK=mark),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            said = []
            for line in process.stdout:
                said.append(line)
                if seen in line:
                    break
            else:
                pytest.fail("".join(said))
            yield process, mark
        finally:
            process.kill()


def ended(process: subprocess.Popen[str]) -> str:
    """Wait for the end and return what was said since."""
    return process.communicate(timeout=90)[0]


def document(folder: Path) -> dict[str, Any]:
    """Return what the latest run came to."""
    found: dict[str, Any] = json.loads((folder / ".oversell/runs/latest/verdict.json").read_text())
    return found


def processes_end(mark: str) -> None:
    """Wait until nothing that carries the mark runs any more."""
    while found := carrying(mark):
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                select.select([os.pidfd_open(pid)], [], [], 60)


def test_the_service_is_safe_with_every_commit_audited(folder: Path) -> None:
    """What every engineer runs first: exit code 0, nothing sampled, the document alone on standard output."""
    words = ("--target", "service", "--run-time", "3s", "--workers", "2")
    done = oversell("swarm", *FEW, *words, "--json", cwd=folder, timeout=110)
    assert done.returncode == 0, done.stderr
    (check,) = json.loads(done.stdout)["checks"]
    assert (check["engine"], check["verdict"], check["audit"]) == ("swarm", "safe", "every commit")
    assert check["commits_audited"] >= check["outcomes"]["accepted"] > 0
    assert check["outcomes"]["sold_out"] > 0
    assert "  every commit; " in done.stderr
    kept = {path.name for path in (folder / ".oversell/runs/latest/swarm/rush").iterdir()}
    assert {
        "locust.log",
        "worker-1.log",
        "worker-2.log",
        "locust.html",
        "locust_stats.csv",
        "history",
    } <= kept


def test_the_first_oversell_ends_the_load_and_is_named(folder: Path) -> None:
    """Long before its time: exit code 1, and the transaction stands in the report."""
    words = ("--target", "specimen:check_then_decrement", "--run-time", "10m", "--quiet")
    done = oversell("swarm", *FEW, *words, cwd=folder, timeout=110)
    assert done.returncode == 1, done.stderr
    (check,) = document(folder)["checks"]
    named = [one["commit"] for one in check["violations"] if one["law"] == "no_oversell"]
    assert named
    assert named[0]["xid"] > 0
    assert f"    commit:   transaction {named[0]['xid']}, committed 20" in done.stderr
    assert "requests/s" not in done.stderr


def test_locusts_page_is_served_until_somebody_interrupts(folder: Path) -> None:
    """Ctrl-C once: exit code 3, what was gathered is kept and judged, and nothing is left running."""
    port = free_port()
    words = ("--target", "service", "--run-time", "10m", "--workers", "1", "--web", "--web-port", str(port))
    with running(folder, *FEW, *words, seen=", 20 users") as (process, mark):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=30) as page:
            assert page.status == 200
            assert "Locust" in page.read().decode()
        assert any("locust" in command for command in carrying(mark).values())
        process.send_signal(signal.SIGINT)
        said = ended(process)
        assert process.returncode == 3, said
        assert carrying(mark) == {}
    assert "oversell: interrupted." in said
    (check,) = document(folder)["checks"]
    assert check["operations"] > 0
    assert any("interrupted" in reason for reason in document(folder)["reasons"])


def test_interrupted_twice_nothing_is_left_running(folder: Path) -> None:
    """Whatever it was doing: exit code 3, a document, what was recorded, and soon no process."""
    words = ("--target", "service", "--run-time", "10m", "--workers", "1")
    with running(folder, *FEW, *words, seen=", 20 users") as (process, mark):
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGINT)
        said = ended(process)
        assert process.returncode == 3, said
        processes_end(mark)
    assert document(folder)["verdict"] == "inconclusive"
    history = folder / ".oversell/runs/latest/swarm/rush/history"
    assert sum(file.stat().st_size for file in history.iterdir()) > 0


def test_a_master_and_its_workers_end_together(folder: Path) -> None:
    """As on two machines: the workers are let go with 0, and the verdict is the master's."""
    port = str(free_port())
    (folder / "worker").mkdir()
    at_worker = ("--worker", "--master-host", "127.0.0.1", "--master-port", port, "--workers", "2")
    with subprocess.Popen(
        [*OVERSELL, "swarm", *at_worker],
        cwd=folder / "worker",
        env=environment(),
        stderr=subprocess.PIPE,
        text=True,
    ) as worker:
        words = (
            "--target",
            "service",
            "--run-time",
            "3s",
            "--master",
            "--port",
            port,
            "--expect-workers",
            "2",
        )
        done = oversell("swarm", *FEW, *words, cwd=folder, timeout=110)
        _, said = worker.communicate(timeout=30)
    assert (done.returncode, worker.returncode) == (0, 0), done.stderr + said
    assert list((folder / "worker").iterdir()) == []


def test_a_worker_without_a_master_does_not_wait_for_ever(folder: Path) -> None:
    """Exit code 3, and what to look at."""
    port = str(free_port())
    words = ("--worker", "--master-host", "127.0.0.1", "--master-port", port, "--expect-within", "700ms")
    done = oversell("swarm", *words, cwd=folder)
    assert done.returncode == 3, done.stderr
    (line,) = done.stderr.splitlines()
    assert f"no master answers on 127.0.0.1:{port} after 0.7 s" in line


def test_a_worker_that_lost_its_master_says_so(folder: Path) -> None:
    """Exit code 3, where Locust's own is 0; and it ends by itself."""
    (folder / "mine.py").write_text(
        "import locust.runners\n"
        "locust.runners.MASTER_HEARTBEAT_TIMEOUT = 2\n"
        "from harness.locusts import Buyer\n"
    )
    port = str(free_port())
    master = ("--target", "service", "--run-time", "10m", "--master", "--port", port)
    at_worker = ("--worker", "--master-host", "127.0.0.1", "--master-port", port, "--locustfile", "mine.py")
    with subprocess.Popen(
        [*OVERSELL, "swarm", *at_worker], cwd=folder, env=environment(), stderr=subprocess.PIPE, text=True
    ) as worker:
        with running(folder, *FEW, *master, seen=", 20 users") as (process, mark):
            for pid, command in carrying(mark).items():
                if "--master" in command:
                    os.kill(pid, signal.SIGKILL)
            process.wait(timeout=90)
        _, said = worker.communicate(timeout=60)
    assert worker.returncode == 3, said
    assert "The master is lost" in said
    assert "oversell: inconclusive: 1 of 1 workers lost the master" in said


def test_a_killed_worker_leaves_it_open_and_nothing_running(folder: Path) -> None:
    """SIGKILL to the command of a worker: its Locust goes with it, and the master's verdict is no pass."""
    port = str(free_port())
    (folder / "worker").mkdir()
    master = ("--target", "service", "--run-time", "10m", "--master", "--port", port)
    at_worker = ("--worker", "--master-host", "127.0.0.1", "--master-port", port)
    with (
        running(folder, *FEW, *master, seen="checks") as (process, _),
        running(folder / "worker", *at_worker, seen="Starting Locust") as (worker, mark),
    ):
        assert process.stdout is not None
        assert any(", 20 users" in line for line in process.stdout)
        worker.kill()
        processes_end(mark)
        said = ended(process)
        assert process.returncode == 3, said
    assert any("the worker" in reason for reason in document(folder)["reasons"])


def test_a_locustfile_of_ones_own_with_options_of_its_own(folder: Path) -> None:
    """Both reach Locust, and its buyers are audited like ours."""
    (folder / "mine.py").write_text(OWN_OPTION)
    words = ("--target", "service", "--run-time", "3s", "--locustfile", "mine.py", "--json")
    done = oversell("swarm", *FEW, *words, "--", "--behave", "well", cwd=folder, timeout=110)
    assert done.returncode == 0, done.stderr
    (check,) = json.loads(done.stdout)["checks"]
    assert check["outcomes"]["accepted"] > 0


def test_the_gate_has_a_short_swarm(folder: Path) -> None:
    """Named as an engine, with the load of a gate, whatever the table of the swarm says."""
    (folder / "oversell.toml").write_text('[swarm]\nusers = 1\nrun-time = "10m"\n')
    words = ("--target", "specimen:atomic", "--engine", "swarm", "--scenario", "rush", "--json")
    done = oversell("check", *EMBEDDED, *words, cwd=folder, timeout=110)
    assert done.returncode == 0, done.stderr
    (check,) = json.loads(done.stdout)["checks"]
    assert (check["engine"], check["audit"]) == ("swarm", "every commit")
    assert check["load"]["users"] == 20
    assert "specimen:atomic speaks no HTTP: a gateway in this process" in done.stderr
