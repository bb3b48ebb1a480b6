"""Some order of the calls explains every answer, and the books at the end.

Every call takes effect at one moment between its invocation and its answer; one whose outcome is unknown at
one moment after its invocation, or never. There must be an order of these moments in which the sequential
specification (`harness/model/sequential.py`) gives every answer that was given: linearizability (Herlihy and
Wing 1990). It is judged for each event by itself. Refusals as invalid or for a passing reason need no
explanation, since a target may have rules of its own, and nothing happened.

This law sees what laws about single answers cannot: a number that was read and was true at no moment of the
call, a "sold out" and a sale that explain each other away, an answer "duplicate" to somebody who has nothing.
Where another law was broken it is not asked: that law says better what is wrong.

What it says about is the first call that nothing explains: up to its answer there is no order, up to just
before there is one. The calls around it are listed in the order of their invocation, with times since the
first.

Small histories are searched exactly, and the books at the end have to be reachable too (Wing and Gong 1993,
Lowe 2017). For large ones the calls are reduced to what they do to the counter of the ticket type, and the
books are left to other laws; [history.md](history.md) says how. When neither comes to an end within its
budget, the law is not judged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.laws._checker.counters import decide
from harness.laws._checker.search import search
from harness.laws._law import Law, UndecidedError
from harness.model import Books, Violation
from harness.model.history import Explained, parts
from harness.model.operations import kind_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from harness.model import Call, Entry, Evidence, TicketType
    from harness.model.history import Finding, Part

BUDGET = 20_000
"""How many configurations the exact search visits before it gives up, and so does the sweep over sets."""
_SMALL = 64
"""Histories of at most so many calls are searched exactly first."""
_LITTLE = 1_000
"""With this budget."""
_WORK = 2_000_000
"""Calls, over all configurations that the exact search visits, after which it gives up as well."""
_LARGE = 2_000
"""Histories of more calls than this are not searched at all: states are compared whole."""


def explain(
    tickets: Iterable[TicketType], calls: Iterable[Call], books: Books | None = None, *, budget: int = BUDGET
) -> list[Finding]:
    """Return for each event whether some order explains its calls.

    :param books: the state at the end, when it has to be reached as well.
    :param budget: how many configurations each of the two ways may visit for each event.
    """
    return [_explain(part, books, budget) for part in parts(tickets, calls)]


def told(finding: Finding, calls: Iterable[Call]) -> str:
    """Return what was found out about an unexplainable history in words, times since its start."""
    start = min((call.invoked for call in calls), default=0)
    return _sentence(finding, lambda moment: f"{(moment - start) / 1e6:.3f} ms")


def _sentence(finding: Finding, when: Callable[[int], str]) -> str:
    what = "" if finding.call is None else f"nothing explains {_told(finding.call, when)}; "
    around = "; ".join(_told(call, when) for call in finding.around if call is not finding.call)
    beside = f" Around it, in the order of invocation: {around}." if around else ""
    return f"{what}{finding.reason}.{beside}"


def _explain(part: Part, books: Books | None, budget: int) -> Finding:
    """Search a little where the history is small; then reduce it to counters; then search on."""
    mine = None if books is None else _of(books, part)
    little = min(budget, _LITTLE)
    small = len(part.calls) <= _SMALL
    if small:
        finding = search(part, mine, budget=little)
        if finding.explained is not Explained.UNDECIDED:
            return finding
    fast = decide(part, budget=budget)
    done = small and little == budget
    if fast.explained is not Explained.UNDECIDED or done or len(part.calls) > _LARGE:
        return fast
    # Each configuration is as large as the history is long.
    many = min(budget, _WORK // max(1, len(part.calls)))
    finding = search(part, mine, budget=many + len(part.calls))
    return fast if finding.explained is Explained.UNDECIDED else finding


def _of(books: Books, part: Part) -> Books:
    """Return what the books say of one event."""
    mine = {ticket.name for ticket in part.tickets}

    def rows(entries: tuple[Entry, ...] | None) -> tuple[Entry, ...] | None:
        return None if entries is None else tuple(entry for entry in entries if entry.ticket in mine)

    return Books(
        stock=tuple(stock for stock in books.stock if stock.ticket in mine),
        entries=rows(books.entries),
        holds=rows(books.holds),
        waiting=rows(books.waiting),
        refunds=rows(books.refunds),
    )


def _judge(evidence: Evidence) -> Iterator[Violation]:
    undecided = ""
    for finding in explain(evidence.scenario.tickets, evidence.history, evidence.books):
        if finding.explained is Explained.NO:
            yield _violation(finding)
            return
        if finding.explained is Explained.UNDECIDED:
            undecided = finding.reason
    if undecided:
        raise UndecidedError(undecided)


def _violation(finding: Finding) -> Violation:
    ticket = f"{finding.ticket}: " if finding.ticket else ""
    buyers = () if finding.call is None else (finding.call.operation.person,)
    return Violation(
        law=LAW.name,
        message=f"{ticket}{_sentence(finding, _places(finding))}",
        ticket=finding.ticket,
        buyers=buyers,
    )


def _places(finding: Finding) -> Callable[[int], str]:
    """Return what numbers the moments of the calls that are told about.

    Their times differ from run to run; the same violation has to read the same.
    """
    calls = (*finding.around, *(() if finding.call is None else (finding.call,)))
    moments = {moment for call in calls for moment in (call.invoked, call.completed) if moment is not None}
    places = {moment: place for place, moment in enumerate(sorted(moments), start=1)}
    return lambda moment: f"moment {places[moment]}"


def _told(call: Call, when: Callable[[int], str]) -> str:
    """Return a call in words: ``ada's reserve (moment 1 to moment 4): accepted``."""
    operation, answer = call.operation, call.answer
    over = "no answer" if call.completed is None else when(call.completed)
    numbers = "".join(
        f", {value} {what}" for what in ("remaining", "sold") if (value := getattr(answer, what)) is not None
    )
    quantity = getattr(operation, "quantity", 1)
    much = "" if quantity == 1 else f" of {quantity}"
    outcome = answer.outcome.value.replace("_", " ")
    kind = kind_of(operation).replace("_", " ")
    return f"{operation.person}'s {kind}{much} ({when(call.invoked)} to {over}): {outcome}{numbers}"


LAW = Law(name="linearizable", doc=__doc__, judge=_judge, sweeping=True)
