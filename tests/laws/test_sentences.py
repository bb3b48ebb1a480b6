"""What a person reads when a law is broken, and what a law says when it cannot be judged."""

from __future__ import annotations

from dataclasses import replace

import pytest

import harness.laws
from harness.errors import UsageError
from harness.laws import LAWS, judge
from harness.model import (
    Answer,
    Books,
    Call,
    Cancel,
    ChangeCapacity,
    Entry,
    Evidence,
    Expire,
    Hold,
    Incident,
    IncidentKind,
    JoinWaitlist,
    Judgement,
    Operation,
    Outcome,
    Phase,
    Program,
    ReadAvailability,
    ReadNotice,
    ReadSales,
    Refund,
    Reserve,
    ReserveGroup,
    Scenario,
    Stock,
    TicketType,
    Violation,
)

Told = tuple[Operation, Outcome]
ACCEPTED, SOLD_OUT, INVALID = Outcome.ACCEPTED, Outcome.SOLD_OUT, Outcome.INVALID


def evidence(
    *calls: Told,
    initial: int = 10,
    numbers: dict[str, int] | None = None,
    rows: tuple[Entry, ...] | None = (),
    laws: tuple[str, ...] | None = None,
    tickets: tuple[TicketType, ...] = (),
) -> Evidence:
    """Evidence of calls one after the other, and the books at the end."""
    stock = tickets or (TicketType(name="general", initial=initial),)
    history = tuple(
        Call(
            index=index,
            client=operation.person,
            phase=0,
            operation=operation,
            answer=Answer(outcome),
            invoked=2 * index,
            completed=2 * index + 1,
        )
        for index, (operation, outcome) in enumerate(calls)
    )
    program = Program("somebody", (Reserve(ticket=stock[0].name, person="somebody"),))
    return Evidence(
        scenario=Scenario(tickets=stock, phases=(Phase("all", (program,)),), laws=laws),
        history=history,
        books=Books(stock=(Stock(ticket="general", initial=initial, **(numbers or {})),), entries=rows),
    )


def reserve(person: str, quantity: int = 1) -> Reserve:
    return Reserve(ticket="general", person=person, quantity=quantity)


def row(person: str, quantity: int = 1, ticket: str = "general") -> Entry:
    return Entry(ticket=ticket, person=person, quantity=quantity)


def only(law: str, found: Evidence) -> Violation:
    """The one violation of a law."""
    (violation,) = judge(found, [law]).violations
    return violation


def test_overselling_names_the_ticket_the_numbers_and_the_buyers() -> None:
    """The sentence of the whole project: what there was, what was sold, who has it."""
    rows = tuple(row(f"buyer-{number}") for number in range(1, 15))
    violation = only("no_oversell", evidence(numbers={"remaining": 0}, rows=rows))
    assert violation.message == (
        "general: started with 10, sold 14 and 0 remain: 4 too many. "
        "Buyers: buyer-1, buyer-2, buyer-3, buyer-4, buyer-5 and 9 more."
    )
    assert (violation.ticket, violation.initial, violation.sold, violation.remaining, violation.held) == (
        "general",
        10,
        14,
        0,
        0,
    )
    assert violation.buyers == tuple(entry.person for entry in rows)


def test_the_worst_of_all_states_is_told_and_the_final_one_when_it_is_as_bad() -> None:
    """A state that was mended before the end is a violation too, and the sentence says when it was."""
    final = evidence(initial=1, numbers={"remaining": 0, "held": 1}, rows=(row("ada"),))
    as_bad = Evidence(scenario=final.scenario, history=(), books=final.books, states=(final.books,))
    assert only("no_oversell", as_bad).message == (
        "general: started with 1, sold 1 and 1 are held and 0 remain: 1 too many. Buyers: ada."
    )
    worse = Books(stock=(Stock(ticket="general", initial=1, remaining=3),), entries=(row("ada"),))
    on_the_way = Evidence(scenario=final.scenario, history=(), books=final.books, states=(worse, worse))
    assert only("no_oversell", on_the_way).message == (
        "general: started with 1, at one moment sold 1 and 3 remained: 3 too many. Buyers: ada."
    )


def test_overselling_is_seen_in_the_answers_when_the_target_shows_nothing() -> None:
    """Nobody needs access to the database to be told that two people have the last ticket."""
    calls: list[Told] = [(reserve("ada"), ACCEPTED), (reserve("ben"), ACCEPTED), (reserve("ada"), ACCEPTED)]
    violation = only("no_oversell", evidence(*calls, initial=1, rows=None))
    assert violation.message == "general: started with 1, sold 2: 1 too many. Buyers: ada, ben."
    cancelled: list[Told] = [*calls, (Cancel(ticket="general", person="ada"), ACCEPTED)]
    assert judge(evidence(*cancelled, initial=1, rows=None), ["no_oversell"]).violations == ()


