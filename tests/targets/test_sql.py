"""The sql target: whatever is asked of it, one after the other, it does what the specification does."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, get_args

from harness.driving.gate import OpenGate
from harness.driving.program import Recorder
from harness.model import (
    Answer,
    Call,
    Cancel,
    ChangeCapacity,
    Confirm,
    Expire,
    Hold,
    JoinWaitlist,
    LeaveWaitlist,
    Operation,
    Outcome,
    ReadAvailability,
    ReadNotice,
    ReadSales,
    Refund,
    Release,
    Reserve,
    ReserveGroup,
    TicketType,
)
from harness.model.sequential import opening
from harness.targets.sql import SqlTarget

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path
    from typing import Any

    from harness.model.sequential import State
    from harness.targets.sql import RunningSql, SqlClient

PEOPLE = ("ann", "bob", "cat", "dan", "eve")
STOCK = (TicketType(name="standard", initial=3), TicketType(name="late", initial=2, closed=True))


class Session:
    """A client, a sale, and every state that the specification may be in after what was answered."""

    def __init__(self, running: RunningSql, client: SqlClient, tickets: Sequence[TicketType]) -> None:
        self.running = running
        self.client = client
        self.tickets = tickets
        self.recorder = Recorder()
        self.states: set[State] = set()
        self.sale: Any = None

    async def begin(self) -> Session:
        self.recorder = Recorder()
        self.states = {opening(self.tickets)}
        self.sale = await self.running.open_sale(self.tickets)
        return self

    async def ask(self, operation: Operation) -> Answer:
        """Have it done, and follow it."""
        asked = self.recorder.resolve(operation)
        answer = await self.client.perform(self.sale, asked, OpenGate())
        self.recorder.record(
            Call(index=0, client="c", phase=0, operation=asked, answer=answer, invoked=0, completed=1)
        )
        self.states = {after for state in self.states for after in state.follow(asked, answer)}
        assert self.states, f"{asked} cannot be answered with {answer}"
        return answer

    async def check(self) -> None:
        """Compare the books."""
        books = await self.running.books(self.sale)
        self.states = {state for state in self.states if state.shows(books)}
        assert self.states, f"cannot be the books: {books}"

    async def all(self, operations: Iterable[Operation]) -> list[Outcome]:
        outcomes = []
        for operation in operations:
            outcomes.append((await self.ask(operation)).outcome)
            await self.check()
        return outcomes


async def session(database: str, folder: Path, work: Any, tickets: Sequence[TicketType] = STOCK) -> None:
    """Run some work on a session."""
    target = SqlTarget()
    await target.install(database)
    async with target.start(database, folder) as running:
        client = await running.connect("c")
        try:
            await work(await Session(running, client, tickets).begin())
        finally:
            await client.close()


def something(chance: random.Random) -> Operation:
    """Return anything that can be asked."""
    ticket = chance.choice(["standard"] * 5 + ["late"])
    person = chance.choice(PEOPLE)
    members = tuple(chance.choices(PEOPLE, k=2))
    choices: Sequence[Operation] = [
        Reserve(ticket=ticket, person=person),
        Cancel(ticket=ticket, person=person),
        Cancel(ticket=ticket, person=person, whose=chance.choice(PEOPLE)),
        *[Hold(ticket=ticket, person=person)] * 2,
        *[Confirm(ticket=ticket, person=person)] * 2,
        Release(ticket=ticket, person=person),
        Expire(ticket=ticket, person=person),
        ReserveGroup(ticket=ticket, person=person, members=members),
        *[JoinWaitlist(ticket=ticket, person=person)] * 3,
        *[LeaveWaitlist(ticket=ticket, person=person)] * 2,
        ChangeCapacity(ticket=ticket, person=person, capacity=chance.randrange(4)),
        Refund(ticket=ticket, person=person),
        ReadAvailability(ticket=ticket, person=person),
        ReadNotice(ticket=ticket, person=person),
        ReadSales(ticket=ticket, person=person),
    ]
    return chance.choice(choices)


async def test_as_specified(database: str, tmp_path: Path) -> None:
    """Long rows of operations drawn at random are answered, and written down, as the specification says."""
    accepted: Counter[type[Operation]] = Counter()

    async def work(session: Session) -> None:
        for seed in range(10):
            chance = random.Random(seed)  # noqa: S311  # the same on every run, not a secret
            await session.begin()
            for _ in range(100):
                operation = something(chance)
                answer = await session.ask(operation)
                await session.check()
                accepted[type(operation)] += answer.outcome is Outcome.ACCEPTED

    await session(database, tmp_path, work)
    assert min(accepted[kind] for kind in get_args(Operation)) >= 3, accepted


async def test_an_answer_of_its_own_is_seen(database: str, tmp_path: Path) -> None:
    """The comparison can fail: an answer or a book that cannot be is not followed."""

    async def work(session: Session) -> None:
        await session.ask(Reserve(ticket="standard", person="ann"))
        (state,) = session.states
        assert not state.follow(
            ReadAvailability(ticket="standard", person="ann"), Answer(Outcome.ACCEPTED, remaining=3)
        )
        books = await session.running.books(session.sale)
        assert not state.shows(replace(books, entries=()))

    await session(database, tmp_path, work)


async def test_holds_in_the_books(database: str, tmp_path: Path) -> None:
    """What is held is in the books by itself, and gone from them when its time has run out."""

    async def work(session: Session) -> None:
        await session.ask(Hold(ticket="standard", person="ann"))
        books = await session.running.books(session.sale)
        (stock,) = [stock for stock in books.stock if stock.ticket == "standard"]
        assert (stock.initial, stock.remaining, stock.sold, stock.held) == (3, 2, 0, 1)
        assert [entry.person for entry in books.holds or ()] == ["ann"]
        assert books.entries == books.waiting == books.refunds == ()
        assert await session.all(
            [
                Expire(ticket="standard", person="ann"),
                Confirm(ticket="standard", person="ann"),
                Reserve(ticket="standard", person="ann"),
            ]
        ) == [Outcome.ACCEPTED, Outcome.INVALID, Outcome.ACCEPTED]

    await session(database, tmp_path, work)


async def test_expire_is_of_one_person(database: str, tmp_path: Path) -> None:
    """Only the named person's hold of that ticket runs out."""

    async def work(session: Session) -> None:
        for person in ("ann", "bob"):
            await session.ask(Hold(ticket="standard", person=person))
        await session.ask(Expire(ticket="standard", person="ann"))
        await session.check()
        assert (await session.ask(Confirm(ticket="standard", person="bob"))).outcome is Outcome.ACCEPTED

    await session(database, tmp_path, work)


