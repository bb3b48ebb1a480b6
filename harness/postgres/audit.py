"""The audit: every committed transaction of a database, in the order of the commits, read from its log.

Theory of operation. Postgres writes every change into its write-ahead log anyway, and a logical replication
slot makes it keep and explain that log. The slot is read through SQL functions in a session of ours; it is
*temporary*, so it ends with that session, however that ends. A publication says which tables are read; where
rows must be known as they were before, a table has the replica identity FULL meanwhile.

What is read reaches as far as the log is safely written. Where commits do not wait for that
(``synchronous_commit = off``, as on every server of ours), a transaction of our own that waits comes first.
Every reading begins where the log is still needed for a transaction that was open then, and Postgres notes
only now and then which are; so it is made to, whenever much has been written since.

What a crash leaves. Publication and replica identities are made in one transaction, and the publication's
comment says what the identities were. One audit at a time reads a database: it holds an advisory lock as long
as it lives. Whoever gets that lock may therefore take every publication of ours there, and every slot of that
name that nobody uses, for forgotten; the next audit removes them and puts the identities back.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import asyncpg

from harness.errors import InconclusiveError, UsageError
from harness.postgres.connecting import connect, is_connection_lost
from harness.postgres.pgoutput import PROTOCOL_VERSION, Decoder, MalformedError, Transaction
from harness.postgres.server import finish
from harness.postgres.urls import quote_identifier

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence

NAME_PREFIX = "oversell_audit_"
"""How slots and publications of ours begin."""
_BATCH = 20_000
"""Messages after which a reading ends with the transaction it is in."""
_SLICE = 1_000
"""Messages that are decoded before others have their turn."""
_TIMEOUT = 30.0
_BEGIN_TIMEOUT = 10.0
"""Seconds for the slot: it waits for every transaction that is open when it is made."""
_LOCK_TIMEOUT = "5s"
"""How long a table's lock is waited for."""
_RUNNING_EVERY = 4 << 20
"""Bytes of log after which Postgres is made to note which transactions are open."""
_NO_NOTE_BEFORE = 16
"""The first version that can be made to."""
_PLUGIN = "pgoutput"
_LOCK = 0x0FE25E11
"""Key of the advisory lock that a living audit holds in its database."""

_READ = f"""
    SELECT data FROM pg_catalog.pg_logical_slot_get_binary_changes(
        $1, $2::text::pg_lsn, $3, 'proto_version', '{PROTOCOL_VERSION}', 'publication_names', $4)
"""  # noqa: S608  # the version is ours
# A user may have limits that are meant for others; those on our own waits are kept here.
_SESSION = """
    SET synchronous_commit = on; SET lock_timeout = '{lock_timeout}';
    SET statement_timeout = 0; SET idle_session_timeout = 0
"""
_COLUMNS = """
    SELECT c.relkind::text AS kind, array(
        SELECT a.attname::text FROM pg_attribute a
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
    ) AS columns
    FROM pg_class c WHERE c.oid = to_regclass($1)
"""
# Of a partitioned table its partitions are written to, and what is told of a row is decided by the table.
# A table that has no identity at all could no longer be changed once it is published.
_IDENTITIES = """
    SELECT format('%I.%I', n.nspname, c.relname) AS name, c.relreplident::text AS kind,
           (SELECT i.relname FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid
            WHERE x.indrelid = c.oid AND x.indisreplident) AS index
    FROM unnest($1::text[], $2::boolean[]) AS wanted (name, whole)
    CROSS JOIN LATERAL (
        SELECT to_regclass(wanted.name)::oid AS oid
        UNION SELECT t.relid::oid FROM pg_partition_tree(to_regclass(wanted.name)) t
    ) tables
    JOIN pg_class c ON c.oid = tables.oid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p') AND c.relreplident <> 'f' AND (
        wanted.whole OR c.relreplident = 'n' OR c.relreplident = 'd' AND NOT EXISTS (
            SELECT FROM pg_index x WHERE x.indrelid = c.oid AND x.indisprimary
        )
    )
"""
_PUBLICATIONS = """
    SELECT pubname::text AS name, obj_description(oid, 'pg_publication') AS comment
    FROM pg_publication WHERE starts_with(pubname, $1) ORDER BY 1
"""
_SLOTS = """
    SELECT slot_name::text AS name FROM pg_replication_slots
    WHERE starts_with(slot_name, $1) AND NOT active AND database = current_database() ORDER BY 1
"""
_IS_READ = """
    SELECT EXISTS (
        SELECT FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND classid = 0 AND objid = $1::bigint::oid
    )
"""
_EXPLAIN_LOSS = """
    SELECT pg_postmaster_start_time()::text AS started, current_setting('max_slot_wal_keep_size') AS most
"""


