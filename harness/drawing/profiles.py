"""Profiles: how many examples Hypothesis draws, for how long, and what it keeps of them.

Nothing is taken from Hypothesis' own profiles, which change with where it runs, and nothing is written beside
what a person works on: what Hypothesis wants to store goes to a folder that is gone afterwards, and examples
are kept only where they are asked for, under the format they were drawn in.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

import hypothesis
from hypothesis import HealthCheck, Phase, Verbosity
from hypothesis.configuration import set_hypothesis_home_dir, storage_directory
from hypothesis.database import DirectoryBasedExampleDatabase

from harness.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_DECORATOR = re.compile(r"reproduce_failure\('(?P<version>[\w.]+)', b'(?P<blob>[\w+/=]+)'\)")
FORMAT = 1
"""Changes whenever the machine would read the same drawn numbers as something else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """How hard to try."""

    examples: int | None
    """Different ones that are walked; ``None`` for as many as there is time for."""
    steps: int
    """Rules that one example applies at most."""
    seconds: float
    """For drawing examples, unless the person says otherwise."""
    shrinking: float
    """Seconds for making a failure small."""
    climbs: bool = False
    """Once half of the examples are drawn, draw more like those with the most contention. With few examples
    there is nothing to climb: they would all be alike."""
    keeps_examples: bool = False


PROFILES = {
    "gate": Profile(examples=40, steps=12, seconds=6.0, shrinking=10.0),
    "nightly": Profile(
        examples=1_000_000, steps=30, seconds=60.0, shrinking=30.0, climbs=True, keeps_examples=True
    ),
}
_MANY = 1_000_000
_DRAWN = 8
"""Times as many are drawn as are walked, since many mean the same."""


def hypothesis_settings(profile: Profile, steps: int, database: Path | None) -> hypothesis.settings:
    """Return what Hypothesis is told.

    :param steps: rules that one example applies.
    :param database: folder of examples to begin with, and to keep what fails in.
    """
    phases = [Phase.generate, *([Phase.target] if profile.climbs else []), Phase.shrink]
    return hypothesis.settings(
        max_examples=(profile.examples or _MANY) * _DRAWN,
        stateful_step_count=steps,
        database=None if database is None else DirectoryBasedExampleDatabase(database),
        phases=phases if database is None else [Phase.reuse, *phases],
        # How long an example takes is Postgres' affair, and the whole has a bound of its own.
        deadline=None,
        # They are about how fast and how large the drawn data is, which is bounded here by construction.
        suppress_health_check=list(HealthCheck),
        derandomize=False,  # A seed is set, which does the same and more.
        report_multiple_bugs=False,
        print_blob=True,
        verbosity=Verbosity.quiet,
    )


def database_folder(root: Path, target: str, scenario: str) -> tuple[Path, str | None]:
    """Return where the examples of a check are kept, and a line on those that are of no use any more.

    :param root: where all examples are kept.
    """
    version = f"{FORMAT}-hypothesis-{hypothesis.__version__}"
    others = sorted(
        each.name for each in root.glob("*-hypothesis-*") if each.is_dir() and each.name != version
    )
    notice = (
        f"examples in {root} that were drawn by another version are left alone: {', '.join(others)}"
        if others and not (root / version).exists()
        else None
    )
    place = hashlib.sha256(target.encode()).hexdigest()[:10]
    return root / version / f"{scenario}-{place}", notice


def reproduction(text: str) -> tuple[str, bytes]:
    """Return what ``hypothesis.reproduce_failure`` takes, read from the decorator that Hypothesis wrote.

    :raises UsageError: when it is none, or one of another version of Hypothesis.
    """
    found = _DECORATOR.search(text)
    if found is None:
        raise UsageError(
            f"{text[:60]!r} is nothing that can be drawn again. "
            f"Valid: @reproduce_failure('{hypothesis.__version__}', b'…'), as it came with a failure."
        )
    version, blob = found["version"], found["blob"]
    if version != hypothesis.__version__:
        raise UsageError(
            f"It was drawn by Hypothesis {version}, and this is {hypothesis.__version__}, which would draw "
            "something else. Install that version, or run the failure again with oversell replay."
        )
    return version, blob.encode()


@contextlib.contextmanager
def nothing_stored() -> Iterator[None]:
    """Have what Hypothesis caches of its own accord written to a folder that is gone after the block."""
    before = storage_directory(intent_to_write=False).home_directory
    with tempfile.TemporaryDirectory(prefix="oversell-hypothesis-", ignore_cleanup_errors=True) as folder:
        set_hypothesis_home_dir(folder)
        try:
            yield
        finally:
            set_hypothesis_home_dir(before)
