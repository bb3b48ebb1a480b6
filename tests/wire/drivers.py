"""One conversation per driver: what an application does with it, written down as what came out.

Each takes a URL and returns plain data that must be the same through a proxy as without one. The synchronous
ones are run in a thread. They make and drop their own table, so that they can run again and again.
"""

from __future__ import annotations

import asyncio
import io
from typing import TYPE_CHECKING, Any

import asyncpg
import pg8000.native
import psycopg
import psycopg2
import sqlalchemy
from psycopg import sql
from sqlalchemy.ext.asyncio import create_async_engine

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

CREATE = "CREATE TABLE stock (id int PRIMARY KEY, note text)"
DROP = "DROP TABLE IF EXISTS stock"
LARGE = "x" * 20_000_000


async def with_asyncpg(url: str) -> list[object]:
    """Statements, transactions, cursors, COPY both ways, errors, LISTEN and large values."""
    seen: list[object] = []
    connection = await asyncpg.connect(url, timeout=10)
    try:
        seen += [await connection.execute(DROP), await connection.execute(CREATE)]
        seen.append(await connection.execute("INSERT INTO stock VALUES (1, 'a'), (2, 'b')"))
        seen.append(await connection.fetch("SELECT * FROM stock WHERE id > $1 ORDER BY id", 0))
        await connection.executemany("INSERT INTO stock VALUES ($1, $2)", [(n, str(n)) for n in range(3, 9)])
        async with connection.transaction():
            rows = [row async for row in connection.cursor("SELECT id FROM stock ORDER BY id", prefetch=3)]
            seen += [rows, await connection.fetchval("SELECT count(*) FROM stock")]
        seen.append(await _error(connection.execute("INSERT INTO stock VALUES (1, 'again')")))
        seen.append(await _error(connection.fetch("SELECT * FROM nowhere")))
        seen.append(await _error(connection.fetch("SELECT 1 / $1::int", 0)))
        await connection.copy_records_to_table("stock", records=[(n, "copied") for n in range(100, 200)])
        out = io.BytesIO()
        await connection.copy_from_query("SELECT id FROM stock ORDER BY id", output=out)
        seen += [out.getvalue(), await _listen(connection)]
        seen.append(await connection.fetchval("SELECT $1::text", LARGE) == LARGE)
        seen.append(len(await connection.fetchval(f"SELECT '{LARGE}'")))
        seen.append(await connection.execute("SELECT 1; SELECT 2"))
        seen.append(await connection.fetch(""))
        await connection.reset()
    finally:
        await connection.close(timeout=10)
    return seen


async def _error(awaitable: Awaitable[object]) -> str:
    try:
        await awaitable
    except asyncpg.PostgresError as error:
        return f"{error.sqlstate} {error}"
    return "no error"


async def _listen(connection: asyncpg.Connection) -> str:
    heard: asyncio.Queue[str] = asyncio.Queue()
    await connection.add_listener("news", lambda *news: heard.put_nowait(news[-1]))
    await connection.execute("NOTIFY news, 'hello'")
    async with asyncio.timeout(10):
        return await heard.get()


def with_psycopg(url: str) -> list[object]:
    """The synchronous side of psycopg 3: transactions, pipelines, server-side cursors, COPY."""
    seen: list[object] = []
    with psycopg.connect(url, connect_timeout=10, autocommit=True) as connection:
        run = connection.execute
        seen += [run(DROP).statusmessage, run(CREATE).statusmessage]
        for number in range(8):  # more than the five after which a statement is prepared
            seen.append(run("INSERT INTO stock VALUES (%s, 'a')", [number]).rowcount)
        seen.append(run("SELECT * FROM stock ORDER BY id").fetchall())
        seen.append(run("SELECT id FROM stock WHERE id = %s", [3], binary=True).fetchall())
        with connection.transaction(), connection.cursor("named") as cursor:
            cursor.itersize = 3
            cursor.execute("SELECT id FROM stock ORDER BY id")
            seen.append([row[0] for row in cursor])
        with connection.pipeline():
            cursors = [run("INSERT INTO stock VALUES (%s, 'p') RETURNING id", [n]) for n in range(20, 40)]
            seen.append([cursor.fetchone() for cursor in cursors])
        seen.append(_pipeline_error(connection))
        seen.append(_psycopg_error(connection, "INSERT INTO stock VALUES (1, 'again')"))
        with connection.cursor().copy("COPY stock FROM STDIN") as copy:
            for number in range(100, 200):
                copy.write_row((number, "copied"))
        with connection.cursor().copy("COPY (SELECT id FROM stock ORDER BY id) TO STDOUT") as copy:
            seen.append(b"".join(bytes(part) for part in copy))
        seen.append(run("SELECT length(%s::text)", [LARGE]).fetchall())
        seen.append(run(sql.SQL("SELECT length({})").format(LARGE)).fetchall())
    with psycopg.connect(url, connect_timeout=10) as connection:
        connection.execute("UPDATE stock SET note = 'b' WHERE id = 1")
        connection.rollback()
        seen.append(connection.execute("SELECT note FROM stock WHERE id = 1").fetchall())
    return seen


