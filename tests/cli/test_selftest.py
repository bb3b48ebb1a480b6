"""The self-test: it believes no specimen, not even that it is what it says."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from harness.cli import main
from harness.cli._hands import Worker, hands_of
from harness.content import content
from harness.driving.scenarios import load_scenarios
from harness.driving.selftest import Selftest, SelftestPlan
from harness.engines import ENGINES, Settings, default_engines
from harness.errors import InconclusiveError
from harness.model import Check, Verdict, Violation
from harness.model.events import Event, EvidenceKept
from harness.model.matrix import Cell, Claim, Kind, Matrix, Result, Row, Ruling, cell_of
from harness.postgres import connect
from harness.reporting.matrix import cell_words, matrix_to_dict, render_matrix
from harness.specimens import SPECIMENS, Mistake, Specimen
from harness.specimens.atomic import Atomic
from harness.specimens.naive import Naive
from tests.cli.commandline import OVERSELL, environment, oversell

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from harness.model import Target
    from harness.postgres import Server

EMBEDDED = ("--database", "embedded")
BURST = ENGINES.get("burst")
SCENARIOS = load_scenarios([content("scenarios")])
PAGE = Path(__file__).parents[2] / "docs" / "selftest.md"


def specimen(
    name: str, target: Target, *laws: str, scenario: str = "last_ticket", engine: str = "burst"
) -> Specimen:
    """Return an implementation that claims to break these laws, or to be right when there are none."""
    mistake = Mistake(laws=frozenset(laws), scenario=scenario, engine=engine, source="planted")
    return Specimen(name=name, doc="Planted.", target=target, mistake=mistake if laws else None)


@dataclass
class Bench:
    """Self-tests of planted specimens on the session's server."""

    database: str
    folder: Path
    kept: list[Event]

    def selftest(self, *specimens: Specimen, **more: Any) -> Selftest:
        plan = {
            "specimens": specimens,
            "engines": (BURST,),
            "known_engines": frozenset(ENGINES.entries),
            "scenarios": {name: SCENARIOS[name] for name in ("last_ticket", "rush")},
            "settings": Settings(rounds=3),
            "right_settings": Settings(rounds=3, explore_time=5.0, stateful_time=10.0),
            "database": self.database,
        }
        return Selftest(
            SelftestPlan(**{**plan, **more}),
            folder=self.folder,
            listen=self.kept.append,
            tell=lambda _row, _column: None,
        )

    async def matrix(self, *specimens: Specimen, **more: Any) -> Matrix:
        """Run a self-test and return what came of it."""
        selftest = self.selftest(*specimens, **more)
        await selftest.run()
        return selftest.matrix()


@pytest.fixture
def bench(database: str, tmp_path: Path) -> Bench:
    """A place for planted specimens."""
    return Bench(database, tmp_path, [])


def kinds(matrix: Matrix) -> list[tuple[str, Kind]]:
    """Return what was found about whom."""
    return [(finding.specimen, finding.kind) for finding in matrix.findings]


async def test_liars_are_named_and_honest_ones_are_not(bench: Bench) -> None:
    """Right that oversells, wrong that does not, wrong in another way than it says: each fails the run."""
    matrix = await bench.matrix(
        specimen("oversells", Naive()),
        specimen("is_right", Atomic(), "no_oversell"),
        specimen("breaks_another_law", Naive(), "one_per_person"),
        specimen("wrong", Naive(), "no_oversell"),
        specimen("right", Atomic()),
    )
    assert kinds(matrix) == [
        ("oversells", Kind.FALSE_ALARM),
        ("is_right", Kind.SURVIVED),
        ("breaks_another_law", Kind.WRONG_LAW),
    ]
    assert matrix.result is Result.FAILED
    rulings = [row.cells["burst"].ruling for row in matrix.rows]
    assert rulings == [
        Ruling.ACCUSED,
        Ruling.SURVIVED,
        Ruling.WRONG_LAW,
        Ruling.KILLED,
        Ruling.CLEARED,
    ]
    assert "no_oversell" in matrix.findings[0].message
    assert "no_oversell" in matrix.findings[2].message
    assert "one_per_person" in matrix.findings[2].message


