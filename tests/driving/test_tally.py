"""The rules by which runs become a verdict, each on evidence made by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from harness.driving.tally import Tally
from harness.model import (
    Answer,
    Books,
    Call,
    Entry,
    Evidence,
    Judgement,
    Outcome,
    Reserve,
    Scenario,
    Stock,
    TicketType,
    Verdict,
)
from harness.model.events import CheckProgressed, EvidenceKept
from tests.driving.fakes import Heard, rush

if TYPE_CHECKING:
    from collections.abc import Sequence

BOTH = frozenset({Outcome.ACCEPTED, Outcome.SOLD_OUT})
RUSH = rush(buyers=3, stock=1)


def tally(scenario: Scenario = RUSH, **more: Any) -> Tally:
    """Return an empty tally."""
    return Tally(**{"scenario": scenario, "engine": "burst", "laws": None, "listen": Heard(), **more})


def evidence(
    *outcomes: Outcome,
    scenario: Scenario = RUSH,
    overlapping: bool = True,
    detail: str = "",
    disconnects: bool = False,
    **books: Any,
) -> Evidence:
    """Return one run in which buyer after buyer got these outcomes, with books that agree."""
    calls, entries = [], []
    for index, outcome in enumerate(outcomes):
        person = f"buyer-{index + 1}"
        begun = index if overlapping else 1000 * index
        calls.append(
            Call(
                index=index,
                client=person,
                phase=0,
                operation=Reserve(ticket="general", person=person, disconnects=disconnects),
                answer=Answer(outcome, detail=detail),
                invoked=begun,
                completed=None if outcome is Outcome.UNKNOWN else begun + 100,
            )
        )
        if outcome is Outcome.ACCEPTED:
            entries.append(Entry(ticket="general", person=person))
    stock = Stock(ticket="general", initial=scenario.tickets[0].initial)
    shown = replace(stock, remaining=max(0, stock.initial - len(entries)))
    return Evidence(
        scenario=scenario,
        history=tuple(calls),
        books=Books(**{"stock": (shown,), "entries": tuple(entries), **books}),
    )


FINE = (Outcome.ACCEPTED, Outcome.SOLD_OUT, Outcome.SOLD_OUT)
OVERSOLD = (Outcome.ACCEPTED, Outcome.ACCEPTED, Outcome.SOLD_OUT)


def reasons(of: Tally) -> Sequence[str]:
    """Return why it is inconclusive, having made sure that it is."""
    check = of.check()
    assert check.verdict is Verdict.INCONCLUSIVE
    assert check.reasons
    return check.reasons


def test_laws_that_held_on_a_real_rush_are_safe() -> None:
    """Operations overlapped, some succeeded, the answers it is about came, the question was judged."""
    of = tally(rush(buyers=3, stock=1, reaches=BOTH))
    assert not of.add(evidence(*FINE, scenario=of.scenario), spread=0.002)
    assert not of.add(evidence(*FINE, scenario=of.scenario), spread=0.004)
    check = of.check()
    assert (check.verdict, check.reasons, check.violations) == (Verdict.SAFE, (), ())
    assert (check.runs, check.hits, check.operations, check.overlapping) == (2, 0, 6, 3)
    assert check.outcomes["sold_out"] == 4
    assert check.spread_ms == pytest.approx(3.0)
    assert check.states_audited == 2


def test_nothing_run_is_inconclusive() -> None:
    """No evidence, no verdict."""
    assert reasons(tally()) == ("nothing was run",)


def test_no_success_is_inconclusive_and_says_what_came_instead() -> None:
    """A service that is down sells nothing too much; the most frequent complaint is quoted."""
    of = tally()
    of.add(evidence(Outcome.UNKNOWN, Outcome.UNKNOWN, detail="status 500"))
    assert reasons(of)[0] == "no operation succeeded (2 times: status 500)"


def test_refusals_alone_are_no_success() -> None:
    """Everybody refused for good: nothing was ever sold."""
    of = tally()
    of.add(evidence(Outcome.INVALID, Outcome.INVALID))
    assert reasons(of)[0] == "no operation succeeded"


def test_mostly_unusable_answers_are_inconclusive() -> None:
    """More than half of the operations came to nothing that can be judged."""
    of = tally()
    of.add(evidence(Outcome.ACCEPTED, Outcome.UNKNOWN, Outcome.UNKNOWN, detail="reset"))
    assert "2 of 3 operations had no usable answer (2 times: reset)" in reasons(of)


def test_some_unusable_answers_are_normal() -> None:
    """Half and less leave enough to judge."""
    of = tally()
    of.add(evidence(Outcome.ACCEPTED, Outcome.UNKNOWN))
    assert of.check().verdict is Verdict.SAFE


def test_unknown_outcomes_of_clients_that_leave_are_meant() -> None:
    """A scenario in which everybody walks away is not blamed on the target."""
    of = tally()
    of.add(evidence(*FINE))
    of.add(evidence(*[Outcome.UNKNOWN] * 9, disconnects=True))
    assert of.check().verdict is Verdict.SAFE


def test_no_overlap_is_inconclusive() -> None:
    """One after another is no race."""
    of = tally()
    of.add(evidence(*FINE, overlapping=False))
    assert reasons(of) == ("no two operations were ever under way at the same time",)


def test_a_scenario_of_one_needs_no_overlap() -> None:
    """A crowd of one cannot overlap with anybody, and is not asked to."""
    alone = rush(buyers=1)
    of = tally(alone)
    of.add(evidence(Outcome.ACCEPTED, scenario=alone))
    assert of.check().verdict is Verdict.SAFE


def test_overlap_in_one_run_is_enough() -> None:
    """The most that was ever under way counts."""
    of = tally()
    of.add(evidence(*FINE, overlapping=False))
    of.add(evidence(*FINE))
    assert of.check().verdict is Verdict.SAFE


def test_answers_that_never_came_are_inconclusive() -> None:
    """A scenario about selling out says nothing when it never sold out."""
    of = tally(rush(buyers=3, stock=3, reaches=BOTH))
    of.add(evidence(*[Outcome.ACCEPTED] * 3, scenario=of.scenario))
    assert reasons(of) == ("answers never came without which a pass says nothing: sold_out",)


def test_answers_may_come_in_different_runs() -> None:
    """What one run lacks another may have."""
    of = tally(rush(buyers=3, stock=3, reaches=BOTH))
    of.add(evidence(*[Outcome.ACCEPTED] * 3, scenario=of.scenario))
    of.add(
        evidence(Outcome.ACCEPTED, Outcome.ACCEPTED, Outcome.ACCEPTED, Outcome.SOLD_OUT, scenario=of.scenario)
    )
    assert of.check().verdict is Verdict.SAFE


def test_a_law_the_scenario_names_must_be_judged() -> None:
    """A scenario about one law says nothing where that law cannot be judged."""
    about = rush(buyers=3, stock=1, laws=("counters_agree_with_rows",))
    of = tally(about)
    of.add(evidence(*FINE, scenario=about))
    (reason,) = reasons(of)
    assert reason.startswith("counters_agree_with_rows could not be judged: ")


def test_a_law_that_was_asked_for_must_be_judged() -> None:
    """Whoever names a law wants an answer to it; another law's answer will not do."""
    of = tally(laws=("counters_agree_with_rows", "no_oversell"))
    of.add(evidence(*FINE))
    (reason,) = reasons(of)
    assert reason.startswith("counters_agree_with_rows could not be judged: ")


