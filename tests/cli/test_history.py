"""``oversell history``: what it says of a recorded history, and of files that hold none."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from harness.cli import main
from harness.model import (
    Answer,
    Books,
    Call,
    Entry,
    Evidence,
    Outcome,
    Phase,
    Program,
    Reserve,
    Scenario,
    Stock,
    TicketType,
)
from harness.reporting import write_evidence

if TYPE_CHECKING:
    from pathlib import Path

Event = dict[str, Any]


def invoke(process: str, time: int, kind: str = "reserve", **fields: Any) -> Event:
    operation = {"kind": kind, "ticket": "general", "person": process, **fields}
    return {"type": "invoke", "process": process, "operation": operation, "time": time}


def done(process: str, time: int, kind: str = "ok", **answer: Any) -> Event:
    return {"type": kind, "process": process, "answer": answer, "time": time}


SOLD = [invoke("ada", 0), done("ada", 10)]
REFUSED = [invoke("ben", 10), done("ben", 20, "fail", outcome="sold_out")]
LIED_TO = [invoke("ben", 10, "availability"), done("ben", 20, remaining=1)]


@pytest.fixture
def write(tmp_path: Path) -> Any:
    def write(*events: Event | str) -> str:
        path = tmp_path / "history.jsonl"
        lines = (event if isinstance(event, str) else json.dumps(event) for event in events)
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        return str(path)

    return write


def test_an_explainable_history_exits_with_zero(write: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """One unit, sold, and refused to the next."""
    assert main(["history", write(*SOLD, *REFUSED), "--initial", "general=1"]) == 0
    assert capsys.readouterr().out == "EXPLAINABLE: 2 operations (exact search).\n"


def test_an_unexplainable_history_exits_with_one_and_names_the_call(
    write: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """The read of one that remains, after the only one was sold."""
    assert main(["history", write(*SOLD, *LIED_TO), "--initial", "general=1"]) == 1
    told = capsys.readouterr().out
    assert "general: nothing explains ben's availability" in told
    assert "accepted, 1 remaining" in told
    assert told.endswith("NOT EXPLAINABLE: 2 operations (exact search).\n")


def test_a_search_without_a_result_exits_with_three(write: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """People in line, whose order only the exact search can find, and nothing to search with."""
    events = []
    for number in range(6):
        events += [invoke(f"p{number}", number, "join_waitlist"), done(f"p{number}", 50)]
    events.sort(key=lambda event: event["time"])
    assert main(["history", write(*events), "--initial", "general=0", "--budget", "1"]) == 3
    assert "UNDECIDED: 6 operations" in capsys.readouterr().out


def test_a_missing_completion_is_said_and_may_have_happened(
    write: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ada's answer never came; so Ben's refusal is explained, and so would his reservation be."""
    for answer in (REFUSED, [invoke("ben", 10), done("ben", 20)]):
        assert main(["history", write(invoke("ada", 0), *answer), "--initial", "general=1"]) == 0
        told = capsys.readouterr().out
        assert "line 1: the operation of process ada was never completed" in told


def test_an_operation_of_unknown_outcome_may_take_effect_later(write: Any) -> None:
    """After ``info`` a process goes on; what it asked may happen then."""
    events = [invoke("ada", 0), done("ada", 5, "info"), *LIED_TO]
    later = [invoke("ben", 30, "availability"), done("ben", 40, remaining=0)]
    assert main(["history", write(*events, *later), "--initial", "general=1"]) == 0


def test_the_first_line_may_say_what_there_was_to_sell(write: Any) -> None:
    """Format, version and ticket types; ``--initial`` outweighs it."""
    heading = {"format": "oversell-history", "version": 1, "tickets": [{"name": "general", "initial": 1}]}
    path = write(heading, *SOLD, *REFUSED)
    assert main(["history", path]) == 0
    assert main(["history", path, "--initial", "general=2"]) == 1


