"""Reports and evidence built by hand, and strategies that make up more of them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hypothesis import strategies as st

from harness.model import (
    Answer,
    Books,
    Call,
    Cancel,
    ChangeCapacity,
    Check,
    Commit,
    Confirm,
    Entry,
    Evidence,
    Expire,
    Failure,
    Hold,
    Incident,
    IncidentKind,
    JoinWaitlist,
    Judgement,
    LawResult,
    LeaveWaitlist,
    NotRun,
    Outcome,
    Phase,
    Program,
    Proof,
    ReadAvailability,
    ReadNotice,
    ReadSales,
    Refund,
    Release,
    Report,
    Reserve,
    ReserveGroup,
    Scenario,
    Step,
    Stock,
    TicketType,
    Verdict,
    Violation,
)
from harness.model.events import (
    CheckFinished,
    CheckProgressed,
    CheckSkipped,
    CheckStarted,
    EvidenceKept,
    FailureKept,
    Noticed,
    RunFinished,
    RunStarted,
)
from harness.model.verdict import LoadFigures

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from harness.model import Operation
    from harness.model.events import Event

KEPT = "evidence/rush-burst-1.json"
MILLISECOND = 1_000_000

HELD = LawResult(judgement=Judgement.HELD)
BROKEN = LawResult(judgement=Judgement.VIOLATED)
UNJUDGED = LawResult(judgement=Judgement.NOT_JUDGED, reason="the target keeps no counter of what it sold")

OVERSOLD = Violation(
    law="no_oversell",
    message='"general" started with 10, 12 were sold and 0 remained: 2 too many. Buyers: buyer-3, buyer-7.',
    ticket="general",
    initial=10,
    remaining=0,
    sold=12,
    held=0,
    buyers=("buyer-3", "buyer-7"),
    run=1,
    hits=18,
    evidence=KEPT,
)
VIOLATED = Check(
    scenario="rush",
    engine="burst",
    verdict=Verdict.VIOLATED,
    laws={"no_oversell": BROKEN, "never_negative": HELD, "counters_agree": UNJUDGED},
    violations=(
        OVERSOLD,
        Violation(
            law="accepted_once", message="buyer-9 was told yes and is not in the books.", run=2, hits=1
        ),
    ),
    runs=20,
    hits=18,
    operations=400,
    outcomes={"accepted": 236, "sold_out": 164},
    overlapping=20,
    spread_ms=0.41,
    states_audited=40,
    seconds=1.73,
)
SAFE = Check(
    scenario="last_ticket",
    engine="burst",
    verdict=Verdict.SAFE,
    laws={"no_oversell": HELD, "never_negative": HELD, "counters_agree": UNJUDGED},
    runs=20,
    operations=1_000,
    outcomes={"accepted": 20, "sold_out": 980},
    overlapping=50,
    spread_ms=0.5,
    states_audited=20,
    seconds=0.92,
)
UNDECIDED = Check(
    scenario="same_person_twice",
    engine="burst",
    verdict=Verdict.INCONCLUSIVE,
    reasons=("no two operations overlapped",),
    runs=3,
    operations=6,
    overlapping=1,
    seconds=0.2,
)
SKIPPED = NotRun(
    scenario="proof_fails", engine="burst", reason="the target does not support: proof", asked_for=False
)


def report_of(*checks: Check, verdict: Verdict, **changes: object) -> Report:
    """Return a report over these checks."""
    report = Report(
        verdict=verdict,
        reasons=(),
        target="specimen:check_then_decrement",
        database="PostgreSQL 18.4, embedded: no Docker daemon answers at unix:///var/run/docker.sock",
        seed=20260101,
        started="2026-01-01T12:00:00+00:00",
        seconds=4.4,
        checks=checks,
        not_run=(SKIPPED,),
    )
    return replace(report, **changes)  # type: ignore[arg-type]  # the fields are checked by replace


VIOLATED_REPORT = report_of(VIOLATED, SAFE, verdict=Verdict.VIOLATED)
SAFE_REPORT = report_of(SAFE, replace(SAFE, scenario="rush"), verdict=Verdict.SAFE)
UNDECIDED_REPORT = report_of(
    SAFE, UNDECIDED, verdict=Verdict.INCONCLUSIVE, reasons=("same_person_twice/burst: no two overlapped",)
)


def reservations(buyers: int, sold: int, stock: int) -> Evidence:
    """Return evidence of a rush in which the first ``sold`` of the buyers got a ticket."""
    people = [f"buyer-{number}" for number in range(1, buyers + 1)]
    wanted = [Reserve(ticket="general", person=person) for person in people]
    scenario = Scenario(
        name="rush",
        doc="Many users, one ticket type, at once.",
        tickets=(TicketType(name="general", initial=stock),),
        phases=(
            Phase("rush", tuple(Program(p, (op,)) for p, op in zip(people, wanted, strict=True))),
            Phase("after", (Program("buyer-1", (ReadAvailability(ticket="general", person="buyer-1"),)),)),
        ),
        reaches=frozenset({Outcome.SOLD_OUT}),
    )
    history = [
        _call(at, person, operation, at < sold)
        for at, (person, operation) in enumerate(zip(people, wanted, strict=True))
    ]
    history[-1] = replace(history[-1], answer=Answer(Outcome.UNKNOWN, detail="timed out"), completed=None)
    read = ReadAvailability(ticket="general", person="buyer-1")
    answer = Answer(Outcome.ACCEPTED, remaining=0)
    last = Call(
        index=buyers,
        client="buyer-1",
        phase=1,
        operation=read,
        answer=answer,
        invoked=5_000 + 14 * MILLISECOND,
        completed=5_000 + 15 * MILLISECOND,
    )
    entries = tuple(
        Entry(ticket="general", person=person, reservation=f"r-{person}") for person in people[:sold]
    )
    books = Books(stock=(Stock(ticket="general", initial=stock, remaining=0),), entries=entries)
    return Evidence(
        scenario=scenario, history=(*history, last), books=books, states=(replace(books, entries=None), books)
    )


def _call(at: int, person: str, operation: Operation, accepted: bool) -> Call:
    yes = Answer(Outcome.ACCEPTED, reservation=f"r-{person}")
    no = Answer(Outcome.SOLD_OUT, detail="sold out")
    start = 5_000 + (at * 17 % 7) * MILLISECOND // 20
    return Call(
        index=at,
        client=person,
        phase=0,
        operation=operation,
        answer=yes if accepted else no,
        invoked=start,
        completed=start + (3 + at * 13 % 9) * MILLISECOND,
    )


OVERSOLD_EVIDENCE = reservations(buyers=20, sold=12, stock=10)


def run_events(report: Report, folder: Path, evidence: Evidence = OVERSOLD_EVIDENCE) -> Iterator[Event]:
    """Yield the events of a whole run that ends in this report."""
    yield RunStarted(
        target=report.target,
        database=report.database,
        seed=report.seed,
        folder=folder,
        checks=tuple((check.scenario, check.engine) for check in report.checks),
    )
    for skip in report.not_run:
        yield CheckSkipped(not_run=skip)
    for check in report.checks:
        yield CheckStarted(scenario=check.scenario, engine=check.engine)
        for done in (1, check.runs):
            yield CheckProgressed(
                scenario=check.scenario,
                engine=check.engine,
                done=done,
                of=check.runs,
                hits=min(done, check.hits),
            )
        for violation in check.violations:
            if violation.evidence:
                yield EvidenceKept(
                    scenario=check.scenario,
                    engine=check.engine,
                    run=violation.run,
                    evidence=evidence,
                    path=violation.evidence,
                )
        if any(violation.replay == FAILURE.id for violation in check.violations):
            yield FailureKept(failure=FAILURE, path=f"failures/{FAILURE.id}.json")
        yield CheckFinished(check=check)
    yield Noticed(message="the clone took 31 ms")
    yield RunFinished(report=report, folder=folder)


def step(client: str, kind: str, statement: str = "", **changes: object) -> Step:
    """Return one step of a schedule."""
    made = Step(client=client, kind=kind, statement=statement, shape=f"{kind}: {statement}")
    return replace(made, **changes)  # type: ignore[arg-type]  # the fields are checked by replace


READ = "SELECT quantity_available FROM tickets WHERE id = $1"
TAKE = "UPDATE tickets SET quantity_available = $2 WHERE id = $1 RETURNING id, price"
BOOK = "INSERT INTO rsvps (event_id, ticket_id, user_id) VALUES ($1, $2::text, $3) RETURNING id"


def failure_of(buyers: int = 2, **changes: object) -> Failure:
    """Return a failure in which everybody reads, then everybody takes the only ticket there is."""
    people = [f"buyer-{number}" for number in range(1, buyers + 1)]
    steps = [
        *(step(person, "start", "start") for person in people),
        *(step(person, "execute", READ) for person in people),
        step("buyer-1", "execute", TAKE),
        *(step(person, "execute", TAKE, waited_for=("buyer-1",)) for person in people[1:]),
        step("buyer-1", "commit", f"commit of: {TAKE}"),
        *(step(person, "resume", TAKE) for person in people[1:]),
        *(step(person, "whole", BOOK) for person in people),
    ]
    failure = Failure(
        id="0123abcdef",
        target="specimen:check_then_decrement",
        scenario=Scenario(
            name="last_ticket",
            tickets=(TicketType(name="last", initial=1),),
            phases=(Phase("rush", tuple(Program(p, (Reserve(ticket="last", person=p),)) for p in people)),),
        ),
        phase=0,
        isolation=None,
        choices=tuple(each.client for each in steps if each.kind != "resume"),
        steps=tuple(steps),
        laws=("no_oversell", "no_leak"),
        message=f"last: started with 1, sold {buyers} and 0 remain: {buyers - 1} too many.",
        replayed=10,
        reproduced=10,
        preemptions=3,
        answers=dict.fromkeys(people, ("accepted",)),
    )
    return replace(failure, **changes)  # type: ignore[arg-type]  # the fields are checked by replace


FAILURE = failure_of()
EXPLORED = Check(
    scenario="last_ticket",
    engine="explore",
    verdict=Verdict.VIOLATED,
    laws={"no_oversell": BROKEN, "no_leak": BROKEN},
    violations=(
        replace(OVERSOLD, message=FAILURE.message, replay=FAILURE.id, hits=1, evidence=None),
        Violation(law="no_leak", message="1 was lost.", replay=FAILURE.id, run=3),
    ),
    runs=3,
    hits=1,
    operations=6,
    overlapping=2,
    schedules=2,
    orders=9,
    exhausted=False,
    seconds=0.4,
)
EXPLORED_REPORT = report_of(EXPLORED, verdict=Verdict.VIOLATED)
EXHAUSTED = replace(
    SAFE, engine="explore", schedules=17, orders=2_557, exhausted=True, runs=17, operations=34, overlapping=2
)


_texts = st.text(max_size=20)
_counts = st.integers(min_value=0, max_value=10**12)
_times = st.floats(min_value=0, max_value=1e6)


def _unjudged(reason: str) -> LawResult:
    return LawResult(judgement=Judgement.NOT_JUDGED, reason=reason)


_violations = st.builds(
    Violation,
    law=_texts,
    message=_texts,
    ticket=st.none() | _texts,
    initial=st.none() | _counts,
    remaining=st.none() | st.integers(-10, 10),
    sold=st.none() | _counts,
    held=st.none() | _counts,
    buyers=st.lists(_texts, max_size=3).map(tuple),
    run=_counts,
    hits=_counts,
    replay=st.none() | _texts,
    evidence=st.none() | _texts,
    commit=st.none()
    | st.builds(Commit, xid=_counts, at=st.integers(), rows=st.lists(_texts, max_size=8).map(tuple)),
)
_loads = st.builds(
    LoadFigures,
    users=_counts,
    seconds=_times,
    requests=_counts,
    failures=_counts,
    rate=_times,
    median_ms=_times,
    p95_ms=_times,
)
_checks = st.builds(
    Check,
    scenario=_texts,
    engine=_texts,
    verdict=st.sampled_from(Verdict),
    reasons=st.lists(_texts, max_size=2).map(tuple),
    laws=st.dictionaries(_texts, st.sampled_from([HELD, BROKEN]) | _texts.map(_unjudged), max_size=4),
    violations=st.lists(_violations, max_size=2).map(tuple),
    runs=_counts,
    hits=_counts,
    operations=_counts,
    outcomes=st.dictionaries(st.sampled_from([outcome.value for outcome in Outcome]), _counts),
    overlapping=_counts,
    spread_ms=st.none() | _times,
    commits_audited=_counts,
    states_audited=_counts,
    audit=_texts,
    load=st.none() | _loads,
    schedules=st.none() | _counts,
    orders=st.none() | _counts,
    exhausted=st.none() | st.booleans(),
    probability=st.none() | st.floats(min_value=0, max_value=1),
    coverage=st.dictionaries(st.sampled_from(["steps", "sold_out"]), _counts),
    seconds=_times,
)
_skips = st.builds(NotRun, scenario=_texts, engine=_texts, reason=_texts, asked_for=st.booleans())
reports = st.builds(
    Report,
    verdict=st.sampled_from(Verdict),
    reasons=st.lists(_texts, max_size=2).map(tuple),
    target=_texts,
    database=_texts,
    seed=_counts,
    started=_texts,
    seconds=_times,
    checks=st.lists(_checks, max_size=3).map(tuple),
    not_run=st.lists(_skips, max_size=2).map(tuple),
)
_ENDS = (Confirm, Release)
_BARE = (ReadAvailability, Expire, JoinWaitlist, LeaveWaitlist, ReadNotice, ReadSales)
_operations = st.one_of(
    st.builds(
        Reserve,
        ticket=st.just("general"),
        person=_texts,
        quantity=st.integers(1, 9),
        proof=st.sampled_from(Proof),
        disconnects=st.booleans(),
    ),
    st.builds(
        Cancel,
        ticket=st.just("general"),
        person=_texts,
        reservation=st.none() | _texts,
        whose=st.none() | _texts,
    ),
    st.builds(
        ReserveGroup,
        ticket=st.just("general"),
        person=_texts,
        members=st.lists(_texts, max_size=3).map(tuple),
    ),
    st.builds(Hold, ticket=st.just("general"), person=_texts, quantity=st.integers(1, 9)),
    st.builds(ChangeCapacity, ticket=st.just("general"), person=_texts, capacity=_counts),
    st.builds(Refund, ticket=st.just("general"), person=_texts, reservation=st.none() | _texts),
    *(st.builds(kind, ticket=st.just("general"), person=_texts, hold=st.none() | _texts) for kind in _ENDS),
    *(st.builds(kind, ticket=st.just("general"), person=_texts) for kind in _BARE),
)
_answers = st.builds(
    Answer,
    outcome=st.sampled_from(Outcome),
    reservation=st.none() | _texts,
    remaining=st.none() | _counts,
    sold=st.none() | _counts,
    group=st.lists(_texts, max_size=3).map(tuple),
    detail=_texts,
)
_calls = st.builds(
    Call,
    index=_counts,
    client=_texts,
    phase=st.integers(0, 1),
    operation=_operations,
    answer=_answers,
    invoked=_counts,
    completed=st.none() | _counts,
)
_rows = st.none() | st.lists(
    st.builds(Entry, ticket=_texts, person=_texts, quantity=_counts, reservation=st.none() | _texts),
    max_size=3,
).map(tuple)
_books = st.builds(
    Books,
    stock=st.lists(
        st.builds(
            Stock,
            ticket=_texts,
            initial=_counts,
            remaining=st.none() | st.integers(-9, 9),
            sold=st.none() | _counts,
            held=_counts,
        ),
        max_size=2,
    ).map(tuple),
    entries=_rows,
    holds=_rows,
    waiting=_rows,
    refunds=_rows,
)
_scenarios = st.builds(
    lambda operations, laws, reaches: Scenario(
        tickets=(TicketType(name="general", initial=5, closed=True),),
        phases=(Phase("first", (Program("one", tuple(operations)),)), Phase("second", ())),
        laws=laws,
        reaches=reaches,
        name="made_up",
    ),
    st.lists(_operations, min_size=1, max_size=3),
    st.none() | st.lists(_texts, max_size=2).map(tuple),
    st.frozensets(st.sampled_from(Outcome)),
)
evidences = st.builds(
    Evidence,
    scenario=_scenarios,
    history=st.lists(_calls, max_size=4).map(tuple),
    books=_books,
    states=st.lists(_books, max_size=2).map(tuple),
    incidents=st.none()
    | st.lists(
        st.builds(Incident, kind=st.sampled_from(IncidentKind), client=st.none() | _texts), max_size=3
    ).map(tuple),
)
_steps = st.builds(
    Step,
    client=st.just("one"),
    kind=st.sampled_from(["start", "execute", "resume", "commit", "rollback", "whole"]) | _texts,
    statement=_texts,
    shape=_texts,
    waited_for=st.lists(_texts, max_size=2).map(tuple),
    failed=st.booleans(),
    decision=_counts,
)
failures = st.builds(
    Failure,
    id=_texts,
    target=_texts,
    scenario=_scenarios,
    phase=st.just(0),
    isolation=st.none() | _texts,
    choices=st.lists(st.just("one"), max_size=5).map(tuple),
    steps=st.lists(_steps, max_size=6).map(tuple),
    laws=st.lists(_texts | st.sampled_from(["no_oversell", "one_per_person"]), min_size=1, max_size=2).map(
        tuple
    ),
    message=_texts,
    replayed=_counts,
    reproduced=_counts,
    preemptions=_counts,
    answers=st.dictionaries(st.just("one") | _texts, st.lists(_texts, max_size=3).map(tuple), max_size=2),
)