async def test_a_kill_says_under_which_law_and_when(bench: Bench) -> None:
    """The cell names law, scenario, run, time and evidence, which is kept under the name of the specimen."""
    matrix = await bench.matrix(specimen("wrong", Naive(), "no_oversell"))
    (row,) = matrix.rows
    cell = row.cells["burst"]
    assert (cell.law, cell.scenario, cell.run, cell.runs) == ("no_oversell", "last_ticket", 1, 1)
    assert cell.evidence == "evidence/wrong-last_ticket-burst-1.json"
    assert [event.path for event in bench.kept if isinstance(event, EvidenceKept)] == [cell.evidence]
    assert cell.seconds > 0
    assert matrix.result is Result.PASSED


async def test_the_script_counts_and_looks_at_nothing_else(bench: Bench) -> None:
    """It sees 20 accepted for 10 tickets, and misses who breaks a law without a wrong count."""
    matrix = await bench.matrix(
        specimen("naive", Naive(), "no_oversell"),
        replace(SPECIMENS.get("compensating"), name="leaky"),
        specimen("right", Atomic()),
        scenarios=SCENARIOS,
        quick=True,
    )
    scripts = {row.specimen: row.script for row in matrix.rows}
    assert [cell.ruling for cell in scripts.values()] == [Ruling.KILLED, Ruling.SURVIVED, Ruling.CLEARED]
    assert scripts["naive"].reason == "20 accepted, 10 tickets"
    assert matrix.totals["script"].killed == 1


@pytest.mark.parametrize(
    ("claims", "said"),
    [
        ({"laws": frozenset({"no_overselling"})}, "no law"),
        ({"laws": frozenset()}, "no law"),
        ({"scenario": "rusch"}, "no scenario"),
        ({"engine": "brust"}, "no engine"),
    ],
)
async def test_a_claim_that_names_nothing_real_is_named(
    claims: Mapping[str, Any], said: str, bench: Bench
) -> None:
    """A law, a scenario or an engine that does not exist fails the run, and says what is missing."""
    honest = specimen("vague", Naive(), "no_oversell")
    assert honest.mistake is not None
    matrix = await bench.matrix(replace(honest, mistake=replace(honest.mistake, **claims)))
    assert Kind.WRONG_CLAIM in {finding.kind for finding in matrix.findings}
    assert any(said in finding.message for finding in matrix.findings)
    assert matrix.result is Result.FAILED


async def test_a_scenario_that_its_target_cannot_do_is_a_wrong_claim(bench: Bench) -> None:
    """What was not driven shows nothing, and the finding says why it was not."""

    class Limited(Naive):
        supports = frozenset()

    matrix = await bench.matrix(specimen("limited", Limited(), "no_oversell"))
    assert kinds(matrix) == [("limited", Kind.WRONG_CLAIM)]
    assert "does not support: reserve" in matrix.findings[0].message
    assert matrix.rows[0].cells["burst"].ruling is Ruling.NOT_RUN


async def test_who_cannot_be_installed_is_not_judged(bench: Bench) -> None:
    """It spoils its own row only, and nothing is called passed."""

    class Broken(Atomic):
        constraints = "CREATE NONSENSE;"

    matrix = await bench.matrix(specimen("broken", Broken()), specimen("wrong", Naive(), "no_oversell"))
    assert kinds(matrix) == [("broken", Kind.UNDECIDED)]
    assert "loading its schema" in matrix.findings[0].message
    assert matrix.result is Result.INCONCLUSIVE
    assert matrix.killed == 1


