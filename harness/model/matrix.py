"""The kill matrix: what came of driving implementations of known verdict with every engine.

A wrong one is *killed* by an engine that shows a law broken which it claims to break; a right one must be
*cleared* by all. :func:`cell_of` says which it was, from checks like any others; :attr:`Matrix.findings` says
what that means for the harness and for the claims. Nothing is passed over: what was not driven is a cell that
says why.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from harness.model.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from harness.model.verdict import Check, Violation


class Ruling(StrEnum):
    """What one engine made of one specimen."""

    KILLED = "killed"
    """A law was broken that the wrong one claims to break."""
    WRONG_LAW = "killed under another law"
    """Laws were broken, and none of them is one that the wrong one claims to break."""
    SURVIVED = "survived"
    """No law was seen broken, although it is wrong."""
    ACCUSED = "accused"
    """A law was broken, although it is right: a false alarm, or a wrong claim."""
    CLEARED = "cleared"
    """Every law held wherever it could be judged; :attr:`Cell.unjudged` lists where not."""
    INCONCLUSIVE = "inconclusive"
    """No law was broken, and nothing could be judged."""
    NOT_RUN = "not run"
    """It cannot be driven like that, or was not asked for."""
    LEFT_OUT = "left out"
    """It should have been driven, and something came in between."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What a wrong specimen says of itself."""

    laws: tuple[str, ...]
    scenario: str
    engine: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One specimen before one engine."""

    ruling: Ruling
    law: str | None = None
    """The law under which it was killed or accused."""
    scenario: str | None = None
    """Where that was."""
    run: int = 0
    """The run that showed it first, counted from 1 within its check."""
    seconds: float = 0.0
    """From the beginning of its check to that moment; the time of all checks when nothing was shown."""
    runs: int = 0
    """Runs of all checks together."""
    laws: tuple[str, ...] = ()
    """Every law that was seen broken."""
    evidence: str | None = None
    """The file with the history and the books, relative to the run folder."""
    reason: str = ""
    """Why it is inconclusive or was not run; for the script, what it counted."""
    checks: int = 0
    """Scenarios that were driven."""
    unjudged: tuple[str, ...] = ()
    """Those of them that could not be judged, each with why not."""
    skipped: tuple[str, ...] = ()
    """Scenarios that were not driven, each with why not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One specimen before everybody."""

    specimen: str
    claim: Claim | None
    """``None`` for a right one."""
    cells: Mapping[str, Cell]
    """By engine, in the order of the matrix."""
    script: Cell
    """The story's own script: twenty buyers once, and successes counted."""
    faults: tuple[str, ...] = ()
    """What its claim names that does not exist."""

    def engines(self, *rulings: Ruling) -> tuple[str, ...]:
        """Return the engines that ruled one of these."""
        return tuple(name for name, cell in self.cells.items() if cell.ruling in rulings)


class Kind(StrEnum):
    """What is wrong with the harness or with a claim."""

    FALSE_ALARM = "false alarm"
    SURVIVED = "survived"
    WRONG_LAW = "caught under another law"
    WRONG_CLAIM = "wrong claim"
    UNDECIDED = "undecided"
    """No failure, and no success: exit code 3 unless something else failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that keeps the harness from passing."""

    kind: Kind
    specimen: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Total:
    """One column added up."""

    killed: int
    """Wrong ones killed under a law they claim."""
    wrong: int
    """Wrong ones it was let loose on."""
    accused: int
    """Right ones accused."""
    right: int
    """Right ones it was let loose on."""


