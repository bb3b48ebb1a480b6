"""The pytest plugin as somebody else's suite meets it: a real pytest of its own, on a real Postgres."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from tests.cli.commandline import environment, oversell

if TYPE_CHECKING:
    from collections.abc import Mapping

pytest_plugins = ["pytester"]

SETTINGS = """
    [pytest]
    asyncio_mode = auto
    asyncio_default_fixture_loop_scope = session
    asyncio_default_test_loop_scope = session
    filterwarnings = error
"""
SHOPS = """
    from harness.model import Answer, Feature, Outcome
    from harness.specimens import SPECIMENS
    from tests.driving.fakes import MemoryTarget
    from tests.turns import next_turn

    right = SPECIMENS.get("atomic").target
    wrong = SPECIMENS.get("check_then_decrement").target
    only_sells = MemoryTarget(supports=frozenset({Feature.RESERVE}))

    async def refuse(client, sale, operation):
        await next_turn()
        return Answer(Outcome.INVALID)

    shut = MemoryTarget(behave=refuse)
"""
PYTEST = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--color=no"]
_HARNESS = {"harness", "harness.testing", "harness.testing.plugin"}


class Suite:
    """A folder with tests of somebody else's."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.write("pytest.ini", SETTINGS)
        self.write("shops.py", SHOPS)

    def write(self, name: str, text: str) -> None:
        """Write one of its files."""
        lines = text.split("\n")
        margin = min((len(line) - len(line.lstrip()) for line in lines if line.strip()), default=0)
        (self.folder / name).write_text("\n".join(line[margin:] for line in lines), encoding="utf-8")

    def tests(self, text: str) -> None:
        """Write its tests; the import of the gate is there already."""
        self.write("test_shop.py", f"{' ' * 8}from harness.testing import gate\n{text}")

    def run(self, *words: str, **more: str) -> Result:
        """Run it to its end."""
        return _run(self.folder, *words, **more)

    def documents(self) -> list[dict[str, object]]:
        """Return the verdict documents of its runs."""
        paths = sorted(self.folder.glob(".oversell/runs/20*/verdict.json"))
        return [json.loads(path.read_text(encoding="utf-8")) for path in paths]


class Result:
    """What it said."""

    def __init__(self, code: int, said: str) -> None:
        self.code, self.said = code, said

    @property
    def counts(self) -> Mapping[str, int]:
        """How many tests ended how, from the last line."""
        found = re.findall(r"(\d+) (passed|failed|skipped|deselected|xfailed|errors?)\b", self.last)
        return {word.rstrip("s") if word.startswith("error") else word: int(number) for number, word in found}

    @property
    def last(self) -> str:
        """The line that counts the tests."""
        return [line for line in self.said.splitlines() if line.strip()][-1]


