"""What comes is on disk before it is acknowledged, and what is lost is known to be lost."""

from __future__ import annotations

import random
import resource
import signal
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import pytest

from harness.load.messages import Chunk, Ended, Taken, to_frame
from harness.load.records import Record, pack
from harness.model import Answer, Call, Outcome, Reserve
from harness.swarming.gathering import SUFFIX, Gatherer, HistoryLostError
from harness.swarming.joining import survey

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SOLD_OUT = Answer(Outcome.SOLD_OUT)


def record(sale: int, number: int, worker: str = "a", answer: Answer = SOLD_OUT) -> Record:
    """Return the record of one purchase, begun and ended at times that its number says."""
    client = f"{worker}-{number}"
    buy = Reserve(ticket="general", person=client)
    return Record(sale, client, buy, answer, number * 10, number * 10 + 5)


def chunk(worker: str, number: int, *records: Record) -> Chunk:
    return Chunk(worker, number, len(records), b"".join(map(pack, records)))


async def gathered(folder: Path, *messages: Chunk | Ended) -> None:
    """Have messages gathered."""
    with closing(Gatherer(folder)) as gatherer:
        for message in messages:
            if isinstance(message, Chunk):
                assert await gatherer.take(message) == Taken(message.worker, message.number)
            else:
                await gatherer.end(message)


@contextmanager
def files_no_larger_than(size: int) -> Iterator[None]:
    """Have the kernel refuse to let files grow, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)


async def test_workers_and_sales_come_out_joined_and_in_order(tmp_path: Path) -> None:
    """Whatever chunk a record came in, it is in the history of its sale, and at its place."""
    luck = random.Random(5)  # noqa: S311  # nobody has to guess it
    for_worker: dict[str, list[Record]] = {"a": [], "b": [], "c/../x": []}
    for number in range(300):
        worker = luck.choice(list(for_worker))
        sale = max(0, number // 60 - luck.randrange(2))
        for_worker[worker].append(record(sale, number, worker))
    messages: list[Chunk | Ended] = []
    for worker, records in for_worker.items():
        luck.shuffle(records)
        cut = [records[start : start + 7] for start in range(0, len(records), 7)]
        messages += [chunk(worker, number, *part) for number, part in enumerate(cut)]
        messages.append(Ended(worker, len(cut), len(records), 0))
    await gathered(tmp_path / "history", *messages)

    found = survey(tmp_path / "history")
    assert (found.records, found.troubles) == (300, [])
    histories = dict(found.histories())
    assert list(histories) == list(found.sales) == [0, 1, 2, 3, 4]
    every = [call for history in histories.values() for call in history]
    assert len(every) == 300
    wanted = {made.client: made.sale for records in for_worker.values() for made in records}
    for sale, history in histories.items():
        assert [call.index for call in history] == list(range(len(history)))
        assert [call.invoked for call in history] == sorted(call.invoked for call in history)
        assert {wanted[call.client] for call in history} == {sale}


async def test_times_are_widened_by_what_a_clock_may_be_off(tmp_path: Path) -> None:
    """Both ways, in favour of the target; a call without an answer still has none."""
    open_end = record(0, 2)._replace(completed=None)
    await gathered(tmp_path, chunk("a", 0, record(0, 1), open_end), Ended("a", 1, 2, 4))
    ((_, history),) = survey(tmp_path).histories()
    assert [(call.invoked, call.completed) for call in history] == [(6, 19), (16, None)]


async def test_a_chunk_that_comes_twice_counts_once(tmp_path: Path) -> None:
    """Its acknowledgement was lost: it is given again."""
    once = chunk("a", 0, record(0, 1))
    await gathered(tmp_path, once, once, Ended("a", 1, 1, 0), Ended("a", 1, 1, 0))
    found = survey(tmp_path)
    assert (found.records, found.troubles) == (1, [])


async def test_a_gap_is_noticed_as_it_comes(tmp_path: Path) -> None:
    """Chunks come in order, or one was lost."""
    with closing(Gatherer(tmp_path)) as gatherer:
        await gatherer.take(chunk("a", 0, record(0, 1)))
        with pytest.raises(HistoryLostError, match="chunk 1 of the worker a never came, 2 did"):
            await gatherer.take(chunk("a", 2, record(0, 2)))


@pytest.mark.parametrize(
    ("messages", "trouble"),
    [
        ([chunk("a", 0, record(0, 1))], "the worker a never said that it had sent everything"),
        ([chunk("a", 0, record(0, 1)), Ended("a", 1, 2, 0)], "the worker a sent 2 records, 1 are here"),
        ([chunk("a", 0, record(0, 1)), Ended("a", 2, 1, 0)], "the worker a sent 1 records, 1 are here"),
        ([Chunk("a", 0, 2, pack(record(0, 1))), Ended("a", 1, 2, 0)], "chunk 0 has 1 records, not 2"),
        ([Chunk("a", 0, 1, pack(record(0, 1))[:-1])], "cannot be read beyond 0 records"),
        ([Chunk("a", 0, 1, b"\x01")], "cannot be read beyond 0 records"),
    ],
)
async def test_what_is_missing_is_said(messages: list[Chunk | Ended], trouble: str, tmp_path: Path) -> None:
    """Never a smaller history that passes for the whole one."""
    await gathered(tmp_path, *messages)
    (found,) = survey(tmp_path).troubles
    assert trouble in found


async def test_a_worker_that_never_sent_anything_is_missed(tmp_path: Path) -> None:
    """It was there, so it did something."""
    with closing(Gatherer(tmp_path)) as gatherer:
        gatherer.expect("a")
        assert gatherer.waiting_for == ("a",)
    assert len(survey(tmp_path).troubles) == 1


async def test_a_file_that_was_cut_off_keeps_what_is_whole(tmp_path: Path) -> None:
    """At every byte at which a disk may have been full."""
    first, second = chunk("a", 0, record(0, 1)), chunk("a", 1, record(0, 2))
    await gathered(tmp_path, first, second, Ended("a", 2, 2, 0))
    path = tmp_path / f"0001{SUFFIX}"
    whole = path.read_bytes()
    one = len(to_frame(first))
    for size in range(one, len(whole)):
        path.write_bytes(whole[:size])
        found = survey(tmp_path)
        assert len(found.troubles) == 1
        clients = [call.client for _, history in found.histories() for call in history]
        assert clients == (["a-1"] if size < one + len(to_frame(second)) else ["a-1", "a-2"])


async def test_a_full_disk_ends_the_gathering_and_keeps_what_is_there(tmp_path: Path) -> None:
    """What was acknowledged can be read afterwards."""
    with closing(Gatherer(tmp_path)) as gatherer:
        await gatherer.take(chunk("a", 0, record(0, 1)))
        with files_no_larger_than(120), pytest.raises(HistoryLostError, match="could not be written"):
            await gatherer.take(chunk("a", 1, *(record(0, number) for number in range(2, 50))))
    found = survey(tmp_path)
    assert (found.records, len(found.troubles)) == (1, 1)
    ((_, (call,)),) = found.histories()
    assert isinstance(call, Call)
    assert call.answer == SOLD_OUT
