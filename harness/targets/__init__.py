"""Targets: who is judged. One kind per file, found by looking."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.catalogue import Catalogue
from harness.errors import UsageError
from harness.targets._kind import Kind

if TYPE_CHECKING:
    from harness.model import Target

__all__ = ["KINDS", "Kind", "resolve"]

KINDS: Catalogue[Kind] = Catalogue("target kind", __name__, "KIND")


def resolve(spec: str) -> Target:
    """Return the target that a word after ``--target`` names.

    :raises UsageError: when no kind of target is written like that, or there is none of that name.
    """
    for kind in KINDS.entries.values():
        if kind.claims(spec):
            return kind.make(spec)
    usages = ", ".join(kind.usage for kind in KINDS.entries.values())
    raise UsageError(f"No target named {spec!r}. Valid: {usages}.")