def _pipeline_error(connection: psycopg.Connection[Any]) -> str:
    try:
        with connection.pipeline():
            connection.execute("INSERT INTO stock VALUES (50, 'p')")
            connection.execute("INSERT INTO stock VALUES (50, 'p')")
            connection.execute("INSERT INTO stock VALUES (51, 'p')")
    except psycopg.Error as error:
        return f"{error.sqlstate} {error}"
    return "no error"


def _psycopg_error(connection: psycopg.Connection[Any], text: str) -> str:
    try:
        connection.execute(text.encode())
    except psycopg.Error as error:
        return f"{error.sqlstate} {error}"
    return "no error"


async def with_psycopg_async(url: str) -> list[object]:
    """The asynchronous side of psycopg 3."""
    seen: list[object] = []
    async with await psycopg.AsyncConnection.connect(url, connect_timeout=10) as connection:
        await connection.execute(DROP)
        await connection.execute(CREATE)
        await connection.commit()
        async with connection.pipeline():
            for number in range(5):
                await connection.execute("INSERT INTO stock VALUES (%s, 'a')", [number])
        await connection.commit()
        cursor = await connection.execute("SELECT * FROM stock ORDER BY id")
        seen.append(await cursor.fetchall())
    return seen


def with_psycopg2(url: str) -> list[object]:
    """Simple queries in and out of transactions, named cursors, COPY, large objects (function calls)."""
    seen: list[object] = []
    connection = psycopg2.connect(url, connect_timeout=10)
    try:
        connection.autocommit = True
        cursor = connection.cursor()
        for text in (
            DROP,
            CREATE,
            "INSERT INTO stock VALUES (1, 'a')",
            "SELECT * FROM stock",
            "SELECT 'x;y'",
        ):
            cursor.execute(text)
            seen += [cursor.statusmessage, cursor.description and cursor.fetchall()]
        for text in ("INSERT INTO stock VALUES (1, 'a')", "SELECT * FRM stock", "VACUUM stock", ""):
            seen.append(_psycopg2_error(cursor, text))
        connection.autocommit = False
        cursor.execute("INSERT INTO stock VALUES (%s, %s)", (2, "b'c"))
        connection.commit()
        named = connection.cursor("named")
        named.itersize = 1
        named.execute("SELECT id FROM stock ORDER BY id")
        seen.append(list(named))
        connection.rollback()
        cursor.copy_expert("COPY stock FROM STDIN", io.StringIO("7\tcopied\n8\tcopied\n"))
        out = io.StringIO()
        cursor.copy_expert("COPY stock TO STDOUT", out)
        seen.append(out.getvalue())
        connection.commit()
        seen.append(_large_object(connection))
        cursor.execute("SELECT length(%s)", (LARGE,))
        seen.append(cursor.fetchall())
        connection.commit()
    finally:
        connection.close()
    return seen


def _psycopg2_error(cursor: Any, text: str) -> str:
    try:
        cursor.execute(text)
    except psycopg2.Error as error:
        return f"{error.pgcode} {error}"
    return "no error"


def _large_object(connection: Any) -> bytes:
    large = connection.lobject(0, "wb")
    large.write(b"large")
    oid = large.oid
    connection.commit()
    back = connection.lobject(oid, "rb").read()
    connection.commit()
    return bytes(back)


