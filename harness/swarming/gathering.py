"""Gathering: what the workers recorded, appended to files in the run folder as it comes.

One file for each worker holds the very frames that came: its chunks, and at last how many there were. A chunk
is acknowledged once it is written; until then its worker keeps it, and makes its buyers wait if there are
too many such. So nothing is kept in memory here, and whatever happens, what was gathered can be read again.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from harness.errors import InconclusiveError
from harness.load.messages import Taken, to_frame

if TYPE_CHECKING:
    from io import FileIO
    from pathlib import Path

    from harness.load.messages import Chunk, Ended

SUFFIX = ".records"


def called(worker: str) -> str:
    """Return what a process that records is called in what we say of it."""
    return f"the worker {worker}" if worker else "the Locust process"


class HistoryLostError(InconclusiveError):
    """Part of the history could not be kept, or never came."""


@dataclass(slots=True)
class _File:
    """What came of one worker."""

    file: FileIO
    chunks: int = 0
    ended: bool = False


@dataclass(slots=True)
class Gatherer:
    """Writes what comes into a folder."""

    folder: Path
    records: int = 0
    """How many are on disk."""
    _files: dict[str, _File] = field(default_factory=dict)

    async def take(self, chunk: Chunk) -> Taken:
        """Write a chunk, and return what its worker is to be told.

        One that came before is not written twice: its acknowledgement was lost, and is given again.

        :raises HistoryLostError: when it cannot be written, or one before it is missing.
        """
        file = self._of(chunk.worker)
        if chunk.number > file.chunks:
            raise HistoryLostError(
                f"chunk {file.chunks} of {called(chunk.worker)} never came, {chunk.number} did"
            )
        if chunk.number == file.chunks:
            await self._append(file, to_frame(chunk))
            file.chunks += 1
            self.records += chunk.records
        return Taken(chunk.worker, chunk.number)

    async def end(self, ended: Ended) -> None:
        """Write down that a worker has sent everything.

        :raises HistoryLostError: when that cannot be written.
        """
        file = self._of(ended.worker)
        if not file.ended:
            file.ended = True
            await self._append(file, to_frame(ended))

    def has_ended(self, worker: str) -> bool:
        """Return whether a worker has said that it has sent everything."""
        return worker in self._files and self._files[worker].ended

    def expect(self, worker: str) -> None:
        """Note that a worker is there, from which records are to come."""
        self._of(worker)

    @property
    def waiting_for(self) -> tuple[str, ...]:
        """The workers that have not said yet that they have sent everything."""
        return tuple(worker for worker, file in self._files.items() if not file.ended)

    def close(self) -> None:
        """Close the files."""
        for file in self._files.values():
            file.file.close()

    def _of(self, worker: str) -> _File:
        """Return the worker's file. Its number names it: what workers call themselves may be anything."""
        found = self._files.get(worker)
        if found is None:
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                path = self.folder / f"{len(self._files) + 1:04}{SUFFIX}"
                found = _File(path.open("xb", buffering=0))
            except OSError as error:
                raise _unwritten(error) from error
            self._files[worker] = found
        return found

    async def _append(self, file: _File, frame: bytes) -> None:
        try:
            await asyncio.to_thread(_write, file.file, frame)
        except OSError as error:
            raise _unwritten(error) from error


def _write(file: FileIO, frame: bytes) -> None:
    """Write all of a frame: what is written unbuffered may be taken in parts."""
    left = memoryview(frame)
    while left:
        left = left[file.write(left) or 0 :]


def _unwritten(error: OSError) -> HistoryLostError:
    return HistoryLostError(f"the history could not be written: {error.strerror}")
