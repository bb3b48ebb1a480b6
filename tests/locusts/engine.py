"""A tiny engine: it says what it was told to say, keeps what it hears, and judges nothing."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from harness.load.messages import (
    LENGTH,
    Chunk,
    Clock,
    Ended,
    Hello,
    Message,
    Opened,
    Planned,
    Taken,
    from_body,
    length_of,
    to_frame,
)
from harness.load.plan import LoadPlan, Sale, Shape
from harness.load.records import unpack
from tests.locusts.shop import Shop, selling

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from harness.model import Call

T = TypeVar("T", bound=Message)
TOKEN = "0123"


def plan_for(host: str, **wanted: object) -> LoadPlan:
    """Return a plan with what is wanted otherwise."""
    usual: dict[str, object] = {
        "host": host,
        "behaviours": {"rush": 1},
        "users": 4,
        "spawn_rate": None,
        "run_time": 60.0,
        "shape": Shape.STEADY,
        "wait": (0.0, 0.0),
        "timeout": 5.0,
        "seed": 1,
        "record": True,
        "may_load_host": False,
    }
    return LoadPlan(**{**usual, **wanted})  # type: ignore[arg-type]  # tests say what they want by name


@dataclass(slots=True)
class Engine:
    """One that listens."""

    plan: LoadPlan
    sale: Sale
    port: int = 0
    takes: bool = True
    """Whether it says that chunks are safe."""
    boot: str | None = None
    """Its boot id; ``None`` for that of whoever asks."""
    ahead: int = 0
    """Nanoseconds that its clock is ahead of this machine's."""
    heard: list[Message] = field(default_factory=list)
    came: dict[int, int] = field(default_factory=dict)
    """When each chunk came, by this machine's clock, in nanoseconds."""
    closed: bool = False
    _writer: asyncio.StreamWriter | None = None
    _news: asyncio.Condition = field(default_factory=asyncio.Condition)

    @property
    def address(self) -> str:
        """What the process finds in its environment."""
        return f"{self.port}:{TOKEN}"

    @property
    def calls(self) -> list[tuple[int, Call]]:
        """All that was recorded, with the number of the sale."""
        return [pair for chunk in self.of(Chunk) for pair in unpack(chunk.payload)]

    def of(self, kind: type[T]) -> list[T]:
        """Return what was heard of one kind."""
        return [message for message in self.heard if isinstance(message, kind)]

    async def until(self, kind: type[T], number: int = 1, seconds: float = 60) -> T:
        """Wait until so many of a kind were heard, and return the last of them."""
        async with asyncio.timeout(seconds), self._news:
            await self._news.wait_for(lambda: len(self.of(kind)) >= number)
        return self.of(kind)[number - 1]

    async def until_recorded(self, number: int, seconds: float = 60) -> None:
        """Wait until so many operations were recorded."""
        async with asyncio.timeout(seconds), self._news:
            await self._news.wait_for(lambda: sum(each.records for each in self.of(Chunk)) >= number)

    async def until_closed(self, seconds: float = 60) -> None:
        """Wait until the process has gone."""
        async with asyncio.timeout(seconds), self._news:
            await self._news.wait_for(lambda: self.closed)

    def say(self, message: Message) -> None:
        """Say something."""
        assert self._writer is not None
        self._writer.write(to_frame(message))

    def take_all(self) -> None:
        """Say that all chunks are safe, and those that come from now on."""
        self.takes = True
        for chunk in self.of(Chunk):
            self.say(Taken(chunk.worker, chunk.number))

    def hang_up(self) -> None:
        """Be gone."""
        assert self._writer is not None
        self._writer.close()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Hear a process out."""
        self._writer = writer
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                length = length_of(await reader.readexactly(LENGTH.size))
                await self._hear(from_body(await reader.readexactly(length)))
        writer.close()
        async with self._news:
            self.closed = True
            self._news.notify_all()

    async def _hear(self, message: Message) -> None:
        first = not self.heard
        match message:
            case Hello(token=token) if first:
                assert token == TOKEN
                self.say(Planned(self.plan))
                self.say(Opened(self.sale))
            case Clock(boot=boot):
                told = time.monotonic_ns() + self.ahead
                self.say(Clock(message.worker, message.sent, self.boot or boot, told))
            case Chunk() if self.takes:
                self.say(Taken(message.worker, message.number))
        if isinstance(message, Chunk):
            self.came[message.number] = time.monotonic_ns()
        async with self._news:
            self.heard.append(message)
            self._news.notify_all()


def is_complete(engine: Engine) -> bool:
    """Say whether all that workers say they sent has come, once and in order."""
    for ended in engine.of(Ended):
        chunks = [chunk for chunk in engine.of(Chunk) if chunk.worker == ended.worker]
        if [chunk.number for chunk in chunks] != list(range(ended.chunks)):
            return False
        if sum(chunk.records for chunk in chunks) != ended.records:
            return False
    return True


@contextlib.asynccontextmanager
async def auditing(stock: int = 30, **wanted: object) -> AsyncIterator[tuple[Shop, Engine]]:
    """Sell so many, and let an engine listen that says so, for the length of a block.

    :param wanted: what of the plan is to be otherwise.
    """
    async with (
        selling(general=stock) as shop,
        listening(plan_for(shop.url, **wanted), Sale(number=0, tickets=shop.tickets)) as engine,
    ):
        yield shop, engine


@contextlib.asynccontextmanager
async def listening(plan: LoadPlan, sale: Sale) -> AsyncIterator[Engine]:
    """Let an engine listen for the length of a block."""
    engine = Engine(plan, sale)
    server = await asyncio.start_server(engine.serve, "127.0.0.1", 0)
    engine.port = server.sockets[0].getsockname()[1]
    try:
        yield engine
    finally:
        server.close()
        if engine._writer is not None:
            engine._writer.transport.abort()