def with_pg8000(url: str) -> list[object]:
    """A driver that sends Execute, Flush and Sync apart."""
    address = sqlalchemy.engine.make_url(url)
    connection = pg8000.native.Connection(
        address.username or "", str(address.host), address.database, address.port or 0, address.password
    )
    seen: list[object] = []
    try:
        for text in (DROP, CREATE, "INSERT INTO stock VALUES (1, 'a')", "SELECT * FROM stock"):
            seen.append(connection.run(text))
        seen.append(connection.run("INSERT INTO stock VALUES (:id, :note)", id=2, note="b"))
        seen.append(connection.run("SELECT * FROM stock WHERE id = :id", id=2))
        prepared = connection.prepare("SELECT id FROM stock WHERE id >= :id ORDER BY id")
        seen += [prepared.run(id=0), prepared.run(id=2)]
        prepared.close()
        for text in ("INSERT INTO stock VALUES (1, 'a')", "SELECT * FROM nowhere"):
            seen.append(_pg8000_error(connection, text))
        seen.append(_pg8000_error(connection, "INSERT INTO stock VALUES (:id, 'a')", id=1))
        connection.run("START TRANSACTION")
        connection.run("UPDATE stock SET note = :note", note="c")
        connection.run("COMMIT")
        connection.run("COPY stock FROM STDIN", stream=io.BytesIO(b"7\tcopied\n"))
        seen.append(connection.run("SELECT * FROM stock ORDER BY id"))
    finally:
        connection.close()
    return seen


def _pg8000_error(connection: pg8000.native.Connection, text: str, **values: object) -> object:
    try:
        return connection.run(text, **values)
    except pg8000.native.DatabaseError as error:
        return [error.args[0][key] for key in "CM"]


def with_sqlalchemy(url: str) -> list[object]:
    """SQLAlchemy over psycopg2, and over psycopg 3."""
    return [_sqlalchemy(url, "psycopg2"), _sqlalchemy(url, "psycopg")]


def _sqlalchemy(url: str, driver: str) -> list[object]:
    engine = sqlalchemy.create_engine(url.replace("postgresql://", f"postgresql+{driver}://", 1))
    seen: list[object] = []
    try:
        with engine.begin() as connection:
            connection.execute(sqlalchemy.text(DROP))
            connection.execute(sqlalchemy.text(CREATE))
            connection.execute(sqlalchemy.text("INSERT INTO stock VALUES (:id, 'a')"), [{"id": 1}, {"id": 2}])
        with engine.connect() as connection:
            seen.append(list(connection.execute(sqlalchemy.text("SELECT id, note FROM stock ORDER BY id"))))
        seen.append(sorted(sqlalchemy.inspect(engine).get_table_names()))
    finally:
        engine.dispose()
    return seen


async def with_sqlalchemy_async(url: str) -> list[object]:
    """SQLAlchemy over asyncpg, which takes its options apart from the URL."""
    address = sqlalchemy.engine.make_url(url).set(drivername="postgresql+asyncpg", query={})
    engine = create_async_engine(address)
    try:
        async with engine.begin() as connection:
            await connection.execute(sqlalchemy.text(DROP))
            await connection.execute(sqlalchemy.text(CREATE))
            await connection.execute(sqlalchemy.text("INSERT INTO stock VALUES (:id, 'a')"), {"id": 1})
        async with engine.connect() as connection:
            return [list(await connection.execute(sqlalchemy.text("SELECT id, note FROM stock")))]
    finally:
        await engine.dispose()


def in_a_thread(conversation: Callable[[str], list[object]]) -> Callable[[str], Awaitable[list[object]]]:
    """Return the same conversation for an event loop."""
    return lambda url: asyncio.to_thread(conversation, url)


CONVERSATIONS: Mapping[str, Callable[[str], Awaitable[list[object]]]] = {
    "asyncpg": with_asyncpg,
    "psycopg": in_a_thread(with_psycopg),
    "psycopg-async": with_psycopg_async,
    "psycopg2": in_a_thread(with_psycopg2),
    "pg8000": in_a_thread(with_pg8000),
    "sqlalchemy": in_a_thread(with_sqlalchemy),
    "sqlalchemy-asyncpg": with_sqlalchemy_async,
}