def _run(folder: Path, *words: str, **more: str) -> Result:
    done = subprocess.run(
        [*PYTEST, *words],
        cwd=folder,
        env=environment(OVERSELL_DATABASE="embedded", **more),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    return Result(done.returncode, done.stdout + done.stderr)


@pytest.fixture
def suite(tmp_path: Path) -> Suite:
    """Somebody else's suite without any tests yet."""
    return Suite(tmp_path)


def test_a_right_target_passes_one_test_for_each_scenario_and_engine(suite: Suite) -> None:
    """One line of code; JUnit has the numbers of each, and the run folder the usual reports."""
    suite.tests("""
        test_tickets = gate("shops:right", scenarios=["last_ticket", "rush"], engines=["burst", "explore"])
    """)
    result = suite.run("-v", "--junitxml=junit.xml")
    assert (result.code, result.counts) == (0, {"passed": 4}), result.said
    for name in ("last_ticket-burst", "last_ticket-explore", "rush-burst", "rush-explore"):
        assert f"test_shop.py::test_tickets[{name}] PASSED" in result.said
    cases = {case.get("name"): case for case in ET.parse(suite.folder / "junit.xml").iter("testcase")}  # noqa: S314  # ours
    told = {
        each.get("name"): each.get("value") for each in cases["test_tickets[rush-explore]"].iter("property")
    }
    assert told["oversell_verdict"] == "safe"
    assert int(told["oversell_schedules"] or "") > 1
    assert told["oversell_exhausted"] == "True"
    (document,) = suite.documents()
    assert (document["verdict"], document["target"]) == ("safe", "shops:right")
    assert (suite.folder / ".oversell/runs/latest/junit.xml").is_file()


def test_a_wrong_target_fails_with_the_report_and_can_be_replayed(suite: Suite) -> None:
    """Sentence, steps and replay id; no traceback, since nothing of ours or of the tests went wrong."""
    suite.tests("""
        test_tickets = gate("shops:wrong", scenarios="last_ticket", engines="explore")
    """)
    result = suite.run("--junitxml=junit.xml")
    assert (result.code, result.counts) == (1, {"failed": 1}), result.said
    assert "violated: no_oversell: last: started with 1, sold 2" in result.said
    assert "│ buyer-1" in result.said
    assert "by here 2 of 1 × last are sold" in result.said
    assert "Traceback" not in result.said
    assert "plugin.py" not in result.said
    again = re.search(r"oversell replay (\w+)", result.said)
    assert again is not None
    replayed = oversell("replay", again[1], "--database", "embedded", cwd=suite.folder)
    assert (replayed.returncode, "STILL FAILS" in replayed.stdout) == (1, True), replayed
    failure = ET.parse(suite.folder / "junit.xml").find(".//failure")  # noqa: S314  # ours
    assert failure is not None
    assert "violated: no_oversell" in failure.get("message", "")


def test_inconclusive_is_a_failure(suite: Suite) -> None:
    """A pass that could not have failed is none, and neither is a run that there was no time for."""
    suite.tests("""
        test_shut = gate("shops:shut", scenarios="rush", engines="burst")
        test_late = gate("shops:right", scenarios="rush", engines="burst", settings={"max-time": "1ms"})
    """)
    result = suite.run()
    assert (result.code, result.counts) == (1, {"failed": 2}), result.said
    assert "inconclusive: no operation succeeded" in result.said
    assert "the time budget of 0.001 s was used up" in result.said
    assert [document["verdict"] for document in suite.documents()] == 2 * ["inconclusive"]


def test_what_the_target_cannot_do_is_skipped_unless_it_was_asked_for(suite: Suite) -> None:
    """Never silently: the reason is told, and a question that was asked by name is left open."""
    suite.tests("""
        test_tickets = gate("shops:only_sells", engines="burst", settings={"rounds": 1})
        test_named = gate("shops:only_sells", scenarios="holds_race", engines="burst")
    """)
    result = suite.run("-rs", "-k", "test_named or last_ticket-burst or holds_race-burst")
    assert result.code == 1, result.said
    assert {**result.counts, "deselected": 0} == {"passed": 1, "failed": 1, "skipped": 1, "deselected": 0}
    assert "SKIPPED [1]" in result.said
    assert "the target does not support: hold" in result.said
    assert "inconclusive: it was asked for by name, and not run: the target does not support" in result.said


def test_tests_are_chosen_and_spread_as_any_others(suite: Suite) -> None:
    """-k and a test's id choose, -n spreads; every process brings up what it needs, once."""
    suite.tests("""
        test_right = gate("shops:right", scenarios=["last_ticket", "rush"], engines="burst")
        test_wrong = gate("shops:wrong", scenarios=["last_ticket", "rush"], engines="explore")
    """)
    chosen = suite.run("test_shop.py::test_right", "-k", "rush-burst")
    assert (chosen.code, chosen.counts) == (0, {"passed": 1, "deselected": 1}), chosen.said
    spread = suite.run("-n", "2")
    assert (spread.code, spread.counts) == (1, {"passed": 2, "failed": 2}), spread.said


def test_collecting_starts_nothing(suite: Suite) -> None:
    """Neither a server nor what it would be reached with: collecting is what editors do all the time."""
    suite.tests("""
        test_tickets = gate("sql", scenarios=["last_ticket"])
        test_service = gate("service", scenarios=["last_ticket"])
        test_specimen = gate("specimen:atomic", scenarios=["last_ticket"])
    """)
    suite.write(
        "conftest.py",
        """
        import sys

        def pytest_sessionfinish(session):
            heavy = {"asyncpg", "litestar", "testcontainers", "docker", "uvicorn", "rich", "harness.postgres"}
            print("HEAVY", sorted(heavy & set(sys.modules)))
    """,
    )
    result = suite.run("--collect-only", "-q", "-s")
    assert result.code == 0, result.said
    assert "test_shop.py::test_service[last_ticket-explore]" in result.said
    assert "HEAVY []" in result.said
    assert not (suite.folder / ".oversell").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ('"shops:lef"', "Target 'shops:lef': no 'lef' there. Public names:"),
        ('"shop:right"', "No module named 'shop'"),
        ('"sqll"', "No target named 'sqll'. Valid:"),
        ('"specimen:atomc"', "No specimen named 'atomc'. Did you mean 'atomic'?"),
        ("object()", "Target 'object' is a object without name, supports, install, start"),
        ('scenarios="rsh"', "No scenario named 'rsh'. Did you mean 'rush'?"),
        ('engines=["brst"]', "No engine named 'brst'. Did you mean 'burst'?"),
        ('laws="no_overselling"', "No law named 'no_overselling'. Did you mean 'no_oversell'?"),
        ('settings={"round": 2}', "No setting named 'round'. Did you mean 'rounds'?"),
        ('settings={"rounds": 0}', "--rounds: 0 is not in the range x>=1."),
        ('settings={"json": True}', "No setting named 'json'."),
    ],
)
def test_what_cannot_be_is_one_clear_error_of_collection(
    arguments: str, words: str, pytester: pytest.Pytester
) -> None:
    """What was wrong and what would be valid, in a line, before anything is started."""
    pytester.makepyfile(
        shops="right = None", test_shop=f"from harness.testing import gate\ntest_it = gate({arguments})"
    )
    pytester.syspathinsert()
    result = pytester.runpytest_inprocess("--color=no", "-p", "no:cacheprovider", "-p", "no:asyncio")
    result.assert_outcomes(errors=1)
    said = result.stdout.str()
    assert f"oversell: {words}" in said
    assert "Traceback" not in said
    assert "plugin.py" not in said