_FAILED = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)
"""What a statement can fail with, the loss of the server and a time-out included."""


class AuditUnavailableError(InconclusiveError):
    """This database's log cannot be read; the message says why. Snapshots are what is left."""


class WrongLedgerError(UsageError):
    """A target's description names a table or a column that its database does not have."""


@dataclass(slots=True)
class Audit:
    """A reader of one database's log. Made by :func:`auditing`."""

    name: str
    transactions: int = field(default=0, init=False)
    """How many were read."""
    _url: str
    _db: asyncpg.Connection
    _decoder: Decoder
    _started: str
    """When the server was."""
    _noted: int = 0
    """Position in the log at which the open transactions were noted last."""
    _can_note: bool = True
    _reading: bool = False
    """A reading has begun and has not come to its end."""

    async def position(self) -> int:
        """Return the position in the log after everything that has been committed so far.

        :raises AuditUnavailableError: when Postgres does not answer any more.
        """
        try:
            async with asyncio.timeout(_TIMEOUT):
                return _as_number(await self._db.fetchval("SELECT pg_current_wal_insert_lsn()::text"))
        except _FAILED as error:
            raise await self._lost(error) from error

    async def catch_up(self) -> list[Transaction]:
        """Return every transaction committed since the last call and before this one.

        Those that changed nothing in the tables that are read are among them where Postgres tells of them.

        :raises AuditUnavailableError: when the slot is gone, for instance because the log grew too large.
        """
        return [transaction async for batch in self.read() for transaction in batch]

    async def read(self) -> AsyncIterator[Sequence[Transaction]]:
        """Yield what :meth:`catch_up` returns, in parts, so that others have their turn in between.

        :raises AuditUnavailableError: as it does; parts that were yielded before are good.
        """
        if self._reading:
            raise AuditUnavailableError("a reading of the log was broken off, and what it had read is lost")
        self._reading = True
        try:
            async with asyncio.timeout(_TIMEOUT):
                until = await self._have_it_written()
            size = _BATCH
            while size >= _BATCH:
                async with asyncio.timeout(_TIMEOUT):
                    messages = await self._db.fetch(_READ, self.name, until, _BATCH, self.name)
                size = len(messages)
                for start in range(0, size, _SLICE):
                    yield self._decoded(messages[start : start + _SLICE])
                    await asyncio.sleep(0)
            async with asyncio.timeout(_TIMEOUT):
                await self._have_it_noted(until)
            self._reading = False
        except _FAILED as error:
            raise await self._lost(error) from error
        except MalformedError as error:
            raise AuditUnavailableError(f"the log can no longer be understood: {error}") from error

    def _decoded(self, messages: Iterable[asyncpg.Record]) -> Sequence[Transaction]:
        feed = self._decoder.feed
        found = [done for message in messages if (done := feed(message[0])) is not None]
        self.transactions += len(found)
        return found

    async def _have_it_written(self) -> str:
        """Have everything that is committed by now written, and return the position in the log after it."""
        position: str = await self._db.fetchval(
            "SELECT pg_catalog.pg_logical_emit_message(true, $1, '')::text", self.name
        )
        return position

    async def _have_it_noted(self, position: str) -> None:
        """Have it noted which transactions are open, if much has been written since that was done last."""
        here = _as_number(position)
        if not self._can_note or here - self._noted < _RUNNING_EVERY:
            return
        self._noted = here
        try:
            await self._db.fetchval("SELECT pg_catalog.pg_log_standby_snapshot()::text")
        except (asyncpg.InsufficientPrivilegeError, asyncpg.UndefinedFunctionError):
            self._can_note = False  # Postgres does so itself every 15 seconds.

    async def _lost(self, error: BaseException) -> AuditUnavailableError:
        """Return what to say when the log cannot be read any more, with what the server says of it."""
        why = str(error).strip().rstrip(".") or f"Postgres did not answer within {_TIMEOUT:g} s"
        if is_connection_lost(error) or self._db.is_closed():
            why = f"the session that read it was ended, and its slot with it{await self._explained()}"
        return AuditUnavailableError(f"the log can no longer be read: {why}")

    async def _explained(self) -> str:
        try:
            db = await connect(self._url)
        except UsageError as error:
            return f"; {error}"
        try:
            async with asyncio.timeout(_TIMEOUT):
                row = await db.fetchrow(_EXPLAIN_LOSS)
        except _FAILED:
            return ""
        finally:
            db.terminate()
        if row["started"] != self._started:
            return f": Postgres was started again at {row['started']}"
        if row["most"] != "-1":
            return f": perhaps the log outgrew max_slot_wal_keep_size = {row['most']}"
        return ""


