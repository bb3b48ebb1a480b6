"""The auditor: the books of a target judged after every commit while it is driven.

Theory of operation. A target that says which tables carry its stock (``ledger``, :mod:`harness.model.ledger`)
is read from Postgres' log: each transaction goes into a :class:`~harness.driving.replica.Replica`, and the
books of the sales that are followed are judged as they are after it, in the order of the commits. Nothing is
asked of the target, and no committed state is missed. Where the log cannot be had, or the target does not
say, its books are read as often as somebody asks: then states are *sampled*, and the auditor says why.

While many commits are made, :mod:`harness.driving.states` says when a law about states is broken, and which
states are kept. The laws decide, over the states that were kept: all of them where a sale is small; else the
first, those in which a law was first broken, and those in which it is broken most.

What goes wrong after the beginning ends the audit and nothing else. Everything gathered is kept, ``trouble``
says what it was, and whoever judges must not call the rest safe.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

from harness.driving.replica import Replica, UnreadableLedgerError
from harness.driving.states import Followed, Numbers, broken, differences
from harness.errors import TargetFailedError
from harness.model import Commit
from harness.postgres.audit import AuditUnavailableError, auditing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping, Sequence

    from harness.model import Books, Running, Stock, TicketType
    from harness.model.ledger import Ledger
    from harness.postgres.audit import Audit
    from harness.postgres.pgoutput import Transaction

MOST_KEPT = 100_000
"""Rows, over all kept states of a sale, after which only those states are kept that say something new."""


class AuditMode(StrEnum):
    """How committed states are come by."""

    EVERY_COMMIT = "every commit"
    SAMPLED = "sampled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Breach:
    """A law about states was broken for the first time in a sale."""

    number: int
    """Of the sale."""
    law: str
    ticket: str
    message: str
    commit: Commit | None
    """``None`` where states are sampled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far the audit is."""

    commits: int
    """Commits judged so far, over all sales; 0 where states are sampled."""
    lag_seconds: float
    """How old what is known is: all that was committed so long ago has been judged."""
    breaches: tuple[Breach, ...]
    """Those found since the last call."""


class Auditor(Protocol):
    """Follows sales, any number at a time."""

    @property
    def mode(self) -> AuditMode:
        """How states are come by."""

    @property
    def reason(self) -> str:
        """Why they are only sampled; empty where every commit is read."""

    @property
    def trouble(self) -> str:
        """What ended the audit before its time; empty while all is well."""

    @property
    def lag_seconds(self) -> float:
        """How old what is known is, at this moment."""

    async def open(self, sale: Any, tickets: Sequence[TicketType], number: int = 0) -> None:
        """Begin to follow a sale that was just opened: every state from now on is one of it."""

    async def catch_up(self) -> Progress:
        """Judge everything that was committed before this call."""

    def numbers(self, number: int = 0) -> Mapping[str, Stock]:
        """Return the totals of a sale as of the last commit that was judged, by ticket type."""

    def states(self, number: int = 0) -> tuple[Books, ...]:
        """Return the states of a sale that belong into its evidence, in the order of the commits."""

    def commits(self, number: int = 0) -> int:
        """Return how many commits changed the books of a sale; 0 where states are sampled."""

    def leaves_out(self, books: Books, number: int = 0) -> bool:
        """Say whether books of the target's show more of a sale than these states do."""

    def difference(self, books: Books, number: int = 0) -> str:
        """Say what the log tells otherwise than books that the target showed while nothing was happening.

        Empty when they say the same, or when nothing is read from the log.
        """

    def close(self, number: int = 0) -> None:
        """Follow a sale no longer, and forget it."""


def in_words(auditor: Auditor) -> str:
    """Return how states are come by, as a check tells it."""
    return f"{auditor.mode}: {auditor.reason}" if auditor.reason else str(auditor.mode)


@contextlib.asynccontextmanager
async def audited(
    database: str, target: object, running: Running, *, most_kept: int = MOST_KEPT
) -> AsyncIterator[Auditor]:
    """Judge what is committed in a database for the length of a block.

    :param database: URL of the target's database itself, whatever stands between the two.
    :param target: says which tables carry its stock in an attribute ``ledger``, if it does.
    :param running: the target, running on that database.
    :param most_kept: rows over all states of a sale up to which every state is kept; with 0 only those that
        break a law are.
    :raises WrongLedgerError: when the ledger names a table or a column that is not there.
    """
    ledger: Ledger | None = getattr(target, "ledger", None)
    reason = _unable(ledger, running)
    async with contextlib.AsyncExitStack() as stack:
        if ledger is not None and not reason:
            try:
                audit = await stack.enter_async_context(
                    auditing(database, ledger.columns, whole=ledger.whole)
                )
            except AuditUnavailableError as error:
                reason = str(error)
            else:
                yield LogAuditor(running, ledger, audit, most_kept)
                return
        yield SnapshotAuditor(running, reason)