async def test_line_over_all_tickets(database: str, tmp_path: Path) -> None:
    """Who waits is in the books in the order of joining, over all ticket types; who was served is not."""
    tickets = [TicketType(name=name, initial=0, event=name) for name in ("one", "two")]

    async def work(session: Session) -> None:
        places = (("two", "ann"), ("one", "bob"), ("two", "cat"), ("one", "dan"))
        for ticket, person in places:
            await session.ask(JoinWaitlist(ticket=ticket, person=person))
        books = await session.running.books(session.sale)
        assert [(entry.ticket, entry.person) for entry in books.waiting or ()] == list(places)
        await session.ask(ChangeCapacity(ticket="one", person="organizer", capacity=1))
        books = await session.running.books(session.sale)
        assert [entry.person for entry in books.entries or ()] == ["bob"]
        assert [entry.person for entry in books.waiting or ()] == ["ann", "cat", "dan"]
        await session.check()

    await session(database, tmp_path, work, tickets)


async def test_refunds_in_the_books(database: str, tmp_path: Path) -> None:
    """A payment back is in the books with whom it went to and for what; a mere cancel is not."""

    async def work(session: Session) -> None:
        ann = await session.ask(Reserve(ticket="standard", person="ann"))
        await session.ask(Reserve(ticket="standard", person="bob"))
        await session.all(
            [
                Refund(ticket="standard", person="ann"),
                Refund(ticket="standard", person="ann"),
                Cancel(ticket="standard", person="bob"),
            ]
        )
        books = await session.running.books(session.sale)
        assert [(entry.person, entry.reservation) for entry in books.refunds or ()] == [
            ("ann", ann.reservation)
        ]
        assert books.entries == ()

    await session(database, tmp_path, work)


async def test_somebody_elses(database: str, tmp_path: Path) -> None:
    """Nobody cancels what is somebody else's, and nothing without a name."""

    async def work(session: Session) -> None:
        await session.ask(Reserve(ticket="standard", person="ann"))
        assert await session.all(
            [
                Cancel(ticket="standard", person="bob", whose="ann"),
                Cancel(ticket="standard", person="bob"),
                Refund(ticket="standard", person="bob"),
                Confirm(ticket="standard", person="bob"),
                Release(ticket="standard", person="bob"),
                Cancel(ticket="standard", person="ann", whose="ann"),
            ]
        ) == [*[Outcome.INVALID] * 5, Outcome.ACCEPTED]

    await session(database, tmp_path, work)


async def test_last_notice(database: str, tmp_path: Path) -> None:
    """What was notified last is told, each ticket's own, as soon as it is committed; sales likewise."""

    async def work(session: Session) -> None:
        for remaining in (2, 1):
            await session.ask(Reserve(ticket="standard", person=f"p{remaining}"))
            told = await session.ask(ReadNotice(ticket="standard", person="ann"))
            assert told == Answer(Outcome.ACCEPTED, remaining=remaining)
        assert (await session.ask(ReadNotice(ticket="late", person="ann"))).remaining == 2
        assert (await session.ask(ReadSales(ticket="standard", person="ann"))).sold == 2
        assert (await session.ask(ReadSales(ticket="late", person="ann"))).sold == 0
        # What was notified, not what is: a notice that never came would be seen.
        await session.client._db.execute(  # a change that tells nobody
            "alter table tickets disable trigger user; update tickets set quantity_available = 0;"
            "alter table tickets enable trigger user"
        )
        answer = await session.client.perform(
            session.sale, ReadNotice(ticket="standard", person="ann"), OpenGate()
        )
        assert answer.remaining == 1

    await session(database, tmp_path, work)


async def test_many_ask_for_the_last_notice(database: str, tmp_path: Path) -> None:
    """Clients that ask at once share the connection that listens."""

    async def work(session: Session) -> None:
        clients = [await session.running.connect(f"c{n}") for n in range(5)]
        read = ReadNotice(ticket="standard", person="ann")
        async with asyncio.timeout(20):
            answers = await asyncio.gather(
                *(client.perform(session.sale, read, OpenGate()) for client in clients)
            )
        assert {answer.remaining for answer in answers} == {3}
        for client in clients:
            await client.close()

    await session(database, tmp_path, work)