def test_without_the_plugin_a_gate_fails_rather_than_vanish(suite: Suite) -> None:
    """Whoever switches it off is told that nothing was judged."""
    suite.tests("""
        test_tickets = gate("shops:right", scenarios="rush")
    """)
    result = suite.run("-p", "no:oversell")
    assert (result.code, result.counts) == (1, {"failed": 1}), result.said
    assert "nothing was judged: its pytest plugin is not loaded" in result.said


def test_a_suite_without_gates_hardly_notices_the_plugin(suite: Suite) -> None:
    """It is loaded wherever oversell is installed, and imports nothing but itself there."""
    suite.write("test_other.py", "def test_other(): pass")
    suite.write(
        "conftest.py",
        """
        import sys

        def pytest_sessionfinish(session):
            print("OURS", sorted(name for name in sys.modules if name.partition(".")[0] == "harness"))
    """,
    )
    result = suite.run("-s")
    assert (result.code, result.counts) == (0, {"passed": 1}), result.said
    assert f"OURS {sorted(_HARNESS)}" in result.said


def test_it_works_beside_asynchronous_tests_and_fixtures(suite: Suite) -> None:
    """A loop of theirs that lasts for the session is still theirs afterwards, and so are their backends."""
    suite.tests("""
        import asyncio
        import pytest
        import pytest_asyncio

        loops = []

        @pytest_asyncio.fixture(scope="session", autouse=True)
        async def loop():
            loops.append(asyncio.get_running_loop())
            yield
            assert asyncio.get_running_loop() is loops[0]

        async def test_before():
            assert asyncio.get_running_loop() is loops[0]

        test_tickets = gate("shops:right", scenarios="last_ticket", engines=["burst", "explore"])

        class TestShop:
            pytestmark = pytest.mark.usefixtures("loop")
            test_in_a_class = gate("shops:right", scenarios="last_ticket", engines="burst")

        async def test_after():
            assert asyncio.get_running_loop() is loops[0]
    """)
    suite.write(
        "test_anyio.py",
        """
        import pytest
        from harness.testing import gate

        pytestmark = pytest.mark.anyio
        test_tickets = gate("shops:right", scenarios="last_ticket", engines="burst")

        @pytest.fixture
        def anyio_backend():
            return "asyncio"

        async def test_beside():
            pass
    """,
    )
    result = suite.run()
    assert (result.code, result.counts) == (0, {"passed": 7}), result.said


def test_marks_apply_as_to_any_test(suite: Suite) -> None:
    """A mistake that is known and not mended yet is marked, and rings when it is gone."""
    suite.tests("""
        import pytest

        known = pytest.mark.xfail(strict=True)
        test_wrong = known(gate("shops:wrong", scenarios="last_ticket", engines="explore"))
        test_mended = known(gate("shops:right", scenarios="last_ticket", engines="explore"))
    """)
    result = suite.run()
    assert (result.code, result.counts) == (1, {"failed": 1, "xfailed": 1}), result.said
    assert "XPASS(strict)" in result.said


