"""One check: a scenario driven by an engine against a target, on a database of its own, and judged.

What goes wrong on the way, through the world's fault or the target's, is a trouble of the check and makes it
inconclusive; what was found before stays, however it ends. Only bugs of ours escape.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.driving.guard import started
from harness.driving.program import describe
from harness.driving.tally import Tally
from harness.driving.trial import Trial
from harness.errors import OversellError
from harness.model.events import CheckFinished, CheckStarted
from harness.postgres import is_connection_lost

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from harness.driving.trial import Engine, Settings
    from harness.model import Check, Scenario, Target
    from harness.model.events import Listener


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Who is checked, by what, and how hard."""

    target: Target
    name: str
    """What reports call it, and what ``--target`` takes where there is such a word."""
    folder: Path
    """Where its logs go."""
    settings: Settings
    laws: tuple[str, ...] | None = None


def refusal(scenario: Scenario, engine: Engine, target: Target) -> str | None:
    """Return why this scenario cannot be driven like that against this target; ``None`` when it can."""
    missing = scenario.needs - target.supports
    if missing:
        return f"the target does not support: {', '.join(sorted(missing))}"
    return engine.refuses(scenario, target)


async def check(
    subject: Subject,
    scenario: Scenario,
    engine: Engine,
    *,
    database: AbstractAsyncContextManager[str],
    listen: Listener,
) -> Check:
    """Drive one scenario with one engine and return what came of it.

    :param database: yields the URL of a database with the target's schema that belongs to this check.
    :raises asyncio.CancelledError: when it was cancelled; ``listen`` has been told what was found until then.
    """
    listen(CheckStarted(scenario=scenario.name, engine=engine.name))
    tally = Tally(scenario=scenario, engine=engine.name, laws=subject.laws, listen=listen)
    try:
        async with database as url:
            await engine.drive(
                Trial(
                    scenario=scenario,
                    start=lambda url: started(subject.target, url, subject.folder),
                    target=subject.name,
                    implementation=subject.target,
                    folder=subject.folder,
                    supports=subject.target.supports,
                    database=url,
                    settings=subject.settings,
                    tally=tally,
                )
            )
    except asyncio.CancelledError:
        tally.troubles.append("it was stopped before it was done")
        raise
    except Exception as error:
        # Several clients meet the same trouble at the same moment, so they come in groups.
        troubles = [_trouble(each) for each in _leaves(error)]
        if None in troubles:
            raise
        tally.troubles += [trouble for trouble in troubles if trouble is not None]
    finally:
        done = tally.check()
        listen(CheckFinished(check=done))
    return done


def _leaves(error: Exception) -> Iterator[Exception]:
    """Yield the errors of a group, and of the groups in it; an error that is none is its own only leaf."""
    if isinstance(error, ExceptionGroup):
        for each in error.exceptions:
            yield from _leaves(each)
    else:
        yield error


def _trouble(error: Exception) -> str | None:
    """Return what to say of an error that ended a check; ``None`` when it is a bug of ours.

    A usage error is none any more: what the person asked for was checked before, so the world has changed.
    """
    if isinstance(error, OversellError):
        return str(error)
    return f"the connection to Postgres was lost: {describe(error)}" if is_connection_lost(error) else None
