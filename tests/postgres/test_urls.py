"""URLs: redaction, and naming another database of the same server."""

from __future__ import annotations

import asyncpg
import pytest

from harness.errors import UsageError
from harness.postgres import connect, quote_identifier, redact
from harness.postgres.urls import for_asyncpg, options_in, with_database


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://u:hunter2@h:5432/db", "postgresql://u:***@h:5432/db"),
        ("postgres://u:hun%40ter2%2F@h/db?sslmode=require", "postgres://u:***@h/db?sslmode=require"),
        ("postgresql://u@h/db?password=hunter2&x=1", "postgresql://u@h/db?password=***&x=1"),
        ("postgresql:///db?host=/run/pg&PASSWORD=hunter2", "postgresql:///db?host=/run/pg&PASSWORD=***"),
        ("postgresql://u:hun@ter2@h/db", "postgresql://u:***@h/db"),
        ("postgresql://u:hun/ter?2#@h/db", "postgresql://u:***@h/db"),
        ("postgresql://u:hun?ter=2@h/db?sslmode=disable", "postgresql://u:***@h/db?sslmode=disable"),
        ("postgresql://:hunter2@h/db", "postgresql://:***@h/db"),
        ("postgresql://u@h:5432/db", "postgresql://u@h:5432/db"),
        ("postgresql://h:5432/db", "postgresql://h:5432/db"),
        ("postgresql://u:hunter2@h/db?sslpassword=hunter2", "postgresql://u:***@h/db?sslpassword=***"),
    ],
)
def test_a_password_is_hidden_wherever_a_url_may_hold_it(url: str, shown: str) -> None:
    """The user part and the query are redacted, also when the URL is malformed; the rest stays."""
    assert redact(url) == shown


def test_a_password_behind_an_at_sign_in_the_query_is_hidden() -> None:
    """An ``@`` that is not the user part's may hide more than the password, never less."""
    assert "hunter2" not in redact("postgresql://h:5432/db?user=a@b&password=hunter2")


@pytest.mark.parametrize(
    ("url", "other"),
    [
        ("postgresql://u:p%2F@h:1/db?sslmode=disable", "postgresql://u:p%2F@h:1/x%2Fy?sslmode=disable"),
        ("postgres://h", "postgres://h/x%2Fy"),
        ("postgresql:///?host=/run/pg&dbname=db", "postgresql:///x%2Fy?host=/run/pg"),
        ("postgresql://u@h/?user=a%26b", "postgresql://u@h/x%2Fy?user=a%26b"),
    ],
)
def test_another_database_of_the_same_server_keeps_everything_else(url: str, other: str) -> None:
    """Only the database changes, wherever it was named."""
    assert with_database(url, "x/y") == other


def test_parameters_only_libpq_knows_are_left_out() -> None:
    """A URL as hosting companies hand it out works although asyncpg knows less than libpq."""
    given = "postgresql://u:p@h/db?sslmode=require&channel_binding=require&connect_timeout=5"
    assert for_asyncpg(given) == "postgresql://u:p@h/db?sslmode=require"


@pytest.mark.parametrize("name", ["plain", 'qu"ote', "semi;colon--", "Ünï cödé", "select"])
async def test_a_quoted_identifier_is_the_name_itself(database: str, name: str) -> None:
    """Whatever the name holds, Postgres takes it as that name."""
    connection: asyncpg.Connection = await connect(database)
    try:
        await connection.execute(f"CREATE TABLE {quote_identifier(name)} ()")
        found = await connection.fetchval(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
        )
        assert found == name
    finally:
        await connection.close()


def test_an_identifier_cannot_hold_nul() -> None:
    """A NUL would end the statement early, so it is refused."""
    with pytest.raises(ValueError, match="NUL"):
        quote_identifier("a\0b")


def test_what_asyncpg_reads_in_no_url_is_taken_from_it() -> None:
    """It is no setting of the server, which would refuse it."""
    url = "postgresql://u:p@h/db?sslmode=require&statement_cache_size=0"
    assert for_asyncpg(url) == "postgresql://u:p@h/db?sslmode=require"
    assert (options_in(url), options_in(for_asyncpg(url))) == ({"statement_cache_size": 0}, {})


def test_a_cache_of_no_size_is_refused() -> None:
    """With what was wrong, and without the password."""
    with pytest.raises(UsageError, match="must be a whole number, not 'none'"):
        options_in("postgresql://u:hunter2@h/db?statement_cache_size=none")


async def test_a_session_without_a_cache_prepares_nothing(database: str) -> None:
    """As a pooler in transaction mode needs it."""
    for query, kept in (("", 1), ("&statement_cache_size=0", 0)):
        db = await connect(f"{database}{query}")
        await db.fetchval("SELECT $1::int", 1)
        found = await db.fetchval(
            "SELECT count(*) FROM pg_prepared_statements WHERE statement ~ '^SELECT .1'"
        )
        assert found == kept
        db.terminate()
