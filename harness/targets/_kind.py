"""A kind of target: how it is written on the command line, and what it becomes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.model import Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One way of naming an implementation."""

    name: str
    """The name of its file."""
    usage: str
    """How it is written after ``--target``."""
    doc: str
    """Its documentation page: the docstring of its module."""
    claims: Callable[[str], bool]
    """Says whether a word after ``--target`` is of this kind."""
    make: Callable[[str], Target]
    """Makes the target; raises :class:`~harness.errors.UsageError` when there is no such thing."""

    @property
    def title(self) -> str:
        """The first line of its page."""
        return self.doc.strip().partition("\n")[0]
