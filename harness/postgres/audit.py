"""The audit: every committed transaction of a database, in the order of the commits, read from its log.

Theory of operation. Postgres writes every change into its write-ahead log anyway, and a logical replication
slot makes it keep and explain that log. The slot is read through SQL functions in a session of ours; it is
*temporary*, so it ends with that session, however that ends. A publication says which tables are read. It is
dropped at the end; after a crash it stays in the database, named so that it can be told to be ours, and costs
nothing there.

What is read reaches as far as the log is safely written. Where commits do not wait for that
(``synchronous_commit = off``, as on every server of ours), a transaction of our own that waits comes first.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

import asyncpg

from harness.errors import InconclusiveError
from harness.postgres.connecting import connect
from harness.postgres.pgoutput import PROTOCOL_VERSION, Decoder, Transaction
from harness.postgres.server import finish
from harness.postgres.urls import quote_identifier

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

NAME_PREFIX = "oversell_audit_"
"""How slots and publications of ours begin."""
_BATCH = 20_000
"""Changes after which a reading ends with the transaction it is in."""
_TIMEOUT = 30.0
_PLUGIN = "pgoutput"

_READ = f"""
    SELECT data FROM pg_catalog.pg_logical_slot_get_binary_changes(
        $1, NULL, $2, 'proto_version', '{PROTOCOL_VERSION}', 'publication_names', $3)
"""  # noqa: S608  # the version is ours


class AuditUnavailableError(InconclusiveError):
    """This database's log cannot be read; the message says why. Snapshots are what is left."""


@dataclass(slots=True)
class Audit:
    """A reader of one database's log. Made by :func:`auditing`."""

    name: str
    _db: asyncpg.Connection
    _decoder: Decoder
    transactions: int = 0
    """How many were read."""

    async def catch_up(self) -> list[Transaction]:
        """Return every transaction committed since the last call and before this one.

        Those that changed nothing in the tables that are read are among them where Postgres tells of them.

        :raises AuditUnavailableError: when the slot is gone, for instance because the log grew too large.
        """
        found: list[Transaction] = []
        try:
            async with asyncio.timeout(_TIMEOUT):
                await self._have_it_written()
                while batch := await self._read():
                    found += batch
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
            raise AuditUnavailableError(f"the log can no longer be read: {error}") from error
        self.transactions += len(found)
        return found

    async def _have_it_written(self) -> None:
        async with self._db.transaction():
            await self._db.execute("SET LOCAL synchronous_commit = on")
            await self._db.fetchval("SELECT pg_catalog.pg_logical_emit_message(true, $1, '')", self.name)

    async def _read(self) -> list[Transaction]:
        """Return the next transactions; none when there are none."""
        rows = await self._db.fetch(_READ, self.name, _BATCH, self.name)
        feed = self._decoder.feed
        return [done for row in rows if (done := feed(row[0])) is not None]


@contextlib.asynccontextmanager
async def auditing(url: str, wanted: Mapping[str, Sequence[str]]) -> AsyncIterator[Audit]:
    """Read a database's log for the length of a block, from now on.

    The tables get the replica identity FULL, so that the log tells rows as they were before.

    :param wanted: the columns to read, by table (``schema.table``).
    :raises AuditUnavailableError: when the log cannot be had.
    """
    name = f"{NAME_PREFIX}{secrets.token_hex(6)}"
    db = await connect(url)
    try:
        await _begin(db, name, wanted)
        yield Audit(name, db, Decoder(wanted))
    finally:
        await finish(_end(db, name))


async def _begin(db: asyncpg.Connection, name: str, wanted: Mapping[str, Sequence[str]]) -> None:
    """Make the publication, then the slot, whose beginning then knows the publication."""
    tables = ", ".join(_quoted(table) for table in wanted)
    try:
        async with asyncio.timeout(_TIMEOUT):
            for table in wanted:
                await db.execute(f"ALTER TABLE {_quoted(table)} REPLICA IDENTITY FULL")
            await db.execute(f"CREATE PUBLICATION {quote_identifier(name)} FOR TABLE {tables}")
            await db.fetchval(
                "SELECT slot_name FROM pg_catalog.pg_create_logical_replication_slot($1, $2, true)",
                name,
                _PLUGIN,
            )
    except (asyncpg.PostgresError, TimeoutError) as error:
        raise AuditUnavailableError(f"the log of this database cannot be read: {_reason(error)}") from error


async def _end(db: asyncpg.Connection, name: str) -> None:
    """Remove what was made; the slot goes with the session."""
    with contextlib.suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError):
        async with asyncio.timeout(_TIMEOUT):
            await db.execute(f"DROP PUBLICATION IF EXISTS {quote_identifier(name)}")
            await db.close()
    db.terminate()


def _quoted(table: str) -> str:
    schema, _, name = table.rpartition(".")
    return f"{quote_identifier(schema or 'public')}.{quote_identifier(name)}"


def _reason(error: BaseException) -> str:
    """Return what to do about it, where that is known."""
    match error:
        case asyncpg.ObjectNotInPrerequisiteStateError():
            return f"{error}. Start Postgres with wal_level = logical."
        case asyncpg.InsufficientPrivilegeError():
            return f"{error}. The user needs REPLICATION and must own the tables."
        case asyncpg.ConfigurationLimitExceededError():
            return f"{error}. Raise max_replication_slots, or remove slots that nobody uses."
        case TimeoutError():
            return f"no slot within {_TIMEOUT:g} s: a transaction that was open before may still be."
    return str(error)
