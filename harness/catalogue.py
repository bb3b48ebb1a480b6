"""Catalogues: one entry per file, found by looking, never by being listed somewhere.

A catalogue is a package in which every public module defines one constant (``LAW``, ``SPECIMEN``,
``ENGINE`` ...) whose value has a ``name``. Adding an entry adds one file and touches no other.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from functools import cached_property
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from harness.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class Named(Protocol):
    """Anything that can be an entry."""

    @property
    def name(self) -> str:
        """What a person types to choose this entry."""


T = TypeVar("T", bound=Named)


def unknown_name(kind: str, name: str, valid: Iterable[str]) -> UsageError:
    """Return the error for a name that is not in a catalogue; it lists the valid ones."""
    names = sorted(valid)
    close = difflib.get_close_matches(name, names, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    return UsageError(f"No {kind} named {name!r}.{hint} Valid: {', '.join(names) or 'none'}.")


class Catalogue(Generic[T]):
    """The entries of one package, imported on first use."""

    def __init__(self, kind: str, package: str, constant: str) -> None:
        self.kind = kind
        self._package = package
        self._constant = constant

    @cached_property
    def entries(self) -> Mapping[str, T]:
        """All entries by name, in alphabetical order.

        :raises RuntimeError: when two files claim one name, or a public file defines no entry.
        """
        found: dict[str, T] = {}
        package = importlib.import_module(self._package)
        for info in sorted(pkgutil.iter_modules(package.__path__), key=lambda info: info.name):
            if info.name.startswith("_"):
                continue
            module = importlib.import_module(f"{self._package}.{info.name}")
            entry: T | None = getattr(module, self._constant, None)
            if entry is None:
                raise RuntimeError(f"{module.__name__} defines no {self._constant}")
            if entry.name in found:
                raise RuntimeError(f"two {self.kind}s are named {entry.name!r}")
            found[entry.name] = entry
        return found

    def get(self, name: str) -> T:
        """Return the entry of that name.

        :raises UsageError: when there is none; the message lists the valid names.
        """
        try:
            return self.entries[name]
        except KeyError:
            raise unknown_name(self.kind, name, self.entries) from None
