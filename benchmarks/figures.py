"""Rows of the table of benchmarks: runs, min, median, max, what was promised, and whether it held."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

HEAD = "| figure | runs | min | median | max | promised | kept |\n| --- | --- | --- | --- | --- | --- | --- |"


@dataclass(frozen=True, slots=True)
class Measured:
    """A figure that was measured several times, beside its promise if there is one."""

    what: str
    unit: str
    values: Sequence[float]
    promised: str = ""
    kept: Callable[[float], bool] | None = None
    """Asked about the median; ``None`` where nothing was promised."""

    def row(self) -> str:
        """Return it as a row of the table."""
        shown = (min(self.values), statistics.median(self.values), max(self.values))
        cells = " | ".join(f"{value:.3g} {self.unit}".strip() for value in shown)
        kept = "" if self.kept is None else "yes" if self.kept(shown[1]) else "**missed**"
        return f"| {self.what} | {len(self.values)} | {cells} | {self.promised} | {kept} |"


@dataclass(frozen=True, slots=True)
class Said:
    """Something that is no number: why a figure is missing, or what was seen on the way."""

    what: str
    text: str

    def row(self) -> str:
        """Return it as a row of the table."""
        return f"| {self.what} | | {self.text} | | | | |"


@dataclass(frozen=True, slots=True)
class Rate:
    """How often a verdict came out as it must."""

    what: str
    hits: int
    runs: int

    def row(self) -> str:
        """Return the rate as a row of the table."""
        kept = "yes" if self.hits == self.runs else "**missed**"
        return f"| {self.what} | {self.runs} | | {self.hits} of {self.runs} | | all | {kept} |"
