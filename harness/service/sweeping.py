"""The sweeper: gives back what is held by those whose time has run out."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from harness.service.database import borrowed
from harness.ticketing import expire_holds

if TYPE_CHECKING:
    import asyncpg

    from harness.service.settings import Settings

BATCH = 1000
"""Holds given back in one transaction, so that none gets long."""

log = logging.getLogger(__name__)


async def sweep(pool: asyncpg.Pool, settings: Settings) -> int:
    """Give back every hold whose time has run out, and return how many.

    Any number of these may run at once, in any number of processes: each hold expires once.
    """
    expired = 0
    while True:
        async with borrowed(pool, settings) as connection:
            batch = await expire_holds(connection, limit=BATCH)
        expired += batch
        if batch < BATCH:
            return expired


async def sweep_for_ever(pool: asyncpg.Pool, settings: Settings) -> None:
    """Sweep every so often, unless that is turned off; trouble is logged once for as long as it lasts."""
    if not settings.sweep_every:
        return
    failing = False
    while True:
        await asyncio.sleep(settings.sweep_every)
        try:
            await sweep(pool, settings)
            failing = False
        except Exception as error:
            if not failing:
                log.warning(
                    "Expired holds cannot be given back; trying again every %g s.",
                    settings.sweep_every,
                    exc_info=error,
                )
            failing = True
