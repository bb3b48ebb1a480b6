"""How long the history checker takes: ``python -m benchmarks.history``, and part of ``make bench``.

A rush is simulated: 64 clients buy, hold, confirm, release, cancel and read one scarce ticket type without a
pause, some answers are lost, and every operation takes effect at one moment between its invocation and its
answer. So the history is right by construction, of any length; and wrong with one certain mistake in the
middle. What is timed is the check of the loaded history, from ``Call`` objects to the finding: the reduction
to columns, the walk, and the check of the explanation. Loading or simulating it is not in it. The check of
columns alone is timed too. Each size runs in a process of its own, whose peak memory includes the history.
"""

from __future__ import annotations

import argparse
import gc
import heapq
import json
import resource
import subprocess
import sys
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.figures import HEAD, Measured, Said  # noqa: E402  # found by the line above
from harness.laws._checker.reduction import reduced  # noqa: E402
from harness.laws._checker.sweep import sweep  # noqa: E402
from harness.laws.linearizable import BUDGET, explain  # noqa: E402
from harness.model import (  # noqa: E402
    Answer,
    Call,
    Cancel,
    Confirm,
    Hold,
    Outcome,
    ReadAvailability,
    Release,
    Reserve,
    ReserveGroup,
    TicketType,
)
from harness.model.history import Explained, parts  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.model import Operation

GENERAL = TicketType(name="general", initial=100)
CLIENTS = 64
SIZES = (10_000, 100_000, 1_000_000)
_MEAN = 300_000.0
"""Nanoseconds from invocation to effect, and from effect to answer, on average."""
_PAUSE = 50_000.0
"""Nanoseconds from an answer to the next call, on average."""
_LOST = 0.003
"""How many of the answers are lost; half of those took effect."""
_REFUSED = Answer(Outcome.SOLD_OUT)
_UNKNOWN = Answer(Outcome.UNKNOWN)


@dataclass(slots=True)
class _Client:
    """One client, who buys for one person after the other."""

    name: str
    people: int = 0
    stands: list[str] = field(default_factory=list)
    """People with a reservation."""
    holds: str = ""
    """Somebody for whom something is held."""
    doubt: str = ""
    """Somebody who may have a reservation: the answer was lost."""

    def wish(self, random: Random) -> Operation:
        """Return what to ask next."""
        draw = random.random()
        if draw < 0.2:
            return ReadAvailability(ticket=GENERAL.name, person=self.name)
        if self.doubt and draw < 0.5:
            person, self.doubt = self.doubt, ""
            return Cancel(ticket=GENERAL.name, person=person)
        if self.holds:
            person, self.holds = self.holds, ""
            kind = Confirm if draw < 0.8 else Release
            return kind(ticket=GENERAL.name, person=person)
        if self.stands and draw < 0.6:
            return Cancel(ticket=GENERAL.name, person=self.stands.pop(0))
        self.people += 1
        person = f"{self.name}-{self.people}"
        if draw < 0.65:
            return Hold(ticket=GENERAL.name, person=person)
        if draw < 0.66:
            return ReserveGroup(ticket=GENERAL.name, person=person, members=(person, f"{person}b"))
        return Reserve(ticket=GENERAL.name, person=person)

    def hear(self, operation: Operation, answer: Answer) -> None:
        """Remember what came of it."""
        if answer is _UNKNOWN:
            if isinstance(operation, Reserve):
                self.doubt = operation.person
        elif answer.outcome is Outcome.ACCEPTED:
            if isinstance(operation, (Reserve, Confirm)):
                self.stands.append(operation.person)
            elif isinstance(operation, ReserveGroup):
                self.stands.extend(operation.members)
            elif isinstance(operation, Hold):
                self.holds = operation.person


@dataclass(slots=True)
class _Shop:
    """A right target: how many remain, and who has something."""

    left: int
    names: int = 0
    has: set[str] = field(default_factory=set)

    def serve(self, operation: Operation) -> Answer:
        """Let the operation take effect."""
        match operation:
            case Reserve() | Hold():
                if self.left < 1:
                    return _REFUSED
                self.left -= 1
                self.has.add(operation.person)
                return Answer(Outcome.ACCEPTED, reservation=self._name(), remaining=self.left)
            case ReserveGroup():
                if self.left < len(operation.members):
                    return _REFUSED
                self.left -= len(operation.members)
                self.has.update(operation.members)
                return Answer(Outcome.ACCEPTED, group=tuple(self._name() for _ in operation.members))
            case Confirm() if operation.person in self.has:
                return Answer(Outcome.ACCEPTED, reservation=self._name())
            case Cancel() | Release() if operation.person in self.has:
                self.has.remove(operation.person)
                self.left += 1
                return Answer(Outcome.ACCEPTED)
            case ReadAvailability():
                return Answer(Outcome.ACCEPTED, remaining=self.left)
            case _:
                return Answer(Outcome.INVALID)

    def _name(self) -> str:
        self.names += 1
        return f"r{self.names}"


