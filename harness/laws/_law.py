"""What a law is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from harness.model import Evidence, Violation

    Judge: TypeAlias = Callable[[Evidence], Iterable[Violation]]
    Needs: TypeAlias = Callable[[Evidence], str | None]


class UndecidedError(Exception):
    """Raised by a law that turned out not to be able to say; its text is the reason."""


def nothing(_: Evidence) -> None:
    """Need nothing: for laws that can be judged on any evidence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Law:
    """One promise a ticketing system must keep."""

    name: str
    """The name of its file, and what a person types to choose it."""
    doc: str
    """Its documentation page: the docstring of its module."""
    judge: Judge
    """Yields a violation for each way in which the evidence breaks the law, in a fixed order.

    Raises :class:`UndecidedError` when only judging shows that it cannot be judged.
    """
    applies: Needs = nothing
    """Returns why the law cannot be judged on this evidence, or ``None`` when it can."""

    sweeping: bool = False
    """It is about everything, and says less of each mistake than the law that is about that one. Asked only
    where no other law was broken, or when it is asked for alone."""

    @property
    def title(self) -> str:
        """The law in one sentence: the first line of its page."""
        return self.doc.strip().partition("\n")[0]