@contextlib.asynccontextmanager
async def auditing(
    url: str, wanted: Mapping[str, Sequence[str]], *, whole: Collection[str] | None = None
) -> AsyncIterator[Audit]:
    """Read a database's log for the length of a block, from now on.

    :param wanted: the columns to read, by table (``schema.table``).
    :param whole: the tables of which rows are to be told as they were before; ``None``: all.
    :raises AuditUnavailableError: when the log cannot be had.
    :raises WrongLedgerError: when a table or a column is not there.
    """
    name = f"{NAME_PREFIX}{secrets.token_hex(6)}"
    db = await connect(url)
    try:
        audit = await _begin(url, db, name, wanted, wanted if whole is None else whole)
        yield audit
    finally:
        await finish(_end(db, name))


async def forgotten(db: asyncpg.Connection) -> Sequence[str]:
    """Name what audits that are over left in this database, each with what removes it."""
    async with asyncio.timeout(_TIMEOUT):
        if await db.fetchval(_IS_READ, _LOCK):
            return ()
        publications = await db.fetch(_PUBLICATIONS, NAME_PREFIX)
        slots = await db.fetch(_SLOTS, NAME_PREFIX)
    return (
        *(f"publication {row['name']}{_changed(row['comment'])}" for row in publications),
        *(f"replication slot {row['name']}" for row in slots),
    )


async def _begin(
    url: str,
    db: asyncpg.Connection,
    name: str,
    wanted: Mapping[str, Sequence[str]],
    whole: Collection[str],
) -> Audit:
    """Make the publication, then the slot, whose beginning then knows the publication."""
    try:
        async with asyncio.timeout(_TIMEOUT):
            await _require_columns(db, wanted)
            if not await db.fetchval("SELECT pg_try_advisory_lock($1)", _LOCK):
                raise AuditUnavailableError("another audit is reading the log of this database")
            await _require_logical(db)
            await db.execute(_SESSION.format(lock_timeout=_LOCK_TIMEOUT))
            await _remove_forgotten(db)
            await _publish(db, name, {_quoted(table): table in whole for table in wanted})
        async with asyncio.timeout(_BEGIN_TIMEOUT):
            await db.fetchval(
                "SELECT slot_name FROM pg_catalog.pg_create_logical_replication_slot($1, $2, true)",
                name,
                _PLUGIN,
            )
            started = await db.fetchval("SELECT pg_postmaster_start_time()::text")
    except _FAILED as error:
        raise AuditUnavailableError(f"the log of this database cannot be read: {_reason(error)}") from error
    can_note = db.get_server_version().major >= _NO_NOTE_BEFORE
    return Audit(name, url, db, Decoder(wanted), started, _can_note=can_note)


async def _require_columns(db: asyncpg.Connection, wanted: Mapping[str, Sequence[str]]) -> None:
    """Refuse a description that does not fit the database.

    :raises WrongLedgerError: when it names what is not there, or no table.
    """
    for table, columns in wanted.items():
        row = await db.fetchrow(_COLUMNS, _quoted(table))
        if row is None:
            raise WrongLedgerError(f"the target's ledger names the table {table}, which is not there")
        if row["kind"] not in ("r", "p"):
            raise WrongLedgerError(f"the target's ledger names {table}, which is no table")
        missing = [column for column in columns if column not in row["columns"]]
        if missing:
            raise WrongLedgerError(
                f"the target's ledger names {table}.{missing[0]}, which is not there;"
                f" the columns of {table}: {', '.join(row['columns'])}"
            )