async def test_what_there_was_no_time_for_is_left_out_and_said(bench: Bench) -> None:
    """A budget that is used up leaves every cell with a reason, and is no pass."""
    matrix = await bench.matrix(specimen("wrong", Naive(), "no_oversell"), max_time=0.001)
    assert matrix.rows[0].cells["burst"].ruling is Ruling.LEFT_OUT
    assert matrix.rows[0].script.ruling is Ruling.LEFT_OUT
    assert any("time budget" in trouble for trouble in matrix.troubles)
    assert matrix.result is Result.INCONCLUSIVE


async def test_a_quick_one_takes_the_engine_a_mistake_names(bench: Bench) -> None:
    """The other cell says why it was not run; right ones go through one scenario with everybody."""
    matrix = await bench.matrix(
        specimen("wrong", Naive(), "no_oversell", engine="explore"),
        specimen("right", Atomic()),
        engines=default_engines(),
        quick=True,
    )
    wrong, right = matrix.rows
    assert wrong.engines(Ruling.KILLED) == ("explore",)
    assert "explore only" in wrong.cells["burst"].reason
    assert set(right.engines(Ruling.CLEARED)) == set(matrix.engines)
    assert {cell.checks for cell in right.cells.values()} == {1}
    assert matrix.only_one == {}


async def test_a_right_one_goes_through_what_an_engine_was_given_for_it(bench: Bench) -> None:
    """An engine that is not named drives it through everything; a wrong one is not concerned."""
    matrix = await bench.matrix(
        specimen("right", Atomic()),
        specimen("wrong", Naive(), "no_oversell", scenario="rush"),
        right_scenarios={"burst": ("last_ticket",)},
    )
    right, wrong = (row.cells["burst"] for row in matrix.rows)
    assert (right.checks, right.ruling) == (1, Ruling.CLEARED)
    assert (wrong.scenario, wrong.ruling) == ("rush", Ruling.KILLED)


@pytest_asyncio.fixture
async def worker(server: Server, tmp_path: Path) -> AsyncIterator[Any]:
    """A process that fills rows."""
    plan = SelftestPlan(
        specimens=(),
        engines=(BURST,),
        known_engines=frozenset(ENGINES.entries),
        scenarios=SCENARIOS,
        settings=Settings(rounds=3),
        right_settings=Settings(rounds=1),
        quick=True,
    )
    async with hands_of(plan, 1, tmp_path)(server) as (hand,):
        yield hand


async def test_another_process_fills_rows_as_this_one_does(worker: Any, tmp_path: Path) -> None:
    """One after another, every column of each, with the evidence in the run folder."""
    filled: dict[str, dict[str, Cell]] = {"naive": {}, "atomic": {}}
    for name, cells in filled.items():
        await worker.fill(SPECIMENS.get(name), cells.__setitem__)
    assert all(set(cells) == {"burst", "script"} for cells in filled.values())
    killed = filled["naive"]["burst"]
    assert (killed.ruling, killed.law, filled["atomic"]["burst"].ruling) == (
        Ruling.KILLED,
        "no_oversell",
        Ruling.CLEARED,
    )
    assert killed.evidence is not None
    assert (tmp_path / killed.evidence).is_file()


async def test_a_process_that_dies_leaves_the_rest_undecided(worker: Any) -> None:
    """Killed from outside, it is no bug of ours, and nothing is called passed."""
    worker.process.kill()
    with pytest.raises(InconclusiveError, match="ended before it was done"):
        await worker.fill(SPECIMENS.get("naive"), lambda _column, _cell: None)


async def test_a_bug_in_another_process_is_a_bug_in_this_one(worker: Any) -> None:
    """Its traceback comes over; here it is asked for what its catalogue does not hold."""
    with pytest.raises(RuntimeError, match="No specimen named 'planted'"):
        await worker.fill(specimen("planted", Atomic()), lambda _column, _cell: None)


