"""Joining: the files of all workers read again, and put together into one history for each sale.

The files are read twice. The first reading sees whether anything is missing, and notes in which chunk of each
file a sale occurs last. The second goes through the sales in order and reads of each file only as far as the
sale in hand needs, so that what is in memory at one time is the sales that were visited at one time.
"""

from __future__ import annotations

import contextlib
import gc
from collections import defaultdict
from dataclasses import dataclass, field
from operator import itemgetter
from typing import TYPE_CHECKING

from harness.load.messages import LENGTH, Chunk, Ended, NoMessageError, from_body, length_of
from harness.load.records import NoRecordError, call_of, rows
from harness.model import Outcome
from harness.swarming.gathering import SUFFIX, called

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path
    from typing import BinaryIO

    from harness.load.messages import Message
    from harness.load.records import Row
    from harness.model import Call

_UNKNOWN = Outcome.UNKNOWN.value
_BY_INVOCATION = itemgetter(6, 1)
"""When a record was invoked, and by whom: the order of a history."""


class _CutOffError(Exception):
    """A file ends in the middle of a frame."""


@dataclass(slots=True)
class Survey:
    """What the first reading found."""

    files: tuple[Path, ...]
    records: int = 0
    troubles: list[str] = field(default_factory=list)
    """What is missing, one line for each worker that lost something; none when the history is whole."""
    errors: dict[Path, int] = field(default_factory=dict)
    """Nanoseconds by which the times of a file may be off."""
    last: dict[int, dict[Path, int]] = field(default_factory=dict)
    """In which readable chunk of each file a sale occurs last, by the sale's number."""
    first: dict[int, dict[Path, int]] = field(default_factory=dict)
    """And in which it occurs first."""
    unsure: set[int] = field(default_factory=set)
    """The sales in which some outcome is unknown."""

    @property
    def sales(self) -> tuple[int, ...]:
        """The numbers of the sales that occur, in order."""
        return tuple(sorted(self.last))

    def histories(self, numbers: Iterable[int] | None = None) -> Iterator[tuple[int, tuple[Call, ...]]]:
        """Yield sales and their histories, in order and numbered. A sale that does not occur has none.

        :param numbers: which sales; ``None``: those that occur.

        Times are widened by what the clock of their worker may be off, in favour of the target.
        """
        wanted = self.sales if numbers is None else tuple(sorted(numbers))
        first = [self.first[sale] for sale in wanted if sale in self.first]
        begin = {
            path: min((chunks[path] for chunks in first if path in chunks), default=0) for path in self.files
        }
        waiting: defaultdict[int, list[Row]] = defaultdict(list)
        with contextlib.ExitStack() as stack:
            streams = {path: _Stream(path, self.errors.get(path, 0), begin[path]) for path in self.files}
            for stream in streams.values():
                stack.callback(stream.close)
            for sale in wanted:
                for path, chunk in self.last.get(sale, {}).items():
                    streams[path].read_to(chunk, waiting, wanted=sale)
                found = waiting.pop(sale, [])
                found.sort(key=_BY_INVOCATION)
                yield sale, tuple(call_of(row, index) for index, row in enumerate(found))


def survey(folder: Path) -> Survey:
    """Read what was gathered in a folder for the first time."""
    found = Survey(tuple(sorted(folder.glob(f"*{SUFFIX}"))))
    for path in found.files:
        if trouble := _look(path, found):
            found.troubles.append(trouble)
    return found


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """Keep the garbage collector from looking through millions of records that are no garbage."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _look(path: Path, found: Survey) -> str | None:
    """Read one file, note what is in it, and say what is missing from it."""
    worker, chunks, records = path.name, 0, 0
    ended: Ended | None = None
    try:
        with path.open("rb") as file:
            for message in _messages(file):
                worker = called(message.worker)
                if isinstance(message, Ended):
                    ended = message
                    continue
                if message.number != chunks:
                    return f"{worker}: chunk {chunks} is missing from its history"
                told = rows(message.payload, message.records)
                if len(told) != message.records:
                    return f"{worker}: chunk {chunks} has {len(told)} records, not {message.records}"
                for sale in {row[0] for row in told}:
                    found.last.setdefault(sale, {})[path] = chunks
                    found.first.setdefault(sale, {}).setdefault(path, chunks)
                found.unsure.update(row[0] for row in told if row[4] == _UNKNOWN)
                chunks += 1
                records += len(told)
                found.records += len(told)
    except (_CutOffError, NoMessageError, NoRecordError, OSError) as error:
        return f"{worker}: its history cannot be read beyond {records} records: {error}"
    if ended is None:
        return f"{worker} never said that it had sent everything: of what it did, {records} records are here"
    found.errors[path] = ended.clock_error
    if (ended.chunks, ended.records) != (chunks, records):
        return f"{worker} sent {ended.records} records, {records} are here"
    return None


@dataclass(slots=True)
class _Stream:
    """One file, read chunk by chunk."""

    path: Path
    error: int
    begin: int
    """The first chunk of which anything is wanted."""
    _messages: Iterator[Chunk | Ended] = field(init=False)
    _file: BinaryIO = field(init=False)
    _next: int = 0

    def __post_init__(self) -> None:
        self._file = self.path.open("rb")
        self._messages = _messages(self._file)

    def read_to(self, chunk: int, into: dict[int, list[Row]], *, wanted: int) -> None:
        """Read up to a chunk, and put its records where their sale's are.

        :param wanted: records of sales before this one are dropped.
        """
        while self._next <= chunk:
            message = next(self._messages)
            if isinstance(message, Chunk):
                for row in rows(message.payload, message.records) if self._next >= self.begin else ():
                    if row[0] >= wanted:
                        into[row[0]].append(_widened(row, self.error) if self.error else row)
                self._next += 1

    def close(self) -> None:
        self._file.close()


def _widened(row: Row, error: int) -> Row:
    """Return a record that began as early and ended as late as it can have."""
    *rest, invoked, completed = row
    return (*rest, invoked - error, None if completed is None else completed + error)


def _messages(file: BinaryIO) -> Iterator[Chunk | Ended]:
    """Yield what was gathered into a file."""
    while head := file.read(LENGTH.size):
        if len(head) < LENGTH.size:
            raise _CutOffError("it was cut off")
        length = length_of(head)
        body = file.read(length)
        if len(body) < length:
            raise _CutOffError("it was cut off")
        message: Message = from_body(body)
        if isinstance(message, Chunk | Ended):
            yield message
