"""Requests and their steps: every statement and every commit at which something can break."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from harness.exploring.events import without_constants
from harness.exploring.monitor import asks_for_row_locks
from harness.wire import Kind

if TYPE_CHECKING:
    from harness.model import Answer, Injection, Operation, Scenario
    from harness.wire import Decision, Statement

_LENGTH = 200
_HEAD = re.compile(
    r"(?<!for )(?<!key )\b(insert into|update|delete from|merge into) (?:only )?([\w.\"]+)", re.IGNORECASE
)
_INSERTS = re.compile(r"\b(?:insert|merge) into ", re.IGNORECASE)
_FROM = re.compile(r"\bfrom\s+([\w.\"]+)", re.IGNORECASE)
_CALLED = re.compile(
    r"^(?:select|call)\b.*?\b(?!exists\b|coalesce\b|sum\b|count\b)([\w.\"]+) ?\(", re.IGNORECASE
)
_SHORT = 40


@dataclass(frozen=True, slots=True)
class RequestId:
    """Which request: one operation of one client's program in one phase, or a repeat of it."""

    phase: int
    client: str
    operation: int
    attempt: int = 0
    """0 for the request itself, then its repeats."""


@dataclass(slots=True)
class SeenStep:
    """One step of a request: a statement before it runs, or a commit before it happens."""

    number: int
    """Counted per request, from 1."""
    statement: str
    shape: str
    commits: bool
    """It is the commit of a statement that stands in no transaction of its own."""
    kind: Kind
    in_transaction: bool
    coarse: bool
    session: int
    """The proxy's number of it."""
    pid: int
    begins: bool = False
    """Its transaction begins with it."""
    calls: bool = False
    """It calls a function, which may do anything."""
    writes: bool = False
    """The statement says that it writes, or calls a function that was seen to."""
    inserts: bool = False
    """It writes new rows, which may be there already, or may do so in a function."""
    locks: bool = False
    """It asks for row locks in so many words."""
    failed: bool = False
    """Postgres refused it."""

    @property
    def ends_transaction(self) -> bool:
        """It is a COMMIT, so what it lets happen is there for everybody to see."""
        return self.commits or self.kind is Kind.COMMIT or self.coarse


@dataclass(slots=True, eq=False)
class Request:
    """One request under way, as a fault may meddle with it."""

    id: RequestId
    operation: Operation
    steps: list[SeenStep] = field(default_factory=list)
    task: asyncio.Task[Answer] | None = None
    given_up: asyncio.Future[str] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    """Set, with the reason, once nobody waits for the answer any more."""
    held: bool = False
    """A fault is at work at one of its steps."""
    firing: asyncio.Future[Decision] | None = None
    """That work."""
    works: list[asyncio.Task[None]] = field(default_factory=list)
    """What a fault does beside it, which ends before anybody else has their turn."""
    broken: bool = False
    """A fault fired at one of its steps."""
    moved: bool = False
    """Behind a pooler, it went on in another session than it was in."""
    cut: bool = False
    """A connection that served it was broken."""
    dead: bool = False
    """Whoever served it has died: nothing of it goes on."""
    lied_to: bool = False
    """It was told of an error that was none, or somebody was in its way who takes no part: its refusals need
    not be true."""
    tries_again: bool = False
    """The client sends it once more if the outcome is not known."""
    hung: bool = False
    """No answer came although nobody held it up."""

    def give_up(self, why: str) -> None:
        """Wait for its answer no longer."""
        if not self.given_up.done():
            self.given_up.set_result(why)


def request_of(injection: Injection) -> RequestId:
    """Return which request an injection breaks."""
    return RequestId(injection.phase, injection.client, injection.operation, injection.attempt)


def operation_of(scenario: Scenario, request: RequestId) -> Operation:
    """Return what a request asks for."""
    programs = {program.client: program for program in scenario.phases[request.phase].programs}
    return programs[request.client].operations[request.operation]


def shape_of(sql: str) -> str:
    """Return a statement without constants, by which it is known again."""
    return without_constants(" ".join(sql.split())[:_LENGTH])


def step_of(statement: Statement, *, number: int, pid: int, commits: bool, begins: bool = False) -> SeenStep:
    """Return a statement, or its commit, as a step."""
    text = " ".join(statement.sql.split())
    return SeenStep(
        number=number,
        statement=text[:_LENGTH],
        shape=shape_of(text),
        commits=commits,
        kind=statement.kind,
        in_transaction=statement.in_transaction,
        coarse=statement.coarse,
        session=statement.session,
        pid=pid,
        begins=begins,
        calls=bool(_CALLED.match(text)) or statement.coarse,
        writes=bool(_HEAD.search(text)) or statement.coarse,
        inserts=bool(_INSERTS.search(text)),
        locks=asks_for_row_locks(text),
    )


def in_short(statement: str) -> str:
    """Return what a statement is about in a few words: ``INSERT INTO rsvps``."""
    text = " ".join(statement.split()).removesuffix(";")
    if head := _HEAD.search(text):
        return f"{head[1].upper()} {head[2]}"
    if called := _CALLED.match(text):
        return f"{called[1]}()"
    if source := _FROM.search(text):
        return f"SELECT FROM {source[1]}"
    return text if len(text) <= _SHORT else f"{text[: _SHORT - 1]}…"


def moment(short: str, *, commits: bool) -> str:
    """Return a step in words: ``INSERT INTO rsvps``, ``the commit of INSERT INTO rsvps``."""
    return f"the commit of {short}" if commits else short
