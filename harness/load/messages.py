"""The messages of a swarm, and how they travel.

A swarm is a tree: the engine, one Locust process that it started (the master, or the only one), and workers.
Between engine and that process lies a TCP connection on this machine, on which every message is a frame: its
length as four bytes, big endian, then MessagePack. Between master and workers the same messages travel as
Locust's own custom messages of the name :data:`NAME`, so that nothing but Locust's port has to be open.

Down go :class:`Planned`, :class:`Opened`, :class:`Taken`, :class:`Live`, :class:`Refused` and :class:`Stop`;
up go :class:`Hello`, :class:`Chunk`, :class:`Ended`, :class:`Workers`, :class:`Stats` and :class:`Trouble`;
both ways goes :class:`Clock`.

Records are sent in numbered chunks. A worker keeps a chunk until it is told that it is safe, and lets its
buyers wait while too many are not; after its last it says how many there were. So memory is bounded, and what
is lost is known to be lost.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from struct import Struct
from typing import Any, ClassVar, TypeAlias, get_args

import msgpack

from harness.load.plan import LoadPlan, Sale, Shape

NAME = "oversell"
PROTOCOL = 2
"""Raised with every change that another version would not understand."""
LENGTH = Struct("!I")
LARGEST = 64 * 1024 * 1024
"""Bytes of a frame; more is no frame of ours."""
LINK_VARIABLE = "OVERSELL_SWARM_LINK"
"""Environment variable of the Locust process: ``PORT:TOKEN`` of the engine on 127.0.0.1."""


@dataclass(frozen=True, slots=True)
class Hello:
    """A process is there: the first message of each. The engine refuses versions that are not its own."""

    type: ClassVar[str] = "hello"
    worker: str
    """Locust's id of the worker; empty for the process that the engine started."""
    protocol: int
    version: str
    """Of this package."""
    locust: str
    token: str = ""
    """Shows the engine that it is the process that it started."""


@dataclass(frozen=True, slots=True)
class Planned:
    """What to do."""

    type: ClassVar[str] = "plan"
    plan: LoadPlan


@dataclass(frozen=True, slots=True)
class Opened:
    """A sale is open; from now on buyers visit this one."""

    type: ClassVar[str] = "sale"
    sale: Sale


@dataclass(frozen=True, slots=True)
class Chunk:
    """Records of a worker."""

    type: ClassVar[str] = "chunk"
    worker: str
    number: int
    """Counted from 0 for each worker, without gaps."""
    records: int
    payload: bytes
    """See :mod:`harness.load.records`."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A chunk is on disk."""

    type: ClassVar[str] = "taken"
    worker: str
    number: int


@dataclass(frozen=True, slots=True)
class Ended:
    """A worker has sent all it will ever send."""

    type: ClassVar[str] = "ended"
    worker: str
    chunks: int
    records: int
    clock_error: int
    """Nanoseconds by which its times may be off from the engine's clock, either way."""


@dataclass(frozen=True, slots=True)
class Clock:
    """Asks for, or tells, the engine's monotonic clock, in nanoseconds (Cristian's algorithm, 1989)."""

    type: ClassVar[str] = "clock"
    worker: str
    sent: int
    """By the clock of who asked."""
    boot: str
    """The kernel's boot id of who sends it: equal ids share a clock."""
    told: int = 0
    """By the engine's clock; 0 while it is being asked for."""


@dataclass(frozen=True, slots=True)
class Workers:
    """Which workers there are, whenever that changed."""

    type: ClassVar[str] = "workers"
    states: dict[str, str]
    """Locust's word for the state of each, by id; a worker that was there and is not named has left."""


@dataclass(frozen=True, slots=True)
class Stats:
    """How it goes, twice a second, over all workers."""

    type: ClassVar[str] = "stats"
    users: int
    requests: int
    failures: int
    rate: float
    """Requests per second, lately."""
    median_ms: float
    p95_ms: float


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something went wrong that makes a pass worthless, in one line."""

    type: ClassVar[str] = "trouble"
    worker: str
    text: str


@dataclass(frozen=True, slots=True)
class Stop:
    """End the load in an orderly way: nobody visits any more, and all records are sent."""

    type: ClassVar[str] = "stop"
    reason: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The process must not take part: it is of another version, or another engine's. It goes at once."""

    type: ClassVar[str] = "refused"
    reason: str


@dataclass(frozen=True, slots=True)
class Live:
    """How the books stand, twice a second, for the tab on Locust's own page."""

    type: ClassVar[str] = "live"
    tickets: dict[str, dict[str, int]]
    """By the name of a ticket type: ``initial``, ``remaining``, ``sold`` and ``held``."""
    numbers: dict[str, float]
    """Anything else worth seeing, by what it is called there: ``commits audited``, ``lag (s)`` ..."""
    note: str = ""
    """One line, when there is something to say: a law that was broken, or why the audit is only sampled."""


Message: TypeAlias = (
    Hello
    | Planned
    | Opened
    | Chunk
    | Taken
    | Ended
    | Clock
    | Workers
    | Stats
    | Trouble
    | Stop
    | Refused
    | Live
)
_KINDS: dict[str, type[Any]] = {kind.type: kind for kind in get_args(Message)}


class NoMessageError(ValueError):
    """What came is none of these messages: another version, or somebody else."""


def to_map(message: Message) -> dict[str, Any]:
    """Return the message as plain data, as it travels between Locust's processes."""
    return {"type": message.type, **asdict(message)}


def from_map(data: object) -> Message:
    """Return the message that :func:`to_map` wrote.

    :raises NoMessageError: when it is none.
    """
    if not isinstance(data, dict):
        raise NoMessageError(f"no message: {type(data).__name__}")
    rest = dict(data)
    kind = _KINDS.get(str(rest.pop("type", None)))
    if kind is None or set(rest) - {field.name for field in fields(kind)}:
        raise NoMessageError(f"no message of this version: {data.get('type')!r}")
    try:
        if kind is Planned:
            rest["plan"] = _plan(rest["plan"])
        elif kind is Opened:
            rest["sale"] = _sale(rest["sale"])
        message: Message = kind(**rest)
    except (KeyError, TypeError, ValueError) as error:
        raise NoMessageError(f"no message of this version: {data.get('type')!r} ({error})") from None
    return message


def to_frame(message: Message) -> bytes:
    """Return the message as it travels between engine and Locust."""
    body: bytes = msgpack.packb(to_map(message))
    return LENGTH.pack(len(body)) + body


def length_of(head: bytes) -> int:
    """Return the length of the frame that begins with these four bytes.

    :raises NoMessageError: when no frame of ours is that long.
    """
    (length,) = LENGTH.unpack(head)
    if not 0 < length <= LARGEST:
        raise NoMessageError(f"no message is {length} bytes long")
    return int(length)


def from_body(body: bytes) -> Message:
    """Return the message of a frame without its length.

    :raises NoMessageError: when it is none.
    """
    try:
        data = msgpack.unpackb(body)
    except Exception as error:
        raise NoMessageError(f"no message: {error}") from None
    return from_map(data)


def _plan(data: dict[str, Any]) -> LoadPlan:
    shortest, longest = data["wait"]
    return LoadPlan(**{**data, "shape": Shape(data["shape"]), "wait": (shortest, longest)})


def _sale(data: dict[str, Any]) -> Sale:
    tickets = {str(name): (str(event), str(ticket)) for name, (event, ticket) in data["tickets"].items()}
    return Sale(number=int(data["number"]), tickets=tickets)