async def _require_logical(db: asyncpg.Connection) -> None:
    """Refuse before anything is changed where no right would help.

    :raises AuditUnavailableError: with what is missing.
    """
    level = await db.fetchval("SELECT current_setting('wal_level')")
    if level != "logical":
        raise AuditUnavailableError(
            f"the log of this database cannot be read: wal_level is {level}."
            " Start Postgres with wal_level = logical."
        )


async def _publish(db: asyncpg.Connection, name: str, tables: Mapping[str, bool]) -> None:
    """Make the publication, which remembers what it changes, and change it: together or not at all.

    :param tables: by name, whether rows are to be told as they were.
    """
    async with db.transaction():
        rows = await db.fetch(_IDENTITIES, list(tables), list(tables.values()))
        before = {row["name"]: [row["kind"], row["index"]] for row in rows}
        await db.execute(
            f"CREATE PUBLICATION {quote_identifier(name)} FOR TABLE {', '.join(tables)}"
            " WITH (publish_via_partition_root = true)"
        )
        comment = await db.fetchval("SELECT quote_literal($1)", json.dumps(before))
        await db.execute(f"COMMENT ON PUBLICATION {quote_identifier(name)} IS {comment}")
        for table in before:
            await db.execute(f"ALTER TABLE {table} REPLICA IDENTITY FULL")


async def _remove_forgotten(db: asyncpg.Connection) -> None:
    """Remove what audits that are over left in this database, as far as we may."""
    for row in await db.fetch(_SLOTS, NAME_PREFIX):
        with contextlib.suppress(asyncpg.PostgresError):
            await db.fetchval("SELECT pg_drop_replication_slot($1)::text", row["name"])
    for row in await db.fetch(_PUBLICATIONS, NAME_PREFIX):
        with contextlib.suppress(asyncpg.PostgresError):
            await _unpublish(db, row["name"], row["comment"])


async def _unpublish(db: asyncpg.Connection, name: str, comment: str | None) -> None:
    """Drop a publication and put the replica identities back, together or not at all."""
    async with db.transaction():
        await db.execute(f"DROP PUBLICATION IF EXISTS {quote_identifier(name)}")
        for table, (kind, index) in _remembered(comment).items():
            if await db.fetchval("SELECT to_regclass($1) IS NOT NULL", table):
                await db.execute(f"ALTER TABLE {table} REPLICA IDENTITY {_identity(kind, index)}")


async def _end(db: asyncpg.Connection, name: str) -> None:
    """Remove what was made; the slot goes with the session."""
    with contextlib.suppress(*_FAILED):
        async with asyncio.timeout(_TIMEOUT):
            for row in await db.fetch(_PUBLICATIONS, name):
                await _unpublish(db, row["name"], row["comment"])
            await db.close()
    db.terminate()


def _remembered(comment: str | None) -> dict[str, tuple[str, str | None]]:
    """Return the replica identities that a publication's comment remembers; names in it are quoted."""
    try:
        found = json.loads(comment or "{}")
        return {str(table): (str(kind), index) for table, (kind, index) in found.items()}
    except (ValueError, AttributeError, TypeError):
        return {}


def _identity(kind: str, index: str | None) -> str:
    """Return a replica identity as SQL has it."""
    if kind == "i" and index is not None:
        return f"USING INDEX {quote_identifier(index)}"
    return "NOTHING" if kind == "n" else "DEFAULT"


def _changed(comment: str | None) -> str:
    """Return which tables' replica identity a publication's comment says was changed."""
    tables = _remembered(comment)
    return f" (and replica identity FULL on {', '.join(tables)})" if tables else ""


def _quoted(table: str) -> str:
    schema, _, name = table.rpartition(".")
    return f"{quote_identifier(schema or 'public')}.{quote_identifier(name)}"


def _as_number(position: str) -> int:
    """Return a position in the log as a number of bytes."""
    high, _, low = position.partition("/")
    return (int(high, 16) << 32) + int(low, 16)


def _reason(error: BaseException) -> str:
    """Return what to do about it, where that is known."""
    match error:
        case asyncpg.InsufficientPrivilegeError():
            return f"{error}. The user needs REPLICATION and must own the tables."
        case asyncpg.ConfigurationLimitExceededError():
            return f"{error}. Raise max_replication_slots, or remove slots that nobody uses."
        case asyncpg.LockNotAvailableError():
            return f"{error}: a transaction that is open keeps a table locked."
        case TimeoutError():
            return f"no slot within {_BEGIN_TIMEOUT:g} s: a transaction that was open before may still be."
    return str(error)