async def test_a_process_ends_with_the_block_whatever_it_does(server: Server, tmp_path: Path) -> None:
    """Cancelled in the middle of a row, it is gone, and so are its databases."""
    explore = ENGINES.get("explore")
    endless = Settings(rounds=10**6, schedules=1)
    plan = SelftestPlan(
        specimens=(),
        engines=(explore, BURST),
        known_engines=frozenset(ENGINES.entries),
        scenarios=SCENARIOS,
        settings=endless,
        right_settings=endless,
        right_scenarios={"explore": ("last_ticket",)},
    )
    explored = asyncio.Event()
    async with hands_of(plan, 1, tmp_path)(server) as (hand,):
        filling = asyncio.ensure_future(
            hand.fill(SPECIMENS.get("atomic"), lambda _column, _cell: explored.set())
        )
        async with asyncio.timeout(30):
            await explored.wait()
        assert await _databases_of_atomic(server)
        filling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await filling
    assert isinstance(hand, Worker)
    assert hand.process.returncode is not None
    assert not await _databases_of_atomic(server)


async def _databases_of_atomic(server: Server) -> int:
    monitor = await connect(server.url("postgres"))
    try:
        return int(await monitor.fetchval("SELECT count(*) FROM pg_database WHERE datname LIKE '%atomic%'"))
    finally:
        await monitor.close()


def test_what_was_not_run_is_said_once_for_all_it_holds_for() -> None:
    """Columns, specimens and scenarios with one reason share a line."""
    lame = Cell(ruling=Ruling.CLEARED, skipped=("race: no holds", "rush: no holds"))
    text = render_matrix(matrix_of(right_row(burst=lame, explore=lame), right_row(burst=AWAY, explore=lame)))
    assert "- burst, right: no holds (race, rush)" in text
    assert "- explore, right, right: no holds (race, rush)" in text
    assert "- burst, right: it cannot\n" in text


KILL = Cell(ruling=Ruling.KILLED, law="no_oversell", run=1)
MISS = Cell(ruling=Ruling.SURVIVED)
OPEN = Cell(ruling=Ruling.INCONCLUSIVE, reason="it died")
AWAY = Cell(ruling=Ruling.NOT_RUN, reason="it cannot")


def wrong_row(engine: str = "burst", **cells: Cell) -> Row:
    """Return the row of a wrong specimen."""
    claim = Claim(laws=("no_oversell",), scenario="rush", engine=engine)
    return Row(specimen="wrong", claim=claim, cells=cells, script=MISS)


def right_row(**cells: Cell) -> Row:
    """Return the row of a right specimen."""
    return Row(specimen="right", claim=None, cells=cells, script=Cell(ruling=Ruling.CLEARED))


def matrix_of(*rows: Row, **more: Any) -> Matrix:
    """Return a matrix of these rows."""
    engines = tuple(rows[0].cells) if rows else ()
    facts = {"quick": False, "seed": 1, "database": "none", "started": "now", "seconds": 1.0}
    return Matrix(engines=engines, rows=rows, **{**facts, **more})


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        (wrong_row(burst=KILL, explore=KILL), None),
        (wrong_row(burst=KILL, explore=MISS), None),
        (wrong_row(burst=KILL, explore=OPEN), None),
        (wrong_row(burst=MISS, explore=KILL), Kind.WRONG_CLAIM),
        (wrong_row(burst=OPEN, explore=KILL), Kind.UNDECIDED),
        (wrong_row(burst=MISS, explore=MISS), Kind.SURVIVED),
        (wrong_row(burst=MISS, explore=AWAY), Kind.SURVIVED),
        (wrong_row(burst=MISS, explore=OPEN), Kind.UNDECIDED),
        (wrong_row(burst=AWAY, explore=AWAY), Kind.WRONG_CLAIM),
        (right_row(burst=Cell(ruling=Ruling.CLEARED), explore=OPEN), None),
        (right_row(burst=OPEN, explore=OPEN), Kind.UNDECIDED),
        (right_row(burst=AWAY, explore=AWAY), Kind.UNDECIDED),
        (right_row(burst=Cell(ruling=Ruling.ACCUSED), explore=OPEN), Kind.FALSE_ALARM),
    ],
)
def test_a_row_comes_to_one_finding_or_none(row: Row, kind: Kind | None) -> None:
    """A miss fails only where nobody else may yet have caught it; an open question is never a pass."""
    matrix = matrix_of(row)
    assert [finding.kind for finding in matrix.findings] == ([kind] if kind else [])
    failed = Result.INCONCLUSIVE if kind is Kind.UNDECIDED else Result.FAILED
    assert matrix.result is (failed if kind else Result.PASSED)