def test_a_law_nobody_asked_for_may_be_left_unjudged() -> None:
    """It is listed with its reason, and the verdict stands."""
    of = tally()
    of.add(evidence(*FINE))
    check = of.check()
    assert check.verdict is Verdict.SAFE
    assert check.laws["counters_agree_with_rows"].judgement is Judgement.NOT_JUDGED
    assert check.laws["counters_agree_with_rows"].reason


def test_a_law_judged_once_counts_as_judged() -> None:
    """A later run that cannot be judged takes nothing away."""
    of = tally()
    of.add(evidence(*FINE))
    of.add(evidence(*FINE, entries=None))
    assert of.check().laws["one_per_person"].judgement is Judgement.HELD
    assert of.check().verdict is Verdict.SAFE


def test_trouble_is_inconclusive_and_said_once() -> None:
    """A pass with something gone wrong on the way is no pass."""
    of = tally()
    of.add(evidence(*FINE))
    of.troubles += ["Postgres went away", "Postgres went away"]
    assert reasons(of) == ("Postgres went away",)


def test_a_violation_outweighs_everything() -> None:
    """It was seen: no trouble, no missing answer and no missing overlap unsees it."""
    of = tally(rush(buyers=3, stock=1, reaches=frozenset({Outcome.DUPLICATE})))
    assert of.add(evidence(*OVERSOLD, scenario=of.scenario, overlapping=False))
    of.troubles.append("Postgres went away")
    check = of.check()
    assert (check.verdict, check.reasons) == (Verdict.VIOLATED, ())
    assert check.laws["no_oversell"].judgement is Judgement.VIOLATED