def _unable(ledger: Ledger | None, running: Running) -> str:
    """Return why the log would say nothing."""
    if ledger is None:
        return "the target does not say which tables carry its stock"
    if getattr(running, "ticket_ids", None) is None:
        return "the target does not say what its tables call a ticket type"
    return ""


class LogAuditor:
    """Reads every commit from the log."""

    mode = AuditMode.EVERY_COMMIT
    reason = ""

    def __init__(self, running: Running, ledger: Ledger, audit: Audit, most_kept: int = MOST_KEPT) -> None:
        """Begin with what the log tells from now on."""
        self.trouble = ""
        self._running = running
        self._audit = audit
        self._replica = Replica(ledger)
        self._most_kept = most_kept
        self._sales: dict[int, Followed] = {}
        self._owners: dict[str, Followed] = {}
        """By what the tables call the ticket type."""
        self._commits = 0
        self._breaches: list[Breach] = []
        self._known = time.monotonic()
        """All that was committed before has been judged."""
        self._turn = asyncio.Lock()

    @property
    def lag_seconds(self) -> float:
        """See :class:`Auditor`."""
        return time.monotonic() - self._known

    async def open(self, sale: Any, tickets: Sequence[TicketType], number: int = 0) -> None:
        """See :class:`Auditor`.

        :raises TargetFailedError: when the target does not say what its tables call one of the ticket types.
        """
        names = self._running.ticket_ids(sale)  # type: ignore[attr-defined]  # looked for in the beginning
        initial = {ticket.name: ticket.initial for ticket in tickets}
        ours = {identity: (name, initial[name]) for identity, name in names.items() if name in initial}
        if missing := sorted(set(initial) - {name for name, _ in ours.values()}):
            raise TargetFailedError(f"the target does not say what its tables call {', '.join(missing)}")
        followed = Followed(number, ours, self._most_kept)
        async with self._turn:
            try:
                followed.since = await self._audit.position()
            except AuditUnavailableError as error:
                self.trouble = self.trouble or str(error)
            self._replica.follow(ours)
            self._sales[number] = followed
            self._owners |= dict.fromkeys(ours, followed)

    async def catch_up(self) -> Progress:
        """See :class:`Auditor`."""
        async with self._turn:
            if not self.trouble:
                begun = time.monotonic()
                try:
                    async for transactions in self._audit.read():
                        for transaction in transactions:
                            self._take(transaction)
                    self._known = begun
                except (AuditUnavailableError, UnreadableLedgerError) as error:
                    self.trouble = str(error)
                except BaseException:
                    self.trouble = "a reading of the log was broken off"
                    raise
        found, self._breaches = tuple(self._breaches), []
        return Progress(commits=self._commits, lag_seconds=self.lag_seconds, breaches=found)

    def numbers(self, number: int = 0) -> Mapping[str, Stock]:
        """See :class:`Auditor`."""
        accounts = self._replica.accounts
        return {
            name: self._replica.stock(name, initial, accounts[identity])
            for identity, (name, initial) in self._sales[number].tickets.items()
            if identity in accounts
        }

    def states(self, number: int = 0) -> tuple[Books, ...]:
        """See :class:`Auditor`."""
        return self._sales[number].states()

    def commits(self, number: int = 0) -> int:
        """See :class:`Auditor`."""
        return self._sales[number].commits

    def leaves_out(self, books: Books, number: int = 0) -> bool:
        """See :class:`Auditor`."""
        told = self._replica.books(self._sales[number].tickets, all_of_them=True)
        parts = ((getattr(told, name), getattr(books, name)) for name in ("entries", "holds", "waiting"))
        numbers = zip(
            (stock.remaining for stock in told.stock),
            (stock.remaining for stock in books.stock),
            strict=False,
        )
        return any(mine is None and theirs is not None for mine, theirs in (*parts, *numbers))

    def difference(self, books: Books, number: int = 0) -> str:
        """See :class:`Auditor`."""
        if self.trouble:
            return ""
        tickets = self._sales[number].tickets
        told = self._replica.books(tickets, all_of_them=True)
        uncounted = self._replica.uncounted(tickets)
        missing = [f"{name} has no row in the tables of counters" for name in uncounted]
        return "; ".join((*missing, *differences(told, books)))

    def close(self, number: int = 0) -> None:
        """See :class:`Auditor`."""
        identities = self._sales.pop(number).tickets
        self._replica.forget(identities)
        for identity in identities:
            del self._owners[identity]

    def _take(self, transaction: Transaction) -> None:
        touched = self._replica.take(transaction)
        if not touched:
            return
        owners = self._owners
        if len(touched) == 1:
            followed = owners.get(touched[0])
            if followed is not None and transaction.end > followed.since:
                self._judge(followed, transaction, touched)
            return
        for followed in {owners[each].number: owners[each] for each in touched if each in owners}.values():
            if transaction.end > followed.since:
                mine = [each for each in touched if owners.get(each) is followed]
                self._judge(followed, transaction, mine)

    def _judge(self, followed: Followed, transaction: Transaction, touched: Sequence[str]) -> None:
        """Judge what one commit made of one sale, and keep the state if it is worth it."""
        self._commits += 1
        followed.commits += 1
        news = [each for identity in touched for each in self._news(followed, identity)]
        if not news and not followed.keeps_all:
            return
        names = {identity: name for identity, (name, _) in followed.tickets.items()}
        commit = Commit(transaction.xid, transaction.committed, self._replica.told(transaction, names))
        followed.keep(self._replica.books(followed.tickets, commit))
        self._breaches += [
            Breach(number=followed.number, law=law, ticket=ticket, message=message, commit=commit)
            for law, ticket, message, is_first in news
            if is_first
        ]

    def _news(self, followed: Followed, identity: str) -> Iterator[tuple[str, str, str, bool]]:
        """Yield the laws that one ticket type breaks as never before: law, ticket, message, first time."""
        account = self._replica.accounts[identity]
        remaining, sold = self._replica.remaining(account), self._replica.sold(account)
        name, initial = followed.tickets[identity]
        changed = account.capacities[1:]
        capacities = tuple(sorted({initial, *changed})) if changed else (initial,)
        numbers = Numbers(remaining, sold, account.numbers[1], account.held, account.empty)
        for law, amount, what in broken(numbers, capacities[-1]):
            is_first = followed.is_worse(law, name, amount)
            if is_first is not None:
                yield law, name, numbers.in_words(name, initial, capacities, what), is_first