def rush(size: int, *, seed: int = 1, clients: int = CLIENTS, stock: int = GENERAL.initial) -> list[Call]:
    """Simulate a right history of so many calls, in the order of invocation."""
    random = Random(seed)  # noqa: S311  # nobody has to guess it
    shop = _Shop(stock)
    crowd = [_Client(f"client-{number}") for number in range(clients)]
    # When, which client, and what: None to ask something, else what takes effect and when it was asked.
    turns: list[tuple[float, int, tuple[Operation, float] | None]] = [
        (random.random() * _MEAN, number, None) for number in range(clients)
    ]
    heapq.heapify(turns)
    calls: list[Call] = []
    asked = 0
    while turns:
        now, number, under_way = heapq.heappop(turns)
        client = crowd[number]
        if under_way is None:
            if asked < size:
                asked += 1
                effect = now + 1 + random.expovariate(1 / _MEAN)
                heapq.heappush(turns, (effect, number, (client.wish(random), now)))
            continue
        operation, invoked = under_way
        lost = random.random()
        answer = _UNKNOWN if lost < _LOST / 2 else shop.serve(operation)
        if lost < _LOST:
            answer = _UNKNOWN
        client.hear(operation, answer)
        end = now + 1 + random.expovariate(1 / _MEAN)
        calls.append(
            Call(
                index=len(calls),
                client=client.name,
                phase=0,
                operation=operation,
                answer=answer,
                invoked=int(invoked),
                completed=int(end),
            )
        )
        heapq.heappush(turns, (end + random.expovariate(1 / _PAUSE), number, None))
    calls.sort(key=lambda call: call.invoked)
    return calls


def with_a_mistake(calls: list[Call]) -> list[Call]:
    """Return the history with one more call in its middle: a read of far more than there can have been."""
    middle = len(calls) // 2
    at = next(at for at in range(middle, len(calls)) if calls[at].answer.remaining == 0)
    read = ReadAvailability(ticket=GENERAL.name, person="liar")
    lie = Answer(Outcome.ACCEPTED, remaining=GENERAL.initial - 1)
    return [*calls[:at], replace(calls[at], client="liar", operation=read, answer=lie), *calls[at:]]


def measured(quick: bool) -> Iterator[Measured | Said]:
    """Yield the figures, each size in a process of its own."""
    per_call: dict[int, float] = {}
    for size in SIZES[: 2 if quick else 3]:
        for kind in ("right", "one mistake"):
            runs = [_in_process(size, kind) for _ in range(1 if quick else 3)]
            what = f"history of {size:,} operations, {kind}"
            largest = size == SIZES[-1]
            yield Measured(
                f"{what}: checked",
                "s",
                [run["wall"] for run in runs],
                "< 5 s" if largest else "",
                (lambda median: median < 5) if largest else None,
            )
            yield Measured(f"{what}: CPU time", "s", [run["cpu"] for run in runs])
            yield Measured(f"{what}: columns only", "s", [run["columns"] for run in runs])
            yield Measured(
                f"{what}: peak memory",
                "MiB",
                [run["peak"] for run in runs],
                "<= 1024 MiB" if largest else "",
                (lambda median: median <= 1024) if largest else None,
            )
            per_call[size] = min(run["cpu"] for run in runs) / size * 1e6
    told = ", ".join(f"{value:.2f} for {size:,}" for size, value in per_call.items())
    yield Said("history: microseconds of CPU for each operation, one mistake", told)


def _in_process(size: int, kind: str) -> dict[str, float]:
    command = [sys.executable, __file__, "--one", str(size), kind]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=600)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def _one(size: int, kind: str) -> None:
    """Check one history and print what it took."""
    calls = rush(size)
    if kind != "right":
        calls = with_a_mistake(calls)
    gc.collect()
    begun, cpu = time.perf_counter(), time.process_time()
    (finding,) = explain([GENERAL], calls)
    wall, cpu = time.perf_counter() - begun, time.process_time() - cpu
    peak = _peak()
    assert finding.explained is (Explained.YES if kind == "right" else Explained.NO), finding
    (part,) = parts([GENERAL], calls)
    columns = reduced(part).columns[GENERAL.name]
    gc.collect()
    begun = time.perf_counter()
    swept = sweep(columns, budget=BUDGET)
    seconds = time.perf_counter() - begun
    assert (swept.order is not None) is (kind == "right")
    print(json.dumps({"wall": wall, "cpu": cpu, "columns": seconds, "peak": peak}))


def _peak() -> float:
    """Return the most memory this process has had, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Measure, and print as it goes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one run of each, and not of the largest")
    parser.add_argument("--one", nargs=2, metavar=("SIZE", "KIND"), help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.one:
        _one(int(chosen.one[0]), chosen.one[1])
        return
    print(HEAD)
    for figure in measured(chosen.quick):
        print(figure.row(), flush=True)


if __name__ == "__main__":
    main()
