"""Every fault really fires: what the server has afterwards, what the code saw, what the client was told."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from harness.model import Cancel, Outcome
from harness.specimens._statements import SOLD_OUT
from tests.faulting.shop import WatchedShop, broken, cell, house_of, queue

if TYPE_CHECKING:
    from pathlib import Path

    import asyncpg

    from harness.model import Answer, Books, Reserve
    from harness.postgres import Server
    from harness.specimens._statements import Ticket

REFUSED_ANYWHERE = ["40001", "40P01", "53300", "57P01", "57014", "08006"]


def state(books: Books) -> tuple[int | None, int]:
    """Return how many remain, and how many rows there are."""
    return books.stock[0].remaining, len(books.entries or ())


@pytest.mark.parametrize(
    ("fault", "step", "saw", "left"),
    [
        ("cut before", 1, "08003", (2, 0)),
        ("cut uncommitted", 2, "08003", (2, 0)),
        ("answer lost", 2, "08003", (1, 0)),
        ("cut before", 3, "InterfaceError", (1, 0)),
        ("cut uncommitted", 3, "InterfaceError", (1, 0)),
        ("cut before", 4, "08003", (1, 0)),
        ("answer lost", 4, "08003", (1, 1)),
        ("answer replaced", 2, "08006", (1, 0)),
        ("answer replaced", 4, "08006", (1, 1)),
        *((f"refused {code}", 1, code, (2, 0)) for code in REFUSED_ANYWHERE),
        *((f"refused {code}", 3, code, (1, 0)) for code in [*REFUSED_ANYWHERE, "25P03", "23505", "53100"]),
        ("refused 40001", 2, "40001", (2, 0)),
        ("refused 40001", 4, "40001", (1, 0)),
        ("backend terminated", 1, "08003", (2, 0)),
        ("backend terminated", 4, "08003", (1, 0)),
        ("killed", 1, None, (2, 0)),
        ("killed", 3, None, (1, 0)),
        ("killed", 4, None, (1, 0)),
        ("client gone", 1, "done", (1, 1)),
        ("client gone", 4, "done", (1, 1)),
        ("answer too late", 1, "done", (1, 1)),
        ("stands still", 3, "done", (1, 1)),
    ],
)
async def test_what_is_broken_where(
    fault: str, step: int, saw: str | None, left: tuple[int, int], server: Server, tmp_path: Path
) -> None:
    """One buyer of two tickets: the counter, the rows, and the error that the code got."""
    shop = WatchedShop()
    async with house_of(server, shop, tmp_path) as house:
        theatre = await house.theatre()
        performance = await broken(theatre, queue(buyers=1, stock=2), fault, step)
        assert state(performance.evidence.books) == left
        assert shop.seen[1:] == ([] if saw is None else [("buyer-1", saw)])


@pytest.mark.parametrize(
    ("fault", "step", "outcome"),
    [
        ("cut before", 1, Outcome.UNKNOWN),
        ("answer lost", 4, Outcome.UNKNOWN),
        ("answer replaced", 4, Outcome.UNKNOWN),
        ("refused 40001", 1, Outcome.RETRYABLE),
        ("refused 23505", 3, Outcome.RETRYABLE),
        ("killed", 1, Outcome.UNKNOWN),
        ("client gone", 1, Outcome.UNKNOWN),
        ("answer too late", 1, Outcome.UNKNOWN),
        ("stands still", 1, Outcome.ACCEPTED),
    ],
)
async def test_what_the_client_was_told(
    fault: str, step: int, outcome: Outcome, server: Server, tmp_path: Path
) -> None:
    """A refusal after an error of ours counts as one for a passing reason, whatever the code made of it."""
    async with house_of(server, WatchedShop(), tmp_path) as house:
        performance = await broken(await house.theatre(), queue(buyers=1, stock=2), fault, step)
        (call,) = performance.evidence.history
        assert call.outcome is outcome
        assert (call.completed is None) is (outcome is Outcome.UNKNOWN)


@pytest.mark.parametrize("step", [1, 2, 3, 4])
async def test_a_dead_one_is_resumed_only_when_nobody_looks_any_more(
    step: int, server: Server, tmp_path: Path
) -> None:
    """No ``except`` and no ``finally`` runs until the theatre is taken down."""
    shop = WatchedShop()
    async with house_of(server, shop, tmp_path) as house:
        await broken(await house.theatre(), queue(buyers=2, stock=2), "killed", step)
        assert shop.seen[2:] == [("buyer-2", "done")]
    assert [who for who, _ in shop.seen[3:]] == ["buyer-1"]


@pytest.mark.parametrize(("fault", "first"), [("stands still", "buyer-2"), ("answer too late", "buyer-2")])
async def test_others_go_on_while_one_stands_still(
    fault: str, first: str, server: Server, tmp_path: Path
) -> None:
    """Before its transaction the first buyer holds nobody up: the second is served first."""
    shop = WatchedShop()
    async with house_of(server, shop, tmp_path) as house:
        await broken(await house.theatre(), queue(buyers=2, stock=2), fault, 3)
        assert [who for who, _ in shop.seen[2:]] == [first, "buyer-1"]


async def test_who_holds_others_up_goes_on(server: Server, tmp_path: Path) -> None:
    """Standing before the commit of its update it holds the row, so that the other waits for it."""
    shop = WatchedShop()
    async with house_of(server, shop, tmp_path) as house:
        performance = await broken(await house.theatre(), queue(buyers=2, stock=2), "stands still", 2)
        assert {who for who, what in shop.seen[2:] if what == "done"} == {"buyer-1", "buyer-2"}
        one, other = performance.evidence.history
        assert one.overlaps(other)


async def test_the_client_tries_again(server: Server, tmp_path: Path) -> None:
    """The answer to COMMIT was lost; the second attempt is a second ticket in this shop."""
    async with house_of(server, WatchedShop(), tmp_path) as house:
        performance = await broken(await house.theatre(), queue(buyers=1, stock=2), "client retries", 4)
    told = [(call.client, call.outcome) for call in performance.evidence.history]
    assert told == [("buyer-1", Outcome.UNKNOWN), ("buyer-1 (again 1)", Outcome.ACCEPTED)]
    assert state(performance.evidence.books) == (0, 2)


async def test_the_request_is_sent_twice(server: Server, tmp_path: Path) -> None:
    """The second is served while the first stands, and both overlap."""
    async with house_of(server, WatchedShop(), tmp_path) as house:
        performance = await broken(await house.theatre(), queue(buyers=1, stock=2), "sent twice", 3)
    first, second = performance.evidence.history
    assert first.overlaps(second)
    assert second.completed < first.completed  # type: ignore[operator]  # both were answered
    assert state(performance.evidence.books) == (0, 2)


async def test_the_client_cancels_while_it_buys(server: Server, tmp_path: Path) -> None:
    """It asks for whatever it has to be cancelled, while the purchase stands."""
    async with house_of(server, WatchedShop(), tmp_path) as house:
        performance = await broken(await house.theatre(), queue(buyers=1, stock=2), "cancels while buying", 3)
    first, second = performance.evidence.history
    assert isinstance(second.operation, Cancel)
    assert first.overlaps(second)
    assert (first.outcome, second.outcome) == (Outcome.ACCEPTED, Outcome.INVALID)


async def test_no_connection_is_left_behind(server: Server, tmp_path: Path) -> None:
    """After each of the breaks nobody is in a transaction, and the target answers."""
    async with house_of(server, WatchedShop(), tmp_path) as house:
        theatre = await house.theatre()
        for fault in ("cut uncommitted", "killed", "client gone", "answer too late"):
            performance = await broken(theatre, queue(buyers=2, stock=2), fault, 3)
            after = performance.evidence.afterwards
            assert after is not None
            assert (after.left_open, after.unanswered) == ((), ())
            assert [call.outcome for call in after.probes] == [Outcome.ACCEPTED]


async def test_a_stranger_locks_the_rows(server: Server, tmp_path: Path) -> None:
    """Both buyers wait for the row until the stranger has gone, and then both are served."""
    async with house_of(server, WatchedShop(), tmp_path) as house:
        theatre = await house.theatre()
        injection = await cell(theatre, queue(buyers=2, stock=2), "rows locked", 1)
        performing = asyncio.create_task(theatre.perform(queue(buyers=2, stock=2), (injection,)))
        waiting = 0
        while waiting < 2 and not performing.done():
            waiting = len([each for each in await theatre.watch.busy() if "active after: UPDATE" in each])
        assert waiting == 2, "nobody had to wait"
        performance = await performing
    one, other = performance.evidence.history
    assert (one.outcome, other.outcome) == (Outcome.ACCEPTED, Outcome.ACCEPTED)
    assert one.overlaps(other)
    assert state(performance.evidence.books) == (0, 2)
    after = performance.evidence.afterwards
    assert after is not None
    assert after.left_open == ()


class Impatient(WatchedShop):
    """Does not wait for a row that somebody has locked."""

    name = "impatient"

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        """Say sold out when the row cannot be had at once."""
        if not await db.fetchval("SELECT 1 FROM tickets WHERE id = $1 FOR UPDATE SKIP LOCKED", ticket.id):
            return SOLD_OUT
        return await super().reserve(db, ticket, operation)


async def test_a_refusal_is_not_held_against_who_met_a_stranger(server: Server, tmp_path: Path) -> None:
    """Nothing was sold out; but whose lock it was the buyer's code cannot know."""
    async with house_of(server, Impatient(), tmp_path) as house:
        performance = await broken(await house.theatre(), queue(buyers=2, stock=2), "rows locked", 1)
    assert [call.outcome for call in performance.evidence.history] == [Outcome.RETRYABLE, Outcome.ACCEPTED]
    assert state(performance.evidence.books) == (1, 1)