@pytest.mark.parametrize(
    ("law", "found", "message"),
    [
        (
            "no_leak",
            evidence(numbers={"remaining": 7}, rows=(row("ada"),)),
            "general: started with 10, sold 1 and 7 remain: 2 vanished.",
        ),
        (
            "never_negative",
            evidence(numbers={"remaining": -1}, rows=(row("ada"), row("ben", 0))),
            "general: started with 10, sold 1 and -1 remain: the count of remaining is -1.",
        ),
        (
            "never_negative",
            evidence(rows=(row("ada", -2),)),
            "general: started with 10, sold -2: ada stands in the books with -2.",
        ),
        (
            "counters_agree_with_rows",
            evidence(numbers={"sold": 3}, rows=(row("ada"),)),
            "general: started with 10, sold 1, counted in the rows, but the target's own count of sold is 3.",
        ),
        (
            "one_per_person",
            evidence(rows=(row("ada"), row("ben"), row("ada"))),
            "general: started with 10, sold 3, "
            "but more than one reservation for one person: ada (2: general + general).",
        ),
        (
            "accepted_in_books_once",
            evidence((reserve("ada"), ACCEPTED), (reserve("ben", 2), ACCEPTED), rows=(row("ben"),)),
            "general: started with 10, sold 1, but accepted and not in the books: ada; "
            "in the books with another quantity: ben.",
        ),
        (
            "accepted_in_books_once",
            evidence(
                (reserve("ada"), ACCEPTED),
                (Cancel(ticket="general", person="ada"), ACCEPTED),
                (reserve("ben"), ACCEPTED),
                rows=(row("ada"), row("ben"), row("ben")),
            ),
            "general: started with 10, sold 3, but cancelled and still in the books: ada; "
            "in the books too often: ben.",
        ),
        (
            "refused_not_in_books",
            evidence((reserve("ada"), SOLD_OUT), rows=(row("ada"), row("ben"))),
            "general: started with 10, sold 2, but the books hold what nobody may have bought: "
            "ada (was told sold_out), ben (never asked).",
        ),
        (
            "refused_not_in_books",
            evidence(
                (reserve("ada"), ACCEPTED),
                (Cancel(ticket="general", person="ada"), ACCEPTED),
                (ReadAvailability(ticket="general", person="ada"), ACCEPTED),
                (reserve("ben"), Outcome.UNKNOWN),
                (reserve("cleo"), Outcome.UNKNOWN),
                rows=(row("ada"), row("ben", 2), row("cleo"), row("cleo")),
            ),
            "general: started with 10, sold 5, but the books hold what nobody may have bought: "
            "ada (had cancelled), ben (stands with 2, asked for 1), cleo (stands 2 times, explained 1).",
        ),
        (
            "no_refusal_while_stock_remained",
            evidence((reserve("ada"), ACCEPTED), (reserve("ben", 2), SOLD_OUT), initial=3, rows=None),
            "general: started with 3, sold an unknown number, "
            "but told sold out while stock remained: ben (asked for 2, 2 free).",
        ),
        (
            "nothing_after_deadline",
            evidence(
                (reserve("ada"), ACCEPTED),
                rows=(row("ada"), row("ben")),
                tickets=(TicketType(name="general", initial=10, closed=True),),
            ),
            "general: started with 10, sold 2, but its sale had ended. Sold to: ada, ben.",
        ),
    ],
)
def test_each_law_says_in_one_sentence_what_is_wrong(law: str, found: Evidence, message: str) -> None:
    """Which ticket, what it started with, what was sold, what remained, which buyers."""
    violation = only(law, found)
    assert violation.message == message
    assert violation.law == law
    assert (violation.ticket, violation.initial) == ("general", found.scenario.tickets[0].initial)