class SnapshotAuditor:
    """Reads the books whenever it is asked to catch up: states in between are not seen."""

    mode = AuditMode.SAMPLED
    trouble = ""

    def __init__(self, running: Running, reason: str) -> None:
        """Say why every commit cannot be read."""
        self.reason = reason
        self._running = running
        self._sales: dict[int, _Sampled] = {}
        self._breaches: list[Breach] = []
        self._known = time.monotonic()

    @property
    def lag_seconds(self) -> float:
        """See :class:`Auditor`; nothing is known of what came and went in between."""
        return time.monotonic() - self._known

    async def open(self, sale: Any, tickets: Sequence[TicketType], number: int = 0) -> None:
        """See :class:`Auditor`."""
        self._sales[number] = _Sampled(sale, {ticket.name: ticket.initial for ticket in tickets})

    async def catch_up(self) -> Progress:
        """See :class:`Auditor`.

        :raises TargetFailedError: when the target does not show its books.
        """
        begun = time.monotonic()
        for number, sampled in tuple(self._sales.items()):
            books = await self._running.books(sampled.sale)
            if sampled.take(books):
                self._breaches += sampled.breaches(number)
        self._known = begun
        found, self._breaches = tuple(self._breaches), []
        return Progress(commits=0, lag_seconds=self.lag_seconds, breaches=found)

    def numbers(self, number: int = 0) -> Mapping[str, Stock]:
        """See :class:`Auditor`."""
        states = self._sales[number].states
        if not states:
            return {}
        books = states[-1]
        return {stock.ticket: replace(stock, sold=books.sold(stock)) for stock in books.stock}

    def states(self, number: int = 0) -> tuple[Books, ...]:
        """See :class:`Auditor`."""
        return tuple(self._sales[number].states)

    def commits(self, number: int = 0) -> int:  # noqa: ARG002  # none are read
        """See :class:`Auditor`."""
        return 0

    def leaves_out(self, books: Books, number: int = 0) -> bool:  # noqa: ARG002  # these are the books
        """See :class:`Auditor`."""
        return False

    def difference(self, books: Books, number: int = 0) -> str:  # noqa: ARG002  # nothing to compare with
        """See :class:`Auditor`."""
        return ""

    def close(self, number: int = 0) -> None:
        """See :class:`Auditor`."""
        del self._sales[number]


@dataclass(slots=True)
class _Sampled:
    """One sale of which snapshots are taken."""

    sale: Any
    initial: Mapping[str, int]
    states: list[Books] = field(default_factory=list)
    _broken: set[tuple[str, str]] = field(default_factory=set)

    def take(self, books: Books) -> bool:
        """Keep a state that is not what the last one was, and say whether it was kept."""
        if self.states and self.states[-1] == books:
            return False
        self.states.append(books)
        return True

    def breaches(self, number: int) -> Iterator[Breach]:
        """Yield the laws that the last state is the first to break."""
        books = self.states[-1]
        for stock in books.stock:
            ticket, empty = stock.ticket, sum(entry.quantity <= 0 for entry in books.of(stock.ticket))
            initial = self.initial.get(ticket, stock.initial)
            capacities = tuple(sorted({initial, stock.initial}))
            numbers = Numbers(stock.remaining, books.sold(stock), stock.sold, stock.held, empty)
            for law, _, what in broken(numbers, capacities[-1]):
                if (law, ticket) not in self._broken:
                    self._broken.add((law, ticket))
                    message = numbers.in_words(ticket, initial, capacities, what)
                    yield Breach(number=number, law=law, ticket=ticket, message=message, commit=None)
