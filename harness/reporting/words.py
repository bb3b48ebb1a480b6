"""The words all reports share, so that they say one thing in one way."""

from __future__ import annotations

import math
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from harness.model import Judgement, Outcome, Verdict
from harness.model.operations import (
    Cancel,
    ChangeCapacity,
    Confirm,
    Expire,
    Hold,
    JoinWaitlist,
    LeaveWaitlist,
    Proof,
    ReadAvailability,
    ReadNotice,
    ReadSales,
    Refund,
    Release,
    Reserve,
    ReserveGroup,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from harness.model import Check, Operation, Report, Violation
    from harness.model.events import LoadProgressed

_MOST_ROWS = 6
"""Rows of a commit that are shown; the rest is in verdict.json."""
_NOT_HERE = "in this scenario"
"""How a law's reason ends when the scenario is about something else."""

MEANINGS = {
    Verdict.SAFE: "every law held on evidence that could have shown otherwise",
    Verdict.VIOLATED: "a law was broken, and the evidence is on disk",
    Verdict.INCONCLUSIVE: "the run could not have shown a violation, or could not be judged",
}


def verdict_sentence(verdict: Verdict) -> str:
    """Return the verdict with its meaning and its exit code."""
    return f"{verdict}: {MEANINGS[verdict]} (exit code {verdict.exit_code})"


def check_title(check: Check) -> str:
    """Return what a check is called where there is one line for it."""
    return f"{check.scenario} / {check.engine}"


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, which takes an *s* for the plural."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def hit_rate(violation: Violation, check: Check) -> str:
    """Return in how many runs of the check the violation was seen."""
    return f"{violation.hits:,} of {counted(check.runs, 'run')}"


def commit(violation: Violation) -> tuple[str, ...]:
    """Return which transaction broke a law, and what it changed, a line each; nothing where none is known."""
    if violation.commit is None:
        return ()
    rows = violation.commit.rows
    more = (f"and {counted(len(rows) - _MOST_ROWS, 'row')} more",) if len(rows) > _MOST_ROWS else ()
    number = f"transaction {violation.commit.xid}, committed {_moment(violation.commit.at)}"
    return (number, *rows[:_MOST_ROWS], *more)


def lines_audited(report: Report) -> list[str]:
    """Return how the committed states between beginning and end were come by, one line for each way."""
    found: dict[str, list[Check]] = {}
    for check in report.checks:
        if check.audit:
            found.setdefault(check.audit, []).append(check)
    lines = []
    for audit, checks in found.items():
        commits = sum(check.commits_audited for check in checks)
        states = sum(check.states_audited for check in checks)
        much = counted(commits, "commit") if commits else counted(states, "state")
        lines.append(f"{audit}; {much} judged ({where(tuple(map(check_title, checks)), report)})")
    return lines


def load(check: Check) -> str:
    """Return how a load was; empty for a check without one."""
    if check.load is None:
        return ""
    figures = check.load
    return (
        f"{counted(figures.users, 'user')} for {duration(figures.seconds)}, "
        f"{counted(figures.requests, 'request')}, {figures.rate:,.0f} a second, half of them answered within "
        f"{figures.median_ms:,.0f} ms and 95% within {figures.p95_ms:,.0f} ms, "
        f"{counted(figures.failures, 'error')}; {counted(check.runs, 'sale')}"
    )


def lines_loaded(report: Report) -> list[str]:
    """Return how each load was."""
    return [f"{check_title(check)}: {load(check)}" for check in report.checks if check.load is not None]


def exploration(check: Check) -> str:
    """Return how far an exploration got; empty for a check that chose no schedules.

    The word *exhausted* is kept for those that left nothing out.
    """
    if check.schedules is None:
        return ""
    ran = counted(check.schedules, "schedule")
    if check.exhausted:
        stand = "stands" if check.schedules == 1 else "stand"
        orders = f" {stand} for {counted(check.orders, 'order')}" if check.orders is not None else ""
        return f"{ran}{orders}: exhausted{_retries(check)}"
    chance = ""
    if check.probability is not None and not check.violations:
        # Rounded down: chance never amounts to certainty.
        percent = min(999, math.floor(check.probability * 1000)) / 10
        chance = f"; a bug of the depth asked for shows with a probability of at least {percent}%"
    return f"{ran} run: not every order was covered{chance}{_retries(check)}"


def coverage(check: Check) -> str:
    """Return what was reached by programs that an engine drew; empty for a check that drew none."""
    if not check.coverage:
        return ""
    counts = Counter(check.coverage)
    kinds = [name.removesuffix("_accepted") for name in counts if name.endswith("_accepted")]
    accepted = [f"{kind} {counts[f'{kind}_accepted']:,} of {counts[kind]:,}" for kind in kinds]
    facts = [
        f"{counted(counts['steps'], 'step')}, {counts['overlapping_steps']:,} with overlapping requests",
        f"stock ran out {counted(counts['sold_out'], 'time')}",
        f"{counted(counts['lock_waits'], 'wait')} for locks",
        f"accepted: {', '.join(accepted)}",
    ]
    if counts["examples_left_out"]:
        facts.append(f"{counted(counts['examples_left_out'], 'example')} left out for want of time")
    return "; ".join(("", *facts))


def _retries(check: Check) -> str:
    """Return how often a buyer was refused for a passing reason: the price of an isolation level."""
    refused = check.outcomes.get(Outcome.RETRYABLE, 0)
    return f"; {refused} of {check.operations} operations would have to be tried again" if refused else ""


def load_facts(event: LoadProgressed) -> list[str]:
    """Return how a load goes, in a few words each, what matters most first."""
    sold = [f"sold {event.sold:,}"] if event.sold is not None else []
    remaining = [f"{event.remaining:,} left"] if event.remaining is not None else []
    if event.lag_seconds is None:
        audit = ["audit sampled"]
    else:
        audit = [f"{counted(event.commits, 'commit')} audited", f"lag {event.lag_seconds:.2f} s"]
    return [
        f"{event.seconds:.0f} of {event.of:.0f} s",
        *sold,
        *remaining,
        f"{event.rate:,.0f} requests/s",
        counted(event.failures, "error"),
        *audit,
        f"95% within {event.p95_ms:,.0f} ms",
        counted(event.users, "user"),
        f"sale {event.sales:,}",
    ]


def duration(seconds: float) -> str:
    """Return a length of time the way people say it."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s"


def numbers_of(violation: Violation) -> Mapping[str, int]:
    """Return the numbers a violation is about, those it has."""
    found = {name: getattr(violation, name) for name in ("initial", "sold", "remaining", "held")}
    return {name: number for name, number in found.items() if number is not None}


def broken_laws(check: Check) -> tuple[str, ...]:
    """Return the laws that were broken in a check."""
    return _laws(check, Judgement.VIOLATED)


def held_laws(check: Check) -> tuple[str, ...]:
    """Return the laws that held in a check."""
    return _laws(check, Judgement.HELD)


def not_judged(checks: Iterable[Check]) -> Mapping[tuple[str, str], tuple[str, ...]]:
    """Return, for each law that was not judged and each reason, the checks it concerns."""
    found: dict[tuple[str, str], list[str]] = {}
    for check in checks:
        for law in _laws(check, Judgement.NOT_JUDGED):
            found.setdefault((law, check.laws[law].reason), []).append(check_title(check))
    return {key: tuple(titles) for key, titles in found.items()}


def lines_not_judged(report: Report) -> list[str]:
    """Return what was not judged, one line for each law and reason.

    That nothing of the kind happens in a scenario is no news where it happens in another one; laws that no
    scenario at all is about share one line.
    """
    judged = {
        law
        for check in report.checks
        for law, result in check.laws.items()
        if result.judgement is not Judgement.NOT_JUDGED
    }
    lines, idle = [], []
    for (law, reason), titles in not_judged(report.checks).items():
        if not reason.endswith(_NOT_HERE):
            lines.append(f"{law}: {reason or 'no reason given'} ({where(titles, report)})")
        elif law not in judged and law not in idle:
            idle.append(law)
    if idle:
        lines.append(f"{', '.join(idle)}: nothing of the kind happens in these scenarios")
    return lines


def where(titles: tuple[str, ...], report: Report) -> str:
    """Return which checks are meant, briefly when it is all of them or many."""
    if len(titles) == len(report.checks):
        return "every check"
    return ", ".join(titles) if len(titles) <= 3 else counted(len(titles), "check")


def operation_words(operation: Operation) -> str:
    """Return what an operation does, in a few words."""
    match operation:
        case Reserve():
            extras = [f"proof {operation.proof}"] if operation.proof is not Proof.NONE else []
            extras += ["goes away"] if operation.disconnects else []
            note = f" ({', '.join(extras)})" if extras else ""
            return f"reserve {operation.quantity} × {operation.ticket} for {operation.person}{note}"
        case Cancel(whose=str(whose)) if whose != operation.person:
            return f"cancel {operation.ticket} of {whose}, asked by {operation.person}"
        case Cancel():
            return f"cancel {operation.ticket} of {operation.person}"
        case ReadAvailability():
            return f"read availability of {operation.ticket}"
        case Hold():
            return f"hold {operation.quantity} × {operation.ticket} for {operation.person}"
        case Confirm():
            return f"confirm what is held of {operation.ticket} for {operation.person}"
        case Release():
            return f"release what is held of {operation.ticket} for {operation.person}"
        case Expire():
            return f"let what is held of {operation.ticket} for {operation.person} expire"
        case ReserveGroup():
            members = ", ".join(operation.members)
            return f"reserve {len(operation.members)} × {operation.ticket} for {members}"
        case JoinWaitlist():
            return f"{operation.person} waits in line for {operation.ticket}"
        case LeaveWaitlist():
            return f"{operation.person} leaves the line for {operation.ticket}"
        case ChangeCapacity():
            return f"change the capacity of {operation.ticket} to {operation.capacity}"
        case Refund():
            return f"refund {operation.ticket} of {operation.person}"
        case ReadNotice():
            return f"read the last notice about {operation.ticket}"
        case ReadSales():
            return f"read the sales statistics of {operation.ticket}"


def _laws(check: Check, judgement: Judgement) -> tuple[str, ...]:
    return tuple(name for name, result in check.laws.items() if result.judgement is judgement)


def _moment(microseconds: int) -> str:
    try:
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)
    except OverflowError:  # a document that somebody else wrote
        return f"{microseconds} µs after 1970"
    return f"{moment:%Y-%m-%d %H:%M:%S.%f} UTC"