def test_settings_have_the_precedence_of_the_command(suite: Suite) -> None:
    """What the gate says, then the environment, then the file."""
    suite.write(
        "oversell.toml",
        """
        target = "shops:right"
        scenario = ["last_ticket"]
        engine = ["burst"]
        rounds = 2
        seed = 1
    """,
    )
    suite.tests("""
        test_file = gate()
        test_gate = gate(seed=3, settings={"rounds": 4})
    """)
    result = suite.run("--junitxml=junit.xml", OVERSELL_SEED="2")
    assert (result.code, result.counts) == (0, {"passed": 2}), result.said
    told = {
        (case.get("name"), each.get("name")): each.get("value")
        for case in ET.parse(suite.folder / "junit.xml").iter("testcase")  # noqa: S314  # ours
        for each in case.iter("property")
    }
    assert told["test_file[last_ticket-burst]", "oversell_runs"] == "2"
    assert told["test_file[last_ticket-burst]", "oversell_seed"] == "2"
    assert told["test_gate[last_ticket-burst]", "oversell_runs"] == "4"
    assert told["test_gate[last_ticket-burst]", "oversell_seed"] == "3"


def test_a_class_or_an_object_is_a_target_too(suite: Suite) -> None:
    """A class is called, and named so that a replay finds it."""
    suite.write(
        "theirs.py",
        """
        from harness.specimens import SPECIMENS

        class Shop:
            name, supports = "theirs", SPECIMENS.get("atomic").target.supports
            install = SPECIMENS.get("atomic").target.install
            start = SPECIMENS.get("atomic").target.start
    """,
    )
    suite.tests("""
        from theirs import Shop
        test_class = gate(Shop, scenarios="last_ticket", engines="burst")
        test_object = gate(Shop(), scenarios="last_ticket", engines="burst")
    """)
    result = suite.run()
    assert (result.code, result.counts) == (0, {"passed": 2}), result.said
    assert [document["target"] for document in suite.documents()] == ["theirs:Shop", "theirs"]


def test_the_example_is_right_in_every_scenario_that_it_can_be_driven_through(tmp_path: Path) -> None:
    """Whoever copies it begins with a suite that passes, and that says what it leaves out."""
    example = Path(__file__).parents[2] / "examples" / "test_asyncpg_shop.py"
    result = _run(example.parent.parent, str(example), "-k", "burst", "-rs", OVERSELL_RUNS=str(tmp_path))
    assert result.code == 0, result.said
    assert result.counts["passed"] >= 6
    assert "the target does not support: cancel" in result.said


def test_what_is_no_verdict_is_an_error(suite: Suite) -> None:
    """A bug of ours shows its traceback, a database that cannot be had is one line; neither is a failure."""
    suite.write(
        "conftest.py",
        """
        import pytest
        import harness.testing._checks

        @pytest.fixture
        def bug(monkeypatch):
            def check(*_, **__):
                raise RuntimeError("a bug of ours")
            monkeypatch.setattr(harness.testing._checks, "check", check)
    """,
    )
    suite.tests("""
        import pytest

        test_bug = pytest.mark.usefixtures("bug")(gate("shops:right", scenarios="rush", engines="burst"))
        test_lost = gate("shops:right", scenarios="rush", engines="burst", database="postgresql://127.0.0.1:1/x")
    """)
    result = suite.run()
    assert (result.code, result.counts) == (1, {"error": 2}), result.said
    assert "RuntimeError: a bug of ours" in result.said
    assert "oversell: " in result.said
    assert "127.0.0.1:1" in result.said


def test_an_interruption_ends_everything(suite: Suite) -> None:
    """Ctrl-C in the middle of a check: pytest says so, the reports say so, and no server is left."""
    suite.tests("""
        import asyncio
        import pathlib
        from shops import MemoryTarget

        async def wait(client, sale, operation):
            await asyncio.Event().wait()

        class Slow(MemoryTarget):
            async def install(self, database):
                pathlib.Path("database.txt").write_text(database)

            def start(self, database, folder):
                pathlib.Path("begun").write_text("begun")
                return super().start(database, folder)

        patient = {"operation-timeout": "1h"}
        test_slow = gate(Slow(behave=wait), scenarios="rush", engines="burst", settings=patient)
        test_next = gate("shops:right", scenarios="rush", engines="burst")
    """)
    os.mkfifo(suite.folder / "begun")
    running = subprocess.Popen(
        PYTEST,
        cwd=suite.folder,
        env=environment(OVERSELL_DATABASE="embedded"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        assert (suite.folder / "begun").read_text() == "begun"
        os.killpg(running.pid, signal.SIGINT)
        said, _ = running.communicate(timeout=60)
    finally:
        running.kill()
        running.wait()
    assert running.returncode == pytest.ExitCode.INTERRUPTED, said
    assert "KeyboardInterrupt" in said
    (document,) = suite.documents()
    assert document["verdict"] == "inconclusive"
    assert any("interrupted" in reason for reason in document["reasons"])  # type: ignore[attr-defined]  # a list
    port = re.search(r":(\d+)/", (suite.folder / "database.txt").read_text())
    assert port is not None
    assert not _answers(int(port[1]))


def _answers(port: int) -> bool:
    import socket

    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
