"""What whoever schedules sessions is asked and told: the contract between the proxy and an explorer."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TYPE_CHECKING, Protocol

from harness.wire.sqltext import Kind, kind_of_tag

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionInfo:
    """A session between a client and Postgres."""

    id: int
    """Counted by the proxy, from 1."""
    pid: int
    """The Postgres process that serves it."""
    parameters: Mapping[str, str] = field(default_factory=dict)
    """What the client asked for at startup."""

    @property
    def user(self) -> str:
        """The role that logged in."""
        return self.parameters.get("user", "")

    @property
    def database(self) -> str:
        """The database it is connected to."""
        return self.parameters.get("database") or self.user

    @property
    def application_name(self) -> str:
        """What the client calls itself."""
        return self.parameters.get("application_name", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One statement of a session, or several that can only be held together."""

    session: int
    number: int
    """Counted per session, from 1."""
    sql: str
    """As the client wrote it; empty when it was prepared out of sight."""
    kind: Kind
    """Judged by the text; :attr:`Result.kind` says what it turned out to be."""
    point: bool
    """Whether it is held before it runs. Settings, resets and the like are not."""
    coarse: bool = False
    """Something happens in it that cannot be held apart: several statements in one, or a commit inside."""
    in_transaction: bool = False
    """Whether an explicit transaction was open when it came."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What became of a statement."""

    tags: tuple[str, ...] = ()
    """Command tags, one for each statement that completed."""
    rows: int = 0
    """Rows returned to the client."""
    sqlstate: str | None = None
    """``None`` when it did not fail."""
    message: str = ""
    status: str | None = None
    """Transaction status when it was known: ``I`` idle, ``T`` in a transaction, ``E`` in a failed one."""
    lost: bool = False
    """The connection ended first: nobody knows."""
    suspended: bool = False
    """It stopped at the client's row limit and may go on."""

    @property
    def failed(self) -> bool:
        """Whether Postgres reported an error."""
        return self.sqlstate is not None

    @property
    def kind(self) -> Kind | None:
        """What the last command tag says it was; ``None`` when nothing completed."""
        return kind_of_tag(self.tags[-1]) if self.tags else None


class Action(Enum):
    """What can be done at a scheduling point."""

    PROCEED = auto()
    REFUSE = auto()
    """The client gets an error of our choosing, and the transaction fails as if Postgres had raised it."""
    CUT = auto()
    """Both connections break now: what was held never happens."""
    CUT_AFTER = auto()
    """What was held happens, then both connections break before the client hears of it."""
    FAIL_AFTER = auto()
    """What was held happens, and the client gets an error of our choosing in place of the answer, on a
    connection that lasts: as from a pooler whose own connection to the server broke."""


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer to a scheduling point."""

    action: Action
    sqlstate: str = ""
    message: str = ""


PROCEED = Decision(Action.PROCEED)
CUT = Decision(Action.CUT)
CUT_AFTER = Decision(Action.CUT_AFTER)


def refuse(sqlstate: str, message: str) -> Decision:
    """Return the decision to fail with an SQLSTATE.

    :raises ValueError: when it is not five digits or capital letters.
    """
    return Decision(Action.REFUSE, _sqlstate(sqlstate), message)


def fail_after(sqlstate: str, message: str) -> Decision:
    """Return the decision to let it happen, and to tell of an SQLSTATE instead.

    :raises ValueError: when it is not five digits or capital letters.
    """
    return Decision(Action.FAIL_AFTER, _sqlstate(sqlstate), message)


def _sqlstate(text: str) -> str:
    if len(text) != 5 or not text.isascii() or not text.isalnum() or text != text.upper():
        raise ValueError(f"an SQLSTATE is five digits or capital letters, not {text!r}")
    return text


class Controller(Protocol):
    """Whoever decides the order. Called from the proxy's event loop only.

    For each statement: ``before_execute`` (when it is a point), ``executed``, ``before_commit`` (when it ran
    in an implicit transaction that its Sync will commit; once per pipeline, for the last statement in it),
    ``finished``. A statement that the pipeline's earlier failure skips is never mentioned. When the
    connection ends, ``finished`` is told so for whatever was begun.
    """

    def session_opened(self, session: SessionInfo) -> None:
        """A session is under control: it just became ready, or was open and at rest when control began."""

    async def before_execute(self, statement: Statement) -> Decision:
        """Return when the statement may run. Postgres has not seen it."""

    async def before_commit(self, statement: Statement) -> Decision:
        """Return when the implicit transaction may commit. The statement has run; its Sync is withheld."""

    def executed(self, statement: Statement, result: Result) -> None:
        """The statement has run, or failed. In an implicit transaction it has not committed."""

    def finished(self, statement: Statement, result: Result) -> None:
        """Postgres is ready again: ``result.status`` is known, and an implicit transaction is over.

        Deferred constraints and serialization failures at commit show here for the first time.
        """

    def session_closed(self, session: SessionInfo) -> None:
        """The session is over."""
