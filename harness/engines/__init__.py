"""Engines: how a scenario is driven. One engine per file, found by looking.

An engine knows targets only by their protocol and reporters not at all: it drives a :class:`Trial` and
hands evidence to its tally. :func:`run` strings engines and scenarios together into one verdict.
"""

from harness.catalogue import Catalogue
from harness.driving.runner import Plan, run
from harness.driving.trial import Engine, Settings, Trial

__all__ = ["ENGINES", "Engine", "Plan", "Settings", "Trial", "default_engines", "run"]

ENGINES: Catalogue[Engine] = Catalogue("engine", __name__, "ENGINE")


def default_engines() -> tuple[Engine, ...]:
    """Return the engines that drive when nobody names any, in alphabetical order."""
    return tuple(engine for engine in ENGINES.entries.values() if engine.by_default)
