"""Watching: the load from its first buyer to its last, and everything that must end it before its time.

The engine's loop looks ten times a second: at the books, as the auditor knows them; at Locust's processes;
at what they say; at the clock. It opens the next sale when one has sold out, tells how it goes, and ends the
load as soon as nothing more can be learned: a law was broken, or a pass would be worthless. Every wait has an
end.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from harness.errors import InconclusiveError
from harness.load.messages import Live
from harness.model.events import LoadProgressed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from harness.driving.auditing import Auditor, Breach
    from harness.driving.trial import Trial
    from harness.model import Stock
    from harness.swarming.conversation import Conversation
    from harness.swarming.launching import Locusts, Process
    from harness.swarming.sales import Sales

_LOOK = 0.1
_TELL = 0.5
_STARTING = 60.0
"""Seconds in which the Locust process must have started, connected and made the first request."""
_ENDING = 15.0
"""Seconds beyond what buyers need to finish, in which Locust must have ended."""
_DEAD = 5.0
"""Seconds in which every request failed, after which the target is taken for gone."""
_SHORT = 3.0
"""Seconds by which a load may seem shorter than it was, and again a tenth of it: it is heard of late."""
_EXITING = 5.0
"""Seconds in which workers must have ended after the process that leads them."""


@dataclass(slots=True)
class Watch:
    """One load, watched."""

    trial: Trial
    sales: Sales
    conversation: Conversation
    locusts: Locusts
    patience: float
    """Seconds that buyers have at the end to finish what they are about."""
    mishap: Callable[[], str] = lambda: ""
    """Says what else must end the load; nothing while there is nothing."""
    commits: int = 0
    lag_seconds: float | None = None
    breaches: list[Breach] = field(default_factory=list)
    _launched: float = field(default_factory=time.monotonic)
    _told_at: float = 0.0
    _good_at: float | None = None
    """When the last request was heard of that did not fail."""
    _good: int = 0

    async def run(self) -> None:
        """See the load to its end.

        Cancelled, it still has the load end in an orderly way, so that what was recorded is gathered.

        :raises asyncio.CancelledError: when it was cancelled, once the load has ended.
        """
        listening = asyncio.create_task(self.conversation.listen())
        try:
            try:
                await self._until_over()
            except asyncio.CancelledError:
                await self.conversation.stop("it was interrupted")
                await self._until_over()
                raise
        finally:
            listening.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await listening

    async def _until_over(self) -> None:
        """Look again and again until Locust has ended, or was made to."""
        while self.locusts.root.code is None:
            if self.conversation.over.is_set():
                self._look_at_length()
                await self.conversation.stop("the link to Locust is gone")
            else:
                await self._look()
            await self._wait_for_end(_LOOK)
            if self._is_late():
                self.conversation.doubt("Locust did not end when it was told to, and was killed")
                break
        self._look_at_length()
        await self._see_them_off()

    async def _look(self) -> None:
        """Look at everything once."""
        try:
            await self._look_at_books()
        except InconclusiveError as error:
            self.conversation.doubt(str(error))
        if mishap := self.mishap():
            self.conversation.doubt(mishap)
        self._look_at_processes()
        self._look_at_answers()
        if self.conversation.troubles:
            await self.conversation.stop(self.conversation.troubles[0])
        elif self.breaches and not self.trial.settings.load.keep_going:
            await self.conversation.stop(f"a law was broken: {self.breaches[0].law}")
        elif time.monotonic() - self._told_at >= _TELL:
            self._told_at = time.monotonic()
            await self._tell()

    async def _look_at_books(self) -> None:
        """Have everything judged that was committed, and open the next sale when it is time."""
        if self.conversation.stopped_at is not None:
            return
        progress = await self.sales.catch_up()
        if progress is None:
            return
        self.commits, self.lag_seconds = progress.commits, progress.lag_seconds
        self.breaches += progress.breaches
        self.sales.leave()
        if self.sales.trouble:
            raise InconclusiveError(f"the audit ended before the load: {self.sales.trouble}")
        sale = await self.sales.next()
        if sale is not None:
            await self.conversation.announce(sale)

    def _look_at_length(self) -> None:
        """Notice that somebody else ended the load long before its time."""
        began, wanted = self.conversation.began, self.trial.settings.load.run_time
        if began is not None and self.conversation.stopped_at is None:
            seconds = time.monotonic() - began
            if seconds < wanted * 0.9 - _SHORT:
                self.conversation.doubt(
                    f"somebody ended the load: it went on for {seconds:.0f} s instead of {wanted:g}"
                )

    def _look_at_processes(self) -> None:
        for process in self.locusts.workers:
            if process.code:
                self.conversation.doubt(f"{process.name} {process.ended()}")

    def _look_at_answers(self) -> None:
        """Notice that the target is gone, or that nobody ever came."""
        now, stats = time.monotonic(), self.conversation.stats
        load = self.trial.settings.load
        if stats.requests - stats.failures > self._good or self._good_at is None or not stats.users:
            self._good, self._good_at = stats.requests - stats.failures, now
        if stats.failures and now - self._good_at > _DEAD + self.trial.settings.operation_timeout:
            self.conversation.doubt(
                f"the target stopped answering: for {now - self._good_at:.0f} s every request failed"
            )
        starting = _STARTING + (load.expect_within if load.master else 0.0)
        if self.conversation.began is None and now - self._launched > starting:
            self.conversation.doubt(f"Locust made no load within {starting:g} s: {self.locusts.root.said()}")

    def _is_late(self) -> bool:
        """Whether Locust has had all the time it may have, and is to be killed."""
        now = time.monotonic()
        if self.conversation.stopped_at is not None:
            return now - self.conversation.stopped_at > self.patience + _ENDING
        if self.conversation.began is None:
            return False
        load = self.trial.settings.load
        coming = 0.0 if load.spawn_rate is None else load.users / load.spawn_rate
        return now - self.conversation.began > load.run_time + coming + self.patience + 2 * _ENDING

    async def _wait_for_end(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.locusts.root.wait()

    async def _see_them_off(self) -> None:
        """Hear what is still to be heard, see that the workers end as well, and note how all ended."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_EXITING):
                if self.locusts.root.code is not None and self.conversation.link.is_connected:
                    await self.conversation.over.wait()
                await asyncio.gather(*(worker.wait() for worker in self.locusts.workers))
        await self._tell()
        codes = [(process, process.code) for process in self.locusts.processes]
        await self.locusts.end()
        for process, code in codes:
            self._note_end(process, code)

    def _note_end(self, process: Process, code: int | None) -> None:
        if code is None:
            self.conversation.doubt(f"{process.name} did not end by itself, and was killed")
        elif code:
            self.conversation.doubt(f"{process.name} {process.ended()}")

    async def _tell(self) -> None:
        """Tell whoever listens, and Locust's own page, how it goes."""
        numbers, stats = self.sales.numbers(), self.conversation.stats
        began = self.conversation.began
        self.trial.tally.listen(
            LoadProgressed(
                scenario=self.trial.scenario.name,
                seconds=0.0 if began is None else round(time.monotonic() - began, 1),
                of=self.trial.settings.load.run_time,
                users=stats.users,
                sales=len(self.sales.opened),
                sold=_total(numbers, "sold"),
                remaining=_total(numbers, "remaining"),
                rate=stats.rate,
                failures=stats.failures,
                commits=self.commits,
                lag_seconds=self.lag_seconds,
                median_ms=stats.median_ms,
                p95_ms=stats.p95_ms,
            )
        )
        if self.sales.auditor is not None:
            await self.conversation.tell(self._live(numbers, self.sales.auditor))

    def _live(self, numbers: Mapping[str, Stock], auditor: Auditor) -> Live:
        tickets = {
            name: {
                what: number
                for what, number in (
                    ("initial", stock.initial),
                    ("remaining", stock.remaining),
                    ("sold", stock.sold),
                    ("held", stock.held),
                )
                if number is not None
            }
            for name, stock in numbers.items()
        }
        told = {"sales": float(len(self.sales.opened)), "commits audited": float(self.commits)}
        if self.lag_seconds is not None:
            told["lag (s)"] = round(self.lag_seconds, 3)
        note = self.breaches[0].message if self.breaches else auditor.reason
        return Live(tickets=tickets, numbers=told, note=note)


def _total(numbers: Mapping[str, Stock], name: str) -> int | None:
    """Return a number over all ticket types; ``None`` when it is not known of one of them."""
    found = [getattr(stock, name) for stock in numbers.values()]
    return sum(found) if found and None not in found else None
