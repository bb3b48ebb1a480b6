"""Steps and cells: what is known of a statement, which faults there are at it, and in which order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness.faulting.enumeration import Clean, cells, followers, injection_of, reasons
from harness.faulting.fault import Ground
from harness.faulting.faults import FAULTS
from harness.faulting.steps import RequestId, in_short
from harness.faulting.telling import told
from harness.model import Feature
from harness.wire import Kind
from tests.faulting.shop import WatchedShop, broken, cell, house_of, queue, seen

if TYPE_CHECKING:
    from pathlib import Path

    from harness.postgres import Server

BY_NAME = {fault.name: fault for fault in FAULTS}
HERE = Ground(supports=frozenset(Feature), own_process=False)


@pytest.mark.parametrize(
    ("sql", "short"),
    [
        ("insert into public.rsvps (id)\n values ($1)", "INSERT INTO public.rsvps"),
        ("UPDATE tickets SET n = n - 1 WHERE id = $1 RETURNING id", "UPDATE tickets"),
        ("WITH gone AS (DELETE FROM holds RETURNING 1) SELECT count(*) FROM gone", "DELETE FROM holds"),
        ("SELECT id FROM jobs WHERE done FOR UPDATE SKIP LOCKED", "SELECT FROM jobs"),
        ("select (answer.rsvp).* from public.create_rsvp($1) as answer", "public.create_rsvp()"),
        ("SELECT pg_advisory_lock($1)", "pg_advisory_lock()"),
        ("COMMIT;", "COMMIT"),
    ],
)
def test_a_statement_in_a_few_words(sql: str, short: str) -> None:
    """Enough to find it again in one's own code."""
    assert in_short(sql) == short


@pytest.mark.parametrize(
    ("sql", "there", "not_there"),
    [
        ("SELECT n FROM tickets", "57014", "23505 53100 40P01 40001 25P03"),
        ("SELECT n FROM tickets FOR UPDATE", "40P01 40001", "23505 53100"),
        ("UPDATE tickets SET n = 1", "40P01 40001 53100", "23505 25P03"),
        ("INSERT INTO rsvps VALUES (1)", "40P01 40001 53100 23505", "25P03"),
    ],
)
def test_refusals_come_where_postgres_could(sql: str, there: str, not_there: str) -> None:
    """A read violates no key, and waits for nobody."""
    assert all(BY_NAME[f"refused {code}"].applies(seen(sql)) for code in there.split())
    assert not any(BY_NAME[f"refused {code}"].applies(seen(sql)) for code in not_there.split())


def test_to_undo_something_never_fails() -> None:
    """No refusal fits a rollback; a cut does."""
    back = seen("ROLLBACK", in_transaction=True, kind=Kind.ROLLBACK)
    assert not [name for name, fault in BY_NAME.items() if name.startswith("refused") and fault.applies(back)]
    assert BY_NAME["cut before"].applies(back)


def test_an_answer_is_lost_only_where_something_was_committed() -> None:
    """At the commit of a statement of its own, and at COMMIT; not within a transaction."""
    lost = BY_NAME["answer lost"]
    assert lost.applies(seen("UPDATE t SET n = 1", commits=True))
    assert lost.applies(seen("COMMIT", in_transaction=True, kind=Kind.COMMIT))
    assert not lost.applies(seen("UPDATE t SET n = 1"))
    assert not lost.applies(seen("UPDATE t SET n = 1", in_transaction=True))


def test_what_cannot_be_done_says_why() -> None:
    """Each reason once."""
    apart = Ground(supports=frozenset(), own_process=True, keys=True)
    no_process = "process killed and stopped: the target gives us no process of its own"
    no_server = "Postgres crashed and restarted: there is no embedded server for it here, or it was left out"
    no_pooler = "pooled: there is no pgbouncer in PATH or /usr/sbin (apt install pgbouncer)"
    assert reasons(FAULTS, HERE) == (
        no_server,
        no_pooler,
        no_process,
        "client retries, same key: the target's clients send no idempotency key",
    )
    assert reasons(FAULTS, apart) == (
        no_server,
        no_pooler,
        "killed: the target has a process of its own, whose death is another fault",
        no_process,
        "cancels while buying: the target does not support cancel",
    )


async def test_every_statement_is_broken_before_any_is_again(server: Server, tmp_path: Path) -> None:
    """The second buyer's steps come after all faults at the first one's; each cell comes once."""
    async with house_of(server, WatchedShop(), tmp_path) as house:
        theatre = await house.theatre()
        clean = Clean(plain=await theatre.perform(queue(2, 2)), keyed=None)
    todo = cells(clean, theatre.faults, theatre.ground)
    assert len(set(todo)) == len(todo) > 100
    clients = [injection.client for injection in todo]
    assert clients == sorted(clients)
    assert [injection.fault for injection in todo[:4]] == ["stands still"] * 4
    then = [injection.fault for injection in todo].index("cut before")
    assert {injection.fault for injection in todo[4:then]} == {"answer lost", "killed", "client retries"}


async def test_a_second_fault_comes_after_the_first(server: Server, tmp_path: Path) -> None:
    """At the steps of the run in which the first was fired, of which some may be new."""
    async with house_of(server, WatchedShop(), tmp_path) as house:
        theatre = await house.theatre()
        first = await cell(theatre, queue(1, 2), "client retries", 4)
        run = await broken(theatre, queue(1, 2), "client retries", 4)
        after = list(followers(run, first, [BY_NAME["killed"]]))
    assert [(each.attempt, each.step) for each in after] == [(1, 1), (1, 2), (1, 3), (1, 4)]


def test_pairs_are_told_in_their_order() -> None:
    """One clause for each."""
    request = RequestId(0, "buyer-1", 0)
    update = seen("UPDATE tickets SET n = 1", commits=True)
    pair = (
        injection_of(request, update, "answer lost"),
        injection_of(RequestId(0, "buyer-1", 0, 1), seen("INSERT INTO rsvps VALUES (1)"), "killed"),
    )
    assert told(pair, queue(1, 1), BY_NAME) == (
        "the answer to UPDATE tickets was lost after it committed while buyer-1 reserved, and then "
        "the process died before INSERT INTO rsvps while buyer-1 reserved again"
    )