def test_the_document_holds_what_was_found(write: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """For programs: the answer, the call and the calls around it."""
    assert main(["history", write(*SOLD, *LIED_TO), "--initial", "general=1", "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert (document["explained"], document["operations"]) == ("not explainable", 2)
    (finding,) = document["findings"]
    assert finding["call"]["client"] == "ben"
    assert [call["client"] for call in finding["around"]] == ["ada", "ben"]


@pytest.mark.parametrize("rows", [(), (Entry(ticket="general", person="ada"),)])
def test_the_evidence_of_a_run_is_read_too(
    rows: tuple[Entry, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With its books: a sale that is not in them has no explanation."""
    bought = Reserve(ticket="general", person="ada")
    call = Call(
        index=0,
        client="ada",
        phase=0,
        operation=bought,
        answer=Answer(Outcome.ACCEPTED),
        invoked=5,
        completed=9,
    )
    evidence = Evidence(
        scenario=Scenario(
            tickets=(TicketType(name="general", initial=1),),
            phases=(Phase("all", (Program("ada", (bought,)),)),),
        ),
        history=(call,),
        books=Books(stock=(Stock(ticket="general", initial=1),), entries=rows),
    )
    path = tmp_path / "evidence.json"
    write_evidence(path, evidence, engine="burst", run=1)
    assert main(["history", str(path)]) == (0 if rows else 1)
    assert ("no explanation leaves the books" in capsys.readouterr().out) is not bool(rows)
    assert main(["history", str(path), "--initial", "general=1"]) == 2
    path.write_text(path.read_text(encoding="utf-8")[:-40], encoding="utf-8")
    assert main(["history", str(path)]) == 2
    assert "not valid JSON" in capsys.readouterr().err


HEADING = {"format": "oversell-history", "version": 1}


@pytest.mark.parametrize(
    ("events", "said"),
    [
        pytest.param([], "holds no operations", id="empty"),
        pytest.param([HEADING], "holds no operations", id="a heading only"),
        pytest.param([*SOLD, '{"type": "invoke"'], "line 3: not valid JSON", id="broken JSON"),
        pytest.param([*SOLD, "[1]"], "line 3: not a JSON object", id="not an object"),
        pytest.param([{**HEADING, "version": 2}, *SOLD], "line 1: version 2", id="another version"),
        pytest.param([{**HEADING, "format": "edn"}, *SOLD], "line 1: the format is 'edn'", id="format"),
        pytest.param([*SOLD, HEADING], "line 3: the format and its version", id="a late heading"),
        pytest.param(
            [{**HEADING, "tickets": [{"name": "general"}]}], "line 1: ticket has no initial", id="ticket"
        ),
        pytest.param([done("ada", 5)], "line 1: process ada completes", id="no invocation"),
        pytest.param([*SOLD, done("ada", 15)], "line 3: process ada completes", id="completed twice"),
        pytest.param(
            [invoke("ada", 0), invoke("ada", 5)],
            "line 2: process ada invokes again before its operation of line 1",
            id="two at a time",
        ),
        pytest.param(
            [invoke("ada", 9), done("ada", 5)],
            "line 2: the clock of process ada goes back, from 9 in line 1 to 5",
            id="completed before it was invoked",
        ),
        pytest.param(
            [*SOLD, invoke("ada", 9)], "line 3: the clock of process ada goes back", id="clock goes back"
        ),
        pytest.param([invoke("ada", 0, "steal")], "unknown operation kind 'steal'", id="unknown kind"),
        pytest.param([invoke("ada", 0, colour="red")], "line 1: not a reserve", id="unknown field"),
        pytest.param([invoke("ada", 0, quantity="2")], "quantity cannot be '2'", id="a field's type"),
        pytest.param([invoke("ada", 0, ticket=["x"])], "ticket cannot be ['x']", id="ticket's type"),
        pytest.param([{**SOLD[0], "operation": 3}], "line 1: an invoke needs", id="no operation"),
        pytest.param([{**SOLD[0], "type": "start"}], "unknown type of event 'start'", id="event type"),
        pytest.param([{**SOLD[0], "time": 1.5}], "line 1: the time must be", id="time"),
        pytest.param([{**SOLD[0], "process": None}], "line 1: the process must be", id="process"),
        pytest.param([SOLD[0], done("ada", 9, "fail")], "line 2: the answer has no outcome", id="no outcome"),
        pytest.param(
            [SOLD[0], done("ada", 9, outcome="sold_out")],
            "line 2: an operation that ended in 'ok' cannot have come to 'sold_out'",
            id="contradiction",
        ),
        pytest.param(
            [SOLD[0], done("ada", 9, remaining="1")], "line 2: the answer.remaining", id="an answer's type"
        ),
        pytest.param([SOLD[0], {**done("ada", 9), "answer": 1}], "the answer must be", id="answer"),
    ],
)
def test_what_is_no_history_is_refused_with_the_line(
    events: list[Event | str], said: str, write: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """One message, on standard error, that says what is wrong and where."""
    assert main(["history", write(*events), "--initial", "general=1"]) == 2
    told = capsys.readouterr()
    assert said in told.err
    assert told.err.count("\n") == 1
    assert told.out == ""


@pytest.mark.parametrize(
    ("initials", "said"),
    [
        (["general=1", "general=2"], "--initial names the ticket type 'general' twice"),
        (["general=1", "balcony=2"], "has no ticket type balcony; it has: general."),
    ],
)
def test_what_there_was_to_sell_is_said_once_and_of_what_was_sold(
    initials: list[str], said: str, write: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """A slip of the keyboard must not decide what is explainable."""
    words = [word for initial in initials for word in ("--initial", initial)]
    assert main(["history", write(*SOLD), *words]) == 2
    assert said in capsys.readouterr().err


def test_ticket_types_of_which_nobody_says_how_many_there_were(
    write: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without that there is nothing to check; the message says what to add."""
    assert main(["history", write(*SOLD)]) == 2
    assert "Add --initial general=NUMBER" in capsys.readouterr().err
    assert main(["history", write(*SOLD), "--initial", "general=many"]) == 2
    assert "is not TICKET=NUMBER" in capsys.readouterr().err


def test_a_file_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Usage, with the reason; and so is one that is no text."""
    assert main(["history", str(tmp_path / "none.jsonl")]) == 2
    assert "No such file" in capsys.readouterr().err
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe\x00")
    assert main(["history", str(binary)]) == 2
    assert "not a text in UTF-8" in capsys.readouterr().err