def test_hits_are_counted_and_the_first_run_is_kept() -> None:
    """Of each kind of violation the first is shown, with how many runs had it."""
    of = tally()
    for outcomes in (FINE, OVERSOLD, FINE, OVERSOLD):
        of.add(evidence(*outcomes))
    check = of.check()
    (oversold,) = [each for each in check.violations if each.law == "no_oversell"]
    assert (check.runs, check.hits) == (4, 2)
    assert (oversold.run, oversold.hits, oversold.ticket) == (2, 2, "general")
    assert oversold.evidence == "evidence/rush-burst-2.json"
    assert check.laws["no_oversell"].judgement is Judgement.VIOLATED


def test_evidence_is_kept_once_for_each_kind() -> None:
    """The second run of a kind adds a count, not a file; a run with a new kind is kept again."""
    heard = Heard()
    of = tally(listen=heard)
    of.add(evidence(*OVERSOLD))
    of.add(evidence(*OVERSOLD))
    missing = evidence(*FINE, entries=())
    of.add(missing)
    kept = heard.of(EvidenceKept)
    assert [(each.run, each.path) for each in kept] == [
        (1, "evidence/rush-burst-1.json"),
        (3, "evidence/rush-burst-3.json"),
    ]
    assert kept[1].evidence is missing


def test_one_run_counts_once_however_often_it_breaks_a_law() -> None:
    """A law broken on the way and at the end, by one ticket type, is one hit."""
    of = tally()
    bad = evidence(*OVERSOLD)
    of.add(replace(bad, states=(bad.books, bad.books)))
    (oversold,) = [each for each in of.check().violations if each.law == "no_oversell"]
    assert oversold.hits == 1


def test_ticket_types_are_different_kinds() -> None:
    """Two ticket types oversold are two violations."""
    scenario = replace(RUSH, tickets=(*RUSH.tickets, TicketType(name="vip", initial=0)))
    of = tally(scenario)
    both = evidence(*OVERSOLD, scenario=scenario)
    vip = Entry(ticket="vip", person="buyer-9")
    stock = (*both.books.stock, Stock(ticket="vip", initial=0, remaining=0))
    of.add(replace(both, books=Books(stock=stock, entries=(*(both.books.entries or ()), vip))))
    kinds = [(each.law, each.ticket) for each in of.check().violations if each.law == "no_oversell"]
    assert kinds == [("no_oversell", "general"), ("no_oversell", "vip")]


def test_progress_is_told_after_every_run() -> None:
    """Whoever listens hears how many runs were done, of how many, and with how many hits."""
    heard = Heard()
    of = tally(listen=heard, planned=2)
    of.add(evidence(*FINE))
    of.add(evidence(*OVERSOLD))
    told = [(each.done, each.of, each.hits) for each in heard.of(CheckProgressed)]
    assert told == [(1, 2, 0), (2, 2, 1)]