def test_who_is_caught_by_one_engine_only_is_listed() -> None:
    """Whether the others saw nothing or could not look; but not before all had their turn."""
    assert matrix_of(wrong_row(burst=KILL, explore=MISS)).only_one == {"wrong": "burst"}
    assert matrix_of(wrong_row(burst=KILL, explore=AWAY)).only_one == {"wrong": "burst"}
    left_out = Cell(ruling=Ruling.LEFT_OUT)
    assert matrix_of(wrong_row(burst=KILL, explore=left_out)).only_one == {}
    assert matrix_of(wrong_row(burst=KILL, explore=KILL)).only_one == {}
    assert matrix_of(wrong_row(burst=KILL, explore=MISS), quick=True).only_one == {}
    assert matrix_of(wrong_row(burst=KILL)).only_one == {}


def test_a_self_test_of_nothing_is_no_pass() -> None:
    """Without a specimen there is nothing to be passed, and trouble is never one either."""
    assert matrix_of().result is Result.INCONCLUSIVE
    assert matrix_of(wrong_row(burst=KILL), troubles=("it rained",)).result is Result.INCONCLUSIVE
    assert [result.exit_code for result in Result] == [0, 1, 3]


def test_the_first_violation_that_was_meant_is_the_kill() -> None:
    """Another law broken earlier is listed and does not make the claim wrong."""
    early, meant = (
        Violation(law=law, message="", run=run) for law, run in (("no_leak", 1), ("no_oversell", 4))
    )
    check = Check(
        scenario="rush", engine="burst", verdict=Verdict.VIOLATED, violations=(early, meant), runs=9
    )
    cell = cell_of(Claim(laws=("no_oversell",), scenario="rush", engine="burst"), [check], {("rush", 4): 0.5})
    assert (cell.ruling, cell.law, cell.run, cell.seconds) == (Ruling.KILLED, "no_oversell", 4, 0.5)
    assert cell.laws == ("no_leak", "no_oversell")
    assert cell_words(cell) == "no_oversell, run 4, 0.5 s"


def test_every_field_of_the_document_is_on_the_page() -> None:
    """docs/selftest.md describes what selftest.json holds, and nothing that it does not."""
    document = matrix_to_dict(
        matrix_of(wrong_row(burst=KILL, explore=MISS), right_row(burst=AWAY, explore=OPEN))
    )
    table = PAGE.read_text("utf-8").partition("<!-- fields -->")[2].partition("<!-- end of fields -->")[0]
    named = {line.split("`")[1] for line in table.splitlines() if line.startswith("| `")}
    parts = {
        "": document,
        "findings[].": document["findings"][0],
        "totals.": document["totals"]["burst"],
        "rows[].": document["rows"][0],
        "rows[].claim.": document["rows"][0]["claim"],
        "rows[].cells.": document["rows"][0]["cells"]["burst"],
    }
    assert named == {f"{prefix}{name}" for prefix, part in parts.items() for name in part}


