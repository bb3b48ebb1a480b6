"""What text gives away: the hint errs on the side of one point too many."""

from __future__ import annotations

import pytest

from harness.wire.sqltext import Kind, kind_of_tag, read

HELD = [
    ("SELECT * FROM tickets", Kind.DATA),
    ("SELECT create_rsvp(1)", Kind.DATA),
    ("SELECT public.version()", Kind.DATA),
    ("SELECT nextval('pg_class')", Kind.DATA),
    ("SELECT * FROM pg_type, tickets", Kind.DATA),
    ("SELECT * FROM pg_class c LEFT JOIN tickets ON true", Kind.DATA),
    ("SELECT (SELECT count(*) FROM tickets), 1 FROM pg_class", Kind.DATA),
    ('SELECT "version"()', Kind.DATA),
    ("SELECT 1 FOR UPDATE", Kind.DATA),
    ("SELECT 1 INTO made", Kind.DATA),
    ("SELECT set_config('a', f(), true)", Kind.DATA),
    ("WITH x AS (SELECT 1) SELECT * FROM x, tickets", Kind.DATA),
    ("/* a /* nested */ ; comment */ -- and a line\nUPDATE tickets SET n = 1", Kind.DATA),
    ("SET CONSTRAINTS ALL IMMEDIATE", Kind.DATA),
    ("LOCK tickets", Kind.DATA),
    ("COMMIT", Kind.COMMIT),
    ("end", Kind.COMMIT),
    ("PREPARE TRANSACTION 'x'", Kind.COMMIT),
    ("ROLLBACK", Kind.ROLLBACK),
    ("ABORT", Kind.ROLLBACK),
    ("ROLLBACK TO SAVEPOINT a", Kind.SAVEPOINT),
    ("ROLLBACK WORK TO a", Kind.SAVEPOINT),
    ("COPY tickets FROM STDIN", Kind.COPY),
    ("CREATE TABLE t (a int)", Kind.UNKNOWN),
    ("gibberish", Kind.UNKNOWN),
    ("'unfinished", Kind.UNKNOWN),
]
FREE = [
    ("", Kind.EMPTY),
    (" ; -- nothing\n;", Kind.EMPTY),
    ("BEGIN", Kind.BEGIN),
    ("START TRANSACTION READ ONLY", Kind.BEGIN),
    ("SAVEPOINT a", Kind.SAVEPOINT),
    ("RELEASE a", Kind.SAVEPOINT),
    ("SET search_path = x", Kind.SETTING),
    ("SHOW transaction_isolation", Kind.SETTING),
    ("PREPARE p AS SELECT 1", Kind.SETTING),
    ("SELECT 1", Kind.SETTING),
    ("select pg_catalog.version()", Kind.SETTING),
    ("SELECT current_setting('jit') AS cur, set_config('jit', 'off', false) AS new", Kind.SETTING),
    ("SELECT t.oid FROM pg_type t JOIN pg_catalog.pg_namespace n ON (n.oid = t.typnamespace)", Kind.SETTING),
    ("WITH RECURSIVE x(a) AS (SELECT oid FROM pg_type) SELECT * FROM x", Kind.SETTING),
    ("SELECT pg_advisory_unlock_all(); CLOSE ALL; UNLISTEN *; RESET ALL;", Kind.RESET),
    ("DISCARD ALL", Kind.RESET),
    ("DEALLOCATE ALL", Kind.RESET),
    ("LISTEN news", Kind.LISTEN),
]


@pytest.mark.parametrize(("text", "kind"), HELD)
def test_what_may_matter_to_others_is_held(text: str, kind: Kind) -> None:
    """Anything that reads or writes rows, ends a transaction, or is not understood."""
    assert (read(text).held, read(text).kind) == (1, kind)


@pytest.mark.parametrize(("text", "kind"), FREE)
def test_what_cannot_matter_to_others_is_free(text: str, kind: Kind) -> None:
    """Settings, resets, the catalogue, and the beginning of transactions."""
    assert (read(text).held, read(text).kind) == (0, kind)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("SELECT 1; SELECT 2", 2),
        ("SELECT ';', E'\\';', $$;$$, $a$;$$;$a$, \";\", 'it''s;' /* ; */ -- ;", 1),
        ("SELECT E'a''b\\';'", 1),
        ("SELECT U&'\\0061;', B'0;'", 1),
        ("SELECT a$b$c, 1 FROM t; SELECT $1", 2),
        (";;", 0),
    ],
)
def test_semicolons_count_only_between_statements(text: str, count: int) -> None:
    """Strings, quoted names, dollar quotes and comments hide theirs."""
    assert len(read(text).parts) == count


def test_parameters_and_isolation_levels_are_noticed() -> None:
    """A parameter outside of quotes, and a level that keeps snapshots, are told."""
    assert read("SELECT $1").parameters
    assert not read("SELECT '$1', $x$ $1 $x$").parameters
    assert read("BEGIN ISOLATION LEVEL REPEATABLE  READ").keeps_snapshots
    assert not read("BEGIN ISOLATION LEVEL READ COMMITTED").keeps_snapshots


def test_a_text_too_long_to_read_counts_as_more_than_one_unknown_statement() -> None:
    """So it is held, never rewritten, and coarse."""
    assert (read("x" * 2_000_000).held, read("x" * 2_000_000).kind) == (2, Kind.UNKNOWN)


@pytest.mark.parametrize(
    ("tag", "kind"),
    [
        ("INSERT 0 5", Kind.DATA),
        ("SELECT 1", Kind.DATA),
        ("COMMIT", Kind.COMMIT),
        ("ROLLBACK", Kind.ROLLBACK),
        ("START TRANSACTION", Kind.BEGIN),
        ("SET", Kind.SETTING),
        ("COPY 7", Kind.COPY),
        ("DISCARD ALL", Kind.RESET),
        ("CREATE TABLE", Kind.UNKNOWN),
    ],
)
def test_a_command_tag_says_what_happened(tag: str, kind: Kind) -> None:
    """Counts aside, each tag has one kind."""
    assert kind_of_tag(tag) is kind