class Result(StrEnum):
    """How the harness did."""

    PASSED = "passed"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"

    @property
    def exit_code(self) -> int:
        """What the process exits with."""
        return {Result.PASSED: 0, Result.FAILED: 1, Result.INCONCLUSIVE: 3}[self]


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrix:
    """All specimens before all engines."""

    engines: tuple[str, ...]
    rows: tuple[Row, ...]
    quick: bool
    """Each mistake was driven by the one engine it claims only, right ones through one scenario."""
    seed: int
    database: str
    """Where it ran, without secrets."""
    started: str
    """ISO 8601, UTC."""
    seconds: float
    jobs: int = 1
    """Processes that drove specimens at the same time."""
    troubles: tuple[str, ...] = field(default=())
    """What went wrong outside of any check, one line each."""

    @property
    def wrong(self) -> tuple[Row, ...]:
        """The specimens that claim a mistake."""
        return tuple(row for row in self.rows if row.claim is not None)

    @property
    def right(self) -> tuple[Row, ...]:
        """The specimens that claim to be right."""
        return tuple(row for row in self.rows if row.claim is None)

    @property
    def only_one(self) -> Mapping[str, str]:
        """Wrong ones that one engine killed and no other did or could, with that engine.

        Empty where there was only one engine to begin with.
        """
        alone = {
            row.specimen: row.engines(Ruling.KILLED) for row in self.wrong if self._all_had_their_turn(row)
        }
        return {specimen: killers[0] for specimen, killers in alone.items() if len(killers) == 1}

    @property
    def totals(self) -> Mapping[str, Total]:
        """Each engine's column added up, and the script's."""
        columns = {name: [(row, row.cells[name]) for row in self.rows] for name in self.engines}
        columns["script"] = [(row, row.script) for row in self.rows]
        return {name: _total(column) for name, column in columns.items()}

    @property
    def killed(self) -> int:
        """How many wrong ones some engine killed."""
        return sum(bool(row.engines(Ruling.KILLED)) for row in self.wrong)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Everything that keeps the harness from passing, specimen by specimen."""
        return tuple(
            Finding(kind=kind, specimen=row.specimen, message=message)
            for row in self.rows
            for kind, message in (self._of_wrong(row, row.claim) if row.claim else _of_right(row))
        )

    @property
    def result(self) -> Result:
        """What it all amounts to: no run of nothing is a pass."""
        if any(finding.kind is not Kind.UNDECIDED for finding in self.findings):
            return Result.FAILED
        if self.findings or self.troubles or not self.rows:
            return Result.INCONCLUSIVE
        return Result.PASSED

    def _all_had_their_turn(self, row: Row) -> bool:
        return len(row.cells) > 1 and not self.quick and not row.engines(Ruling.LEFT_OUT)

    def _of_wrong(self, row: Row, claim: Claim) -> Iterator[tuple[Kind, str]]:
        for fault in row.faults:
            yield Kind.WRONG_CLAIM, fault
        # Once it was caught as it should be, what else it was seen breaking says nothing against the claim.
        for engine in () if row.engines(Ruling.KILLED) else row.engines(Ruling.WRONG_LAW):
            yield Kind.WRONG_LAW, _under_another_law(engine, row.cells[engine], claim)
        if row.faults:
            return
        if row.engines(Ruling.KILLED):
            yield from _of_claimed_engine(row, claim)
        elif not row.engines(Ruling.WRONG_LAW):
            yield _nobody_killed(row, claim)


def cell_of(
    claim: Claim | None, checks: Sequence[Check], shown: Mapping[tuple[str, int], float] | None = None
) -> Cell:
    """Return what the checks of one engine amount to.

    :param claim: ``None`` for a right specimen.
    :param shown: seconds into its check after which the first violation of a scenario and run was seen.
    """
    found = [(check, violation) for check in checks for violation in check.violations]
    meant = [pair for pair in found if claim is None or pair[1].law in claim.laws]
    runs = sum(check.runs for check in checks)
    if found:
        ruling = Ruling.ACCUSED if claim is None else Ruling.KILLED if meant else Ruling.WRONG_LAW
        return _hit(
            ruling, *min(meant or found, key=lambda pair: pair[1].run), found, runs, len(checks), shown or {}
        )
    unjudged = tuple(_doubts(check) for check in checks if check.verdict is Verdict.INCONCLUSIVE)
    held = Ruling.CLEARED if claim is None else Ruling.SURVIVED
    nothing = len(unjudged) == len(checks)
    return Cell(
        ruling=Ruling.INCONCLUSIVE if nothing else held,
        runs=runs,
        seconds=round(sum(check.seconds for check in checks), 3),
        reason="; ".join(unjudged) if nothing else "",
        checks=len(checks),
        unjudged=unjudged,
    )


def _doubts(check: Check) -> str:
    return f"{check.scenario}: {'; '.join(check.reasons)}"


def _hit(
    ruling: Ruling,
    check: Check,
    first: Violation,
    found: Sequence[tuple[Check, Violation]],
    runs: int,
    checks: int,
    shown: Mapping[tuple[str, int], float],
) -> Cell:
    return Cell(
        ruling=ruling,
        checks=checks,
        law=first.law,
        scenario=check.scenario,
        run=first.run,
        runs=runs,
        seconds=round(shown.get((check.scenario, first.run), check.seconds), 3),
        laws=tuple(sorted({violation.law for _, violation in found})),
        evidence=first.evidence,
    )


def _total(column: Iterable[tuple[Row, Cell]]) -> Total:
    loose = [
        (row.claim is not None, cell.ruling)
        for row, cell in column
        if cell.ruling not in (Ruling.NOT_RUN, Ruling.LEFT_OUT)
    ]
    return Total(
        killed=sum(ruling is Ruling.KILLED for _, ruling in loose),
        wrong=sum(wrong for wrong, _ in loose),
        accused=sum(ruling is Ruling.ACCUSED for _, ruling in loose),
        right=sum(not wrong for wrong, _ in loose),
    )


def _of_right(row: Row) -> Iterator[tuple[Kind, str]]:
    for engine in row.engines(Ruling.ACCUSED):
        cell = row.cells[engine]
        laws = ", ".join(cell.laws)
        yield Kind.FALSE_ALARM, f"{engine} accuses it of breaking {laws}, first in {cell.scenario}"
    for engine in row.engines(Ruling.LEFT_OUT):
        yield Kind.UNDECIDED, f"{engine}: {row.cells[engine].reason}"
    if not row.engines(Ruling.CLEARED, Ruling.ACCUSED, Ruling.LEFT_OUT):
        yield Kind.UNDECIDED, f"nobody could judge it: {_reasons(row)}"


def _of_claimed_engine(row: Row, claim: Claim) -> Iterator[tuple[Kind, str]]:
    """Look whether the engine that surely shows the mistake did."""
    if claim.engine in row.engines(Ruling.SURVIVED):
        killers = ", ".join(row.engines(Ruling.KILLED))
        yield Kind.WRONG_CLAIM, f"it claims that {claim.engine} surely catches it; only {killers} did"
    if claim.engine in row.engines(Ruling.INCONCLUSIVE, Ruling.LEFT_OUT):
        yield Kind.UNDECIDED, f"{claim.engine}, which it claims: {row.cells[claim.engine].reason}"


def _nobody_killed(row: Row, claim: Claim) -> tuple[Kind, str]:
    if row.engines(Ruling.INCONCLUSIVE, Ruling.LEFT_OUT):
        return Kind.UNDECIDED, f"nobody caught it, and not all was judged: {_reasons(row)}"
    if not row.engines(Ruling.SURVIVED):
        return Kind.WRONG_CLAIM, f"{claim.scenario}, which it claims, was not driven: {_reasons(row)}"
    survived = ", ".join(row.engines(Ruling.SURVIVED))
    return Kind.SURVIVED, f"{survived} found nothing in {claim.scenario}"


def _under_another_law(engine: str, cell: Cell, claim: Claim) -> str:
    return (
        f"{engine} caught it breaking {', '.join(cell.laws)} in {cell.scenario}; "
        f"it claims to break {', '.join(claim.laws)}"
    )


def _reasons(row: Row) -> str:
    return "; ".join(f"{engine}: {cell.reason}" for engine, cell in row.cells.items() if cell.reason)
