"""Laws: pure functions from the evidence of one run to violations. One law per file, found by looking.

A law's docstring is its documentation page. A law that cannot be judged on some evidence says why and is
listed as *not judged*; it is never silently skipped. To add one, add a file that defines ``LAW``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.catalogue import Catalogue
from harness.laws._law import Law, UndecidedError
from harness.laws._memo import forget
from harness.model import Judgement, LawResult, Violation

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from harness.model import Evidence

__all__ = ["LAWS", "Judgements", "Law", "judge"]

LAWS: Catalogue[Law] = Catalogue("law", __name__, "LAW")

_SAID_ALREADY = "another law says what is wrong"


@dataclass(frozen=True, slots=True)
class Judgements:
    """What the laws said of one run."""

    results: Mapping[str, LawResult]
    """Every law that was asked, by name, in alphabetical order."""
    violations: tuple[Violation, ...]
    """In the order of the laws, sweeping ones last; within a law, in the order of the scenario's tickets."""


def judge(evidence: Evidence, names: Iterable[str] | None = None) -> Judgements:
    """Ask laws about the evidence of one run.

    :param names: which laws; ``None`` means those the scenario names, or all when it names none.
    :raises UsageError: when there is no law of some name; the message lists the valid ones.
    """
    if names is None:
        names = evidence.scenario.laws
    chosen = LAWS.entries.values() if names is None else [LAWS.get(name) for name in sorted(set(names))]
    results: dict[str, LawResult] = {}
    violations: list[Violation] = []
    try:
        for law in sorted(chosen, key=lambda law: law.sweeping):
            reason, found = (_SAID_ALREADY, ()) if law.sweeping and violations else _asked(law, evidence)
            results[law.name] = _result(reason, found)
            violations += found
    finally:
        forget()
    return Judgements(dict(sorted(results.items())), tuple(violations))


def _asked(law: Law, evidence: Evidence) -> tuple[str | None, tuple[Violation, ...]]:
    """Return why the law could not be judged, if so, and what it found."""
    reason = law.applies(evidence)
    if reason is not None:
        return reason, ()
    try:
        return None, tuple(law.judge(evidence))
    except UndecidedError as undecided:
        return str(undecided), ()


def _result(reason: str | None, found: tuple[Violation, ...]) -> LawResult:
    if reason is not None:
        return LawResult(judgement=Judgement.NOT_JUDGED, reason=reason)
    return LawResult(judgement=Judgement.VIOLATED if found else Judgement.HELD)
