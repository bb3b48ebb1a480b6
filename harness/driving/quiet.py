"""Quiet: the moment from which the books no longer change by themselves.

Laws of equality hold only then. An answer may arrive before the transaction behind it has committed, and
after an unknown outcome the request may still be running, so the end of the last call is not that moment.
"""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Any

from harness.errors import InconclusiveError

if TYPE_CHECKING:
    import asyncpg

    from harness.model import Books, Running

_BUSY = """
    SELECT string_agg(concat_ws(' ', 'session', pid, 'is', state, wait_event), ', ') FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
      AND backend_type = 'client backend' AND state <> 'idle'
"""
_PAUSE = 0.02
_TIMEOUT = 5.0
"""Seconds in which nothing came nearer to rest."""


async def busy_sessions(monitor: asyncpg.Connection) -> str | None:
    """Return what the sessions of this database are doing that are not idle; ``None`` when all are."""
    busy: str | None = await monitor.fetchval(_BUSY)
    return busy


async def quiet_books(running: Running, sale: Any, monitor: asyncpg.Connection, *, alike: int) -> Books:
    """Return the books once no session is busy and ``alike`` readings in a row have been the same.

    :param monitor: a connection of ours to the same database.
    :param alike: 1 where every answer has come; more where something may still be on its way.
    :raises InconclusiveError: when five seconds pass in which that does not happen, and in which there are
        no fewer busy sessions than before: where deadlocks are broken one after the other, the last are.
    """
    seen: Books | None = None
    busy: str | None = None
    fewest: float = math.inf
    times = 0
    try:
        async with asyncio.timeout(_TIMEOUT) as limit:
            while times < alike:
                if times or seen is not None:
                    await asyncio.sleep(_PAUSE)
                busy = await busy_sessions(monitor)
                if busy:
                    seen, times = None, 0
                    if _sessions(busy) < fewest:
                        fewest = _sessions(busy)
                        limit.reschedule(asyncio.get_running_loop().time() + _TIMEOUT)
                    await asyncio.sleep(_PAUSE)
                    continue
                books = await running.books(sale)
                times = times + 1 if books == seen else 1
                seen = books
    except TimeoutError:
        why = busy or (
            "its books could not be read in that time" if seen is None else "its books kept changing"
        )
        raise InconclusiveError(f"the target did not come to rest within {_TIMEOUT:g} s: {why}") from None
    if seen is None:
        raise AssertionError("a reading was taken")
    return seen


def _sessions(busy: str) -> int:
    return len(busy.split(", "))
