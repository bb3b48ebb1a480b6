"""Judge an implementation in your own test suite, with pytest::

    from harness.testing import gate

    test_tickets = gate("myshop:shop")

One test for each scenario and engine, such as ``test_tickets[last_ticket-explore]``. ``docs/pytest.md`` says
what they do. The pytest plugin that makes and runs them is :mod:`harness.testing.plugin`; importing this
module costs nothing, and collecting tests starts nothing.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from types import FunctionType
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from harness.model import Target

__all__ = ["Gate", "gate", "gate_of"]

_WITHOUT_PLUGIN = (
    "This is a gate of oversell, and nothing was judged: its pytest plugin is not loaded (-p no:oversell, or "
    "PYTEST_DISABLE_PLUGIN_AUTOLOAD). Load it with -p harness.testing.plugin, or leave this test out."
)


@dataclass(frozen=True, slots=True)
class Gate:
    """What ``oversell check`` is to judge, and how."""

    target: object
    """A word as after ``--target``, or an object, class or function as such a word may name; ``None`` for
    what the settings say."""
    settings: Mapping[str, object]
    """By the names they have as flags; they win over the environment and over settings files."""


def gate(
    target: str | Target | Callable[[], Target] | None = None,
    *,
    scenarios: str | Sequence[str] = (),
    engines: str | Sequence[str] = (),
    laws: str | Sequence[str] = (),
    seed: int | None = None,
    database: str | None = None,
    settings: Mapping[str, object] | None = None,
) -> Callable[..., None]:
    """Return a test function that pytest collects as one test for each scenario and engine.

    Give it a name that begins with ``test_``, in a module or in a class. Marks apply as to any test. What is
    left out here is taken from the environment, then from ``oversell.toml`` or ``[tool.oversell]``, then
    from the defaults, as for ``oversell check``. Whatever is wrong with the arguments is an error of
    collection.

    :param target: who is judged: a word as after ``--target``, such as ``"myshop:shop"``, or the target.
    :param scenarios: names of the scenarios; all when there are none.
    :param engines: names of the engines; all when there are none.
    :param laws: names of the laws; all when there are none.
    :param seed: of every random choice.
    :param database: where it runs: ``auto``, ``embedded``, ``container`` or a URL.
    :param settings: more of them, by the names they have as flags: ``{"buyers": 3, "max-time": "2m"}``.
    """
    named = {"scenario": scenarios, "engine": engines, "law": laws, "seed": seed, "database": database}
    given = {name: value for name, value in named.items() if value not in (None, (), [])}

    def test(*_: object, **__: object) -> None:
        pytest.fail(_WITHOUT_PLUGIN, pytrace=False)

    # Reports say where the test is written, and that is not here.
    caller = sys._getframe(1)  # there is no other way to learn it that costs nothing
    test.__code__ = test.__code__.replace(
        co_filename=caller.f_code.co_filename, co_firstlineno=caller.f_lineno
    )
    test.__module__ = str(caller.f_globals.get("__name__", test.__module__))
    test.__doc__ = None
    vars(test)[_KEY] = Gate(target, {**(settings or {}), **given})
    return test


_KEY = "oversell gate"


def gate_of(thing: object) -> Gate | None:
    """Return the gate that a test function stands for, or ``None`` when it is any other thing."""
    return vars(thing).get(_KEY) if isinstance(thing, FunctionType) else None