def test_the_sentences_about_the_rest_of_the_system() -> None:
    """Groups, holds, the line, capacities, numbers that were read, refunds and owners: who, and what."""
    hold, join = Hold(ticket="general", person="ada"), JoinWaitlist(ticket="general", person="ada")
    group = ReserveGroup(ticket="general", person="ada", members=("ada", "ben", "cleo"))
    change = ChangeCapacity(ticket="general", person="eve", capacity=6)
    foreign = Cancel(ticket="general", person="ben", whose="ada")
    refund = Refund(ticket="general", person="ada")
    found = evidence((group, Outcome.UNKNOWN), rows=(row("ada"),))
    assert only("groups_all_or_nothing", found).message == (
        "general: started with 10, sold 1, but a group was not served whole: "
        "ada + ben + cleo (ada stands, ben, cleo do not)."
    )
    found = evidence((hold, ACCEPTED), (Expire(ticket="general", person="ada"), ACCEPTED))
    found = replace(found, books=replace(found.books, holds=(row("ada"),)))
    assert only("holds_end_once", found).message == (
        "general: started with 10, sold 0, but ended and still held: ada; "
        "the count of held is 0, and the rows hold 1."
    )
    found = evidence((join, ACCEPTED), (reserve("ben"), ACCEPTED), rows=(row("ben"),))
    found = replace(found, books=replace(found.books, waiting=(row("ada"),)))
    assert only("waitlist_in_order", found).message == (
        "general: started with 10, sold 1, but the line was not kept: ada still waits, and ben came later."
    )
    found = evidence((join, ACCEPTED), numbers={"remaining": 2})
    found = replace(found, books=replace(found.books, waiting=(row("ada"),)))
    assert only("waitlist_is_served", found).message == (
        "general: started with 10, sold 0 and 2 remain, but still waiting while 2 could be had: ada."
    )
    found = evidence((change, ACCEPTED), numbers={"remaining": 0}, rows=(row("ada", 8),))
    assert only("capacity_covers_sold", found).message == (
        "general: started with 10, lowered to 6, sold 8 and 0 remain: 2 more than the capacity of 6."
    )
    assert "started with 10, lowered to 6, sold 8" in only("no_oversell", found).message
    perhaps = evidence((change, Outcome.UNKNOWN), numbers={"remaining": 12}, rows=())
    assert "started with 10, perhaps changed to 6, sold 0" in only("no_oversell", perhaps).message
    found = evidence((reserve("ada"), ACCEPTED), (refund, ACCEPTED))
    found = replace(found, books=replace(found.books, refunds=(row("ada"), row("ada"))))
    assert only("refunded_once", found).message == (
        "general: started with 10, sold 0, but paid back more than once: ada."
    )
    found = evidence((reserve("ada"), ACCEPTED), (foreign, Outcome.UNKNOWN))
    assert only("only_owners_cancel", found).message == (
        "general: started with 10, sold 0, but somebody else's was cancelled: "
        "ben asked for ada's (unknown, and it is gone)."
    )


@pytest.mark.parametrize(
    ("law", "kind", "told"),
    [
        ("availability_was_true", ReadAvailability, "told what never remained: ben (told 11, at most 9"),
        ("notices_are_true", ReadNotice, "the last notice was not true: ben (told 11, at most 9"),
        ("sales_are_true", ReadSales, "the statistics told what was never sold: ben (told 11, at most 1"),
    ],
)
def test_a_number_that_was_never_true_is_told_with_what_was_possible(
    law: str, kind: type[ReadAvailability | ReadNotice | ReadSales], told: str
) -> None:
    """Whoever reads the report sees by how much the answer was wrong."""
    found = evidence((reserve("ada"), ACCEPTED), (kind(ticket="general", person="ben"), ACCEPTED))
    read = replace(found.history[1], answer=Answer(ACCEPTED, remaining=11, sold=11))
    assert told in only(law, replace(found, history=(found.history[0], read))).message


def test_one_person_with_two_ticket_types_is_told_of_the_event() -> None:
    """The rule is the event's, so no single ticket type is to blame."""
    tickets = (TicketType(name="general", initial=10), TicketType(name="balcony", initial=10))
    found = evidence(rows=(row("ada"), row("ada", ticket="balcony")), tickets=tickets)
    violation = only("one_per_person", found)
    assert violation.message == "event: more than one reservation for one person: ada (2: general + balcony)."
    assert violation.ticket is None
    assert violation.buyers == ("ada",)


def test_a_sold_out_answer_after_the_sale_ended_is_no_lie() -> None:
    """Refusing is right there, whatever the words."""
    closed = (TicketType(name="general", initial=10, closed=True),)
    found = evidence((reserve("ada"), SOLD_OUT), tickets=closed)
    assert judge(found, ["no_refusal_while_stock_remained"]).violations == ()


def test_a_sold_out_answer_counts_a_certain_cancel() -> None:
    """What was given back before the call began was free again."""
    cancel = Cancel(ticket="general", person="ada")
    calls: list[Told] = [(reserve("ada"), ACCEPTED), (cancel, ACCEPTED), (reserve("ben"), SOLD_OUT)]
    assert (
        "ben (asked for 1, 1 free)"
        in only("no_refusal_while_stock_remained", evidence(*calls, initial=1)).message
    )
    refused: list[Told] = [(reserve("ada"), ACCEPTED), (cancel, INVALID), (reserve("ben"), SOLD_OUT)]
    assert judge(evidence(*refused, initial=1), ["no_refusal_while_stock_remained"]).violations == ()


