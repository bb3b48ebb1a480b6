"""The naive race under frontrun 0.7.0: the same four statements as ``specimen:check_then_decrement``.

Runs in an environment of its own, under the ``frontrun`` command, as its documentation asks; see
``frontrun_peer``. Prints one line of JSON. Its default strategy, DPOR over SQL accesses, is used. For the
first violation its settings are left as they are; for every interleaving they are what its guide says for
that: ``stop_on_first=False``, no bound on preemptions, depth first. The ten replays of a counterexample are
switched off, since the time until it is found is what is compared.

Arguments: database URL, number of buyers, "first" or "every", seconds at most, and "kept" or "fresh": whether
the buyers' connections are opened beforehand, as ours are, or by each buyer, as in its own examples.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import frontrun  # type: ignore[import-not-found]  # only in the peer's own environment
import psycopg2  # type: ignore[import-untyped, unused-ignore]  # has no types, or is not installed here

_OPEN = """
    INSERT INTO tickets (event_id, name, quantity_initial, quantity_available, closed)
    VALUES (nextval('event_ids'), 'last', 1, 1, false) RETURNING id, event_id
"""
_LOOK = "SELECT EXISTS (SELECT FROM rsvps WHERE event_id = %s AND user_id = %s AND status = 'confirmed')"
_READ = "SELECT quantity_available FROM tickets WHERE id = %s"
_WRITE = "UPDATE tickets SET quantity_available = %s WHERE id = %s"
_INSERT = "INSERT INTO rsvps (event_id, ticket_id, user_id, quantity) VALUES (%s, %s, %s, 1) RETURNING id"
_SOLD = "SELECT user_id FROM rsvps WHERE ticket_id = %s ORDER BY user_id"


def main() -> None:
    """Explore, and say what came of it."""
    url, buyers, wanted, seconds, connections = sys.argv[1:]
    race = Race(url, int(buyers), kept=connections == "kept")
    race.once()
    every = {"stop_on_first": False, "preemption_bound": None} if wanted == "every" else {}
    begun = time.monotonic()
    result = frontrun.explore(
        setup=race.open_sale,
        workers=race.workers,
        invariant=race.sold_at_most_one,
        reproduce_on_failure=0,
        total_timeout=float(seconds),
        **every,
    )
    took = time.monotonic() - begun
    told = {
        "seconds": took,
        "finished": result.property_holds is not None and took < float(seconds),
        "holds": result.property_holds,
        "runs": result.num_explored,
        "outcomes": sorted({len(buyers) for buyers in race.outcomes}),
    }
    print(json.dumps(told))


class Race:
    """One ticket, and buyers who look, read, write and insert, each statement committed by itself."""

    def __init__(self, url: str, buyers: int, *, kept: bool) -> None:
        self._url = url
        self._own = self._connect()
        self._kept = [self._connect() for _ in range(buyers)] if kept else []
        self.workers = [self._buyer(number) for number in range(buyers)]
        self.outcomes: set[tuple[str, ...]] = set()
        """Who had a ticket at the end of some run."""

    def once(self) -> None:
        """Let the buyers go one after another, so that everything is warm before the clock starts."""
        sale = self.open_sale()
        for buy in self.workers:
            buy(sale)

    def open_sale(self) -> tuple[int, int]:
        """Put one ticket on sale; return its id and its event's."""
        (row,) = _rows(self._own, _OPEN)
        return row[0], row[1]

    def sold_at_most_one(self, sale: tuple[int, int]) -> bool:
        """Read the books, as our runs do after each schedule."""
        sold = tuple(person for (person,) in _rows(self._own, _SOLD, sale[0]))
        self.outcomes.add(sold)
        return len(sold) <= 1

    def _buyer(self, number: int) -> Any:
        def buy(sale: tuple[int, int]) -> None:
            if self._kept:
                _reserve(self._kept[number], sale, f"buyer-{number + 1}")
                return
            connection = self._connect()
            try:
                _reserve(connection, sale, f"buyer-{number + 1}")
            finally:
                connection.close()

        return buy

    def _connect(self) -> Any:
        connection = psycopg2.connect(self._url)
        connection.autocommit = True
        return connection


def _reserve(connection: Any, sale: tuple[int, int], person: str) -> None:
    ticket, event = sale
    if _rows(connection, _LOOK, event, person)[0][0]:
        return
    available = _rows(connection, _READ, ticket)[0][0]
    if available < 1:
        return
    with connection.cursor() as cursor:
        cursor.execute(_WRITE, (available - 1, ticket))
    _rows(connection, _INSERT, event, ticket, person)


def _rows(connection: Any, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        found: list[tuple[Any, ...]] = cursor.fetchall()
        return found


if __name__ == "__main__":
    main()