def test_the_page_for_pull_requests_keeps_its_columns() -> None:
    """Whatever a cell holds, a row has as many cells as the head."""
    odd = replace(OPEN, ruling=Ruling.KILLED, law="a|b\n<c>")
    text = render_matrix(matrix_of(wrong_row(burst=odd, explore=MISS)))
    head, row = (
        next(line for line in text.splitlines() if line.startswith(f"| {name}"))
        for name in ("specimen", "wrong")
    )
    assert head.count("|") == row.count("|")
    assert "<c>" not in text


def test_the_real_thing(tmp_path: Path) -> None:
    """Exit code 0, the document alone on standard output and in the run folder, progress on the other."""
    names = ("naive", "compensating", "atomic")
    words = [word for name in names for word in ("--specimen", name)]
    done = oversell(
        "selftest", "--quick", *EMBEDDED, *words, "--seed", "5", "--jobs", "2", "--json", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert (document["result"], document["seed"], document["killed"]) == ("passed", 5, 2)
    assert [row["specimen"] for row in document["rows"]] == list(names)
    latest = tmp_path / ".oversell/runs/latest"
    assert json.loads((latest / "selftest.json").read_text()) == document
    assert "| naive |" in (latest / "selftest.md").read_text()
    assert all((latest / cell["evidence"]).is_file() for cell in killed(document))
    assert f"/{len(names) * (len(default_engines()) + 1)}] naive / burst" in done.stderr


def killed(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the cells in which a mistake was caught."""
    cells = [cell for row in document["rows"] for cell in row["cells"].values()]
    return [cell for cell in cells if cell["ruling"] == "killed"]


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., None]:
    """Puts specimens in the place of those that there are."""
    monkeypatch.chdir(tmp_path)

    def plant(*specimens: Specimen) -> None:
        monkeypatch.setattr(SPECIMENS, "entries", {each.name: each for each in specimens})

    return plant


def test_a_liar_among_the_specimens_is_exit_code_1(
    planted: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    """The matrix is printed, and the liar is named below it."""
    planted(specimen("liar", Atomic(), "no_oversell"))
    assert main(["selftest", "--quick", *EMBEDDED, "--quiet"]) == 1
    said = capsys.readouterr()
    assert "liar: burst found nothing in last_ticket" in said.out
    assert "failed: " in said.out
    assert said.err == ""


def test_what_could_not_be_judged_is_exit_code_3(
    planted: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    """A budget too small for anything is no pass, whatever was asked for."""
    planted(specimen("wrong", Naive(), "no_oversell"))
    assert main(["selftest", "--quick", *EMBEDDED, "--max-time", "1ms"]) == 3
    assert "time budget" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--specimen", "naiv"], ["No specimen named 'naiv'", "Did you mean 'naive'?"]),
        (["--engine", "brust"], ["No engine named 'brust'", "burst"]),
        (["--quick", "--engine", "burst"], ["--engine"]),
        (["--max-time", "0s"], ["max-time"]),
        (["--jobs", "0"], ["--jobs"]),
    ],
)
def test_what_cannot_be_asked_for_is_exit_code_2(
    words: list[str],
    said: list[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One line that says what is valid, and nothing left in the folder."""
    monkeypatch.chdir(tmp_path)
    assert main(["selftest", *words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert all(word in line for word in said), line
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_self_test_leaves_what_it_knows(tmp_path: Path) -> None:
    """Exit code 3; the files say what was judged, and that the rest was left out."""
    with subprocess.Popen(
        [*OVERSELL, "selftest", *EMBEDDED, "--jobs", "1", "--specimen", "naive", "--specimen", "atomic"],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        assert running.stderr is not None
        assert any(line.startswith("[1/") for line in running.stderr)
        running.send_signal(signal.SIGINT)
        said = running.communicate(timeout=30)[1]
    assert running.returncode == 3, said
    document = json.loads((tmp_path / ".oversell/runs/latest/selftest.json").read_text())
    first, second = document["rows"]
    assert first["cells"]["burst"]["ruling"] == "killed"
    assert second["script"]["ruling"] == "left out"
    assert document["troubles"] == ["interrupted before it was done"]