def test_a_law_that_cannot_be_judged_says_why() -> None:
    """Never silently skipped: a blind spot of the target is told."""
    reasons = {
        "accepted_in_books_once": "the target's rows cannot be read",
        "availability_was_true": "nobody asks what remains in this scenario",
        "capacity_covers_sold": "nobody changes the capacity in this scenario",
        "groups_all_or_nothing": "nobody reserves for a group in this scenario",
        "holds_end_once": "nothing is held in this scenario",
        "notices_are_true": "nobody listens for notices in this scenario",
        "only_owners_cancel": "nobody asks to cancel what is somebody else's in this scenario",
        "refunded_once": "nobody is paid back in this scenario",
        "sales_are_true": "nobody asks for sales statistics in this scenario",
        "waitlist_in_order": "nobody waits in line in this scenario",
        "waitlist_is_served": "nobody waits in line in this scenario",
        "counters_agree_with_rows": "the target keeps no count of what it sold",
        "no_leak": "the target keeps no number of what remains",
        "nothing_after_deadline": "the sale of no ticket type has ended in this scenario",
        "one_per_person": "the target's rows cannot be read",
        "refused_not_in_books": "the target's rows cannot be read",
    }
    results = judge(evidence(rows=None), reasons).results
    assert {name: result.reason for name, result in results.items()} == reasons
    assert {result.judgement for result in results.values()} == {Judgement.NOT_JUDGED}
    blind = judge(evidence(rows=None, numbers={"remaining": 3}), ["no_leak"]).results["no_leak"]
    assert blind.reason == "the target shows neither its rows nor its own count of what it sold"


def test_incidents_are_told_with_whom_they_hit_each_once() -> None:
    """Who was ended to break a deadlock, and who never got an answer; each law looks at its own kind."""
    hit = [
        Incident(kind=IncidentKind.DEADLOCK, client="ben"),
        Incident(kind=IncidentKind.STUCK, client="ada"),
        Incident(kind=IncidentKind.SERIALIZATION, client="eve"),
        Incident(kind=IncidentKind.DEADLOCK, client="ben"),
        Incident(kind=IncidentKind.STUCK, client="cleo"),
    ]
    found = replace(evidence(), incidents=tuple(hit))
    deadlock, stuck = only("no_deadlock", found), only("answers", found)
    assert deadlock.message == "Postgres had to break a deadlock between buyers; it ended: ben."
    assert stuck.message == "No answer came, and nobody was going to let go of what is waited for: ada, cleo."
    assert (deadlock.buyers, stuck.buyers) == (("ben",), ("ada", "cleo"))


@pytest.mark.parametrize(("times", "said"), [(1, "a deadlock"), (3, "3 deadlocks")])
def test_deadlocks_that_were_only_counted_name_nobody(times: int, said: str) -> None:
    """Where nobody knows whom they hit, the sentence says how many there were, and that."""
    counted = (Incident(kind=IncidentKind.DEADLOCK, client=None),) * times
    violation = only("no_deadlock", replace(evidence(), incidents=counted))
    assert f"had to break {said} between buyers; it counts them" in violation.message
    assert violation.buyers == ()


@pytest.mark.parametrize("law", ["no_deadlock", "answers"])
def test_incidents_are_judged_only_where_somebody_watched(law: str) -> None:
    """No news from an engine that does not look is no good news."""
    blind = judge(evidence(), [law]).results[law]
    assert (blind.judgement, blind.reason) == (
        Judgement.NOT_JUDGED,
        "the engine does not watch sessions for it",
    )
    seen = judge(replace(evidence(), incidents=()), [law]).results[law]
    assert seen.judgement is Judgement.HELD


def test_a_scenario_chooses_its_laws_and_a_person_overrules_it() -> None:
    """Names given to judge come first, then the scenario's, then all there are."""
    chosen = evidence(laws=("no_leak",))
    assert list(judge(chosen).results) == ["no_leak"]
    assert list(judge(chosen, ["no_oversell", "no_oversell"]).results) == ["no_oversell"]
    assert list(judge(evidence()).results) == list(LAWS.entries)


def test_an_unknown_law_lists_the_valid_ones() -> None:
    """One line: what was wrong, what was probably meant, what is valid."""
    with pytest.raises(
        UsageError, match=r"No law named 'no_overzell'\. Did you mean 'no_oversell'\?"
    ) as error:
        judge(evidence(), ["no_overzell"])
    assert all(name in str(error.value) for name in LAWS.entries)


def test_every_law_is_named_after_its_file_and_explained_by_it() -> None:
    """A law is found, cited and read about under one name."""
    for name, law in LAWS.entries.items():
        module = __import__(f"{harness.laws.__name__}.{name}", fromlist=["LAW"])
        assert module.LAW is law
        assert law.doc == module.__doc__
        assert law.title.endswith(".")
        assert len(law.title) <= 100
