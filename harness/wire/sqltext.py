"""What SQL text gives away before it runs: how many statements it holds, and what each seems to be.

This is a hint, never the truth: a function hides what it does, and a prepared statement can be anything.
What a statement did is said by its command tag (:func:`kind_of_tag`). Where the hint is not sure it says
``UNKNOWN`` or ``DATA``, which are held and treated as conflicting; it errs on the side of one point too many.

Text is cut into tokens just well enough that comments, strings, quoted names and dollar quotes cannot be
mistaken for keywords or semicolons (standard_conforming_strings is taken to be on, as it is by default).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


class Kind(StrEnum):
    """What a statement is, as far as scheduling cares."""

    DATA = "data"
    """Reads or writes rows, takes locks, or calls functions that may."""
    BEGIN = "begin"
    COMMIT = "commit"
    """Ends a transaction with a commit (COMMIT, END, PREPARE TRANSACTION)."""
    ROLLBACK = "rollback"
    """Ends a transaction without one."""
    SAVEPOINT = "savepoint"
    """SAVEPOINT, RELEASE and ROLLBACK TO; the last gives back locks, and is the only one held."""
    SETTING = "setting"
    """Reads or changes settings of the session, or reads nothing but the catalogue or constants."""
    RESET = "reset"
    """Cleans the session, as a pool does between two users."""
    COPY = "copy"
    LISTEN = "listen"
    EMPTY = "empty"
    UNKNOWN = "unknown"
    """Anything else (schema changes, maintenance), and text that could not be told apart."""


@dataclass(frozen=True, slots=True)
class Part:
    """One statement of a text."""

    kind: Kind
    held: bool
    """Whether it can matter to other sessions, so that its place in the order is worth choosing."""
    reads: bool = False
    """A setting read by SELECT: it takes a snapshot, which matters where snapshots are kept."""
    preparable: bool = False
    """Gives the same in the extended protocol as in a simple Query."""
    commits_inside: bool = False
    """May commit on its own while it runs (CALL, DO), which no proxy can hold."""
    alone: bool = False
    """Refuses to run in a transaction, and commits at once wherever it runs."""
    chained: bool = False
    """COMMIT AND CHAIN and its like: another transaction begins at once."""


@dataclass(frozen=True, slots=True)
class Text:
    """What a text holds."""

    parts: tuple[Part, ...]
    parameters: bool = False
    """It speaks of ``$1``, which a simple Query refuses and a prepared statement takes."""
    keeps_snapshots: bool = False
    """It speaks of an isolation level under which a transaction keeps its first snapshot."""

    @property
    def held(self) -> int:
        """How many of its statements can matter to other sessions."""
        return sum(part.held for part in self.parts)

    @property
    def kind(self) -> Kind:
        """The kind of its weightiest statement: the first that is held, else the first."""
        if not self.parts:
            return Kind.EMPTY
        return next((part for part in self.parts if part.held), self.parts[0]).kind


UNREAD = Text((Part(Kind.UNKNOWN, held=True),))
"""What is known of a text nobody has seen."""


_CACHED = 20_000
_READABLE = 1_000_000


def read(sql: str) -> Text:
    """Return what a text holds. A very long one is not read: it counts as several unknown statements."""
    if len(sql) > _READABLE:
        return Text((*UNREAD.parts, *UNREAD.parts))
    return _read_cached(sql) if len(sql) <= _CACHED else _read(sql)


_TAGS: dict[str, Kind] = {
    "BEGIN": Kind.BEGIN,
    "START TRANSACTION": Kind.BEGIN,
    "COMMIT": Kind.COMMIT,
    "PREPARE TRANSACTION": Kind.COMMIT,
    "COMMIT PREPARED": Kind.COMMIT,
    "ROLLBACK": Kind.ROLLBACK,
    "ROLLBACK PREPARED": Kind.ROLLBACK,
    "SAVEPOINT": Kind.SAVEPOINT,
    "RELEASE": Kind.SAVEPOINT,
    "SET": Kind.SETTING,
    "SHOW": Kind.SETTING,
    "PREPARE": Kind.SETTING,
    "RESET": Kind.RESET,
    "DISCARD": Kind.RESET,
    "DISCARD ALL": Kind.RESET,
    "DEALLOCATE": Kind.RESET,
    "DEALLOCATE ALL": Kind.RESET,
    "CLOSE CURSOR": Kind.RESET,
    "CLOSE CURSOR ALL": Kind.RESET,
    "UNLISTEN": Kind.RESET,
    "LISTEN": Kind.LISTEN,
    "COPY": Kind.COPY,
}
_DATA_TAGS = _words(
    "SELECT INSERT UPDATE DELETE MERGE FETCH MOVE CALL DO NOTIFY EXPLAIN EXECUTE DECLARE LOCK TRUNCATE"
)


def kind_of_tag(tag: str) -> Kind:
    """Return what a command tag says happened. ``ROLLBACK`` is also the tag of ROLLBACK TO SAVEPOINT."""
    words = " ".join(word for word in tag.split() if not word.isdigit())
    if words in _TAGS:
        return _TAGS[words]
    return Kind.DATA if words.split(" ", 1)[0] in _DATA_TAGS else Kind.UNKNOWN


# Tokens.

_TOKEN = re.compile(
    r"""
    (?P<space>\s++|--[^\n]*+)
    |(?P<comment>/\*)
    |(?P<string>[eE]'(?:[^'\\]++|\\.|'')*+'|(?:[bBxXnN]|[uU]&)?'(?:[^']++|'')*+')
    |(?P<quoted>(?:[uU]&)?"(?:[^"]++|"")*+")
    |(?P<parameter>\$\d++)
    |(?P<dollar>\$(?:[^\W\d]\w*+)?\$)
    |(?P<word>[^\W\d][\w$]*+)
    |(?P<number>\d[\w.]*+)
    |(?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_COMMENT_EDGE = re.compile(r"/\*|\*/")


def _tokens(sql: str) -> Iterator[str]:
    """Yield words in lower case, marks as they are, ``''`` for a string, ``$1`` for any parameter."""
    at = 0
    while match := _TOKEN.match(sql, at):
        at = match.end()
        group, text = match.lastgroup, match.group()
        if group == "comment":
            at = _end_of_comment(sql, at)
        elif group == "dollar":
            end = sql.find(text, at)
            at = len(sql) if end < 0 else end + len(text)
            yield "''"
        elif group != "space":
            yield {"string": "''", "parameter": "$1", "number": "0"}.get(group or "", text.lower())


def _end_of_comment(sql: str, at: int) -> int:
    depth = 1
    while depth:
        edge = _COMMENT_EDGE.search(sql, at)
        if edge is None:
            return len(sql)
        depth += 1 if edge.group() == "/*" else -1
        at = edge.end()
    return at


def _read(sql: str) -> Text:
    parts: list[Part] = []
    words: list[str] = []
    parameters = False
    for word in _tokens(sql):
        if word == ";":
            parts += [_part(words)] if words else []
            words = []
        else:
            words.append(word)
            parameters = parameters or word == "$1"
    parts += [_part(words)] if words else []
    keeps = bool(_KEEPING.search(sql))
    return Text(tuple(parts), parameters=parameters, keeps_snapshots=keeps)


_read_cached = lru_cache(maxsize=2048)(_read)
_KEEPING = re.compile(r"repeatable[\s\\]+read|serializable", re.IGNORECASE)


# Statements.

_FREE = {
    "begin": Kind.BEGIN,
    "start": Kind.BEGIN,
    "savepoint": Kind.SAVEPOINT,
    "release": Kind.SAVEPOINT,
    "show": Kind.SETTING,
    "reset": Kind.RESET,
    "discard": Kind.RESET,
    "deallocate": Kind.RESET,
    "close": Kind.RESET,
    "unlisten": Kind.RESET,
    "listen": Kind.LISTEN,
}
_PREPARABLE = _words("select insert update delete merge with values table truncate execute call do (")
_DATA = _PREPARABLE | _words("fetch move declare lock notify explain")
_ALONE = _words("vacuum cluster reindex checkpoint")
_ALONE_OBJECTS = _words("database tablespace subscription system concurrently")


def _part(words: Sequence[str]) -> Part:
    first = words[0]
    second = words[1] if len(words) > 1 else ""
    if first in _FREE:
        return Part(_FREE[first], held=False)
    if first in ("commit", "end", "rollback", "abort"):
        return _ending(words, second)
    if first == "set":
        # SET CONSTRAINTS … IMMEDIATE checks what was deferred, and may wait for others.
        return Part(Kind.DATA, held=True) if second == "constraints" else Part(Kind.SETTING, held=False)
    if first == "prepare":
        return Part(Kind.COMMIT, held=True) if second == "transaction" else Part(Kind.SETTING, held=False)
    if first == "copy":
        return Part(Kind.COPY, held=True)
    if first == "select" and (free := _free_select(words)):
        return free
    if first == "with" and _reads_catalogue(words):
        return Part(Kind.SETTING, held=False, reads=True)
    if first in _DATA:
        inside = first in ("call", "do")
        return Part(Kind.DATA, held=True, preparable=first in _PREPARABLE, commits_inside=inside)
    alone = first in _ALONE or bool(_ALONE_OBJECTS.intersection(words[1:5]))
    return Part(Kind.UNKNOWN, held=True, alone=alone)


def _ending(words: Sequence[str], second: str) -> Part:
    chained = "chain" in words and "no" not in words
    if words[0] in ("commit", "end"):
        return Part(Kind.COMMIT, held=True, chained=chained)
    if "to" in words[1:3]:
        return Part(Kind.SAVEPOINT, held=True)
    del second
    return Part(Kind.ROLLBACK, held=True, chained=chained)


_HARMLESS = _words(
    "set_config current_setting version current_schema current_schemas current_database current_user "
    "session_user pg_backend_pid pg_is_in_recovery inet_server_addr inet_server_port to_regtype to_regclass "
    "format_type pg_encoding_to_char pg_get_expr pg_get_userbyid pg_get_constraintdef pg_get_indexdef "
    "pg_table_is_visible pg_type_is_visible obj_description col_description unnest array_agg json_agg "
    "json_build_object coalesce cast any some all in exists array as and or not on using values over "
    "generate_subscripts generate_series nullif string_agg lower upper quote_ident array_length "
    "array_position max min count"
)
"""Names before a parenthesis that read nothing of the user's. Any other call is held."""
_WRITES = _words("insert update delete merge into lock for")
_CLAUSES = _words("from where group order union limit select having")
_AFTER_AS = _words("( materialized not")
_NOT_NAMES = _words("select from where join on and or not in case when then else lateral ( only")


def _free_select(words: Sequence[str]) -> Part | None:
    """Recognise pool resets, driver introspection, and reads of settings and constants."""
    if words[1:] in (["pg_advisory_unlock_all", "(", ")"],
                     ["pg_catalog", ".", "pg_advisory_unlock_all", "(", ")"]):  # fmt: skip
        return Part(Kind.RESET, held=False)
    return Part(Kind.SETTING, held=False, reads=True) if _reads_catalogue(words) else None


def _reads_catalogue(words: Sequence[str]) -> bool:
    """Say whether a SELECT calls only harmless functions and reads only the catalogue, if anything."""
    if _WRITES.intersection(words):
        return False
    names = _common_tables(words)
    for at, word in enumerate(words):
        if word == "(" and not _harmless_before(words, at, names):
            return False
        if word in ("from", "join") and not _catalogue_at(words, at + 1, names):
            return False
    return not _comma_joins(words, names)


def _common_tables(words: Sequence[str]) -> set[str]:
    """Return the names that WITH gives to its queries, at any depth."""
    padded = [*words, "", ""]
    names = set()
    for word, second, third in zip(padded, padded[1:], padded[2:], strict=False):
        if word == "with":
            names.add(third if second == "recursive" else second)
        elif second == "as" and third in _AFTER_AS:
            names.add(word)
    return names - {")"}


def _harmless_before(words: Sequence[str], at: int, names: set[str]) -> bool:
    """Say whether the parenthesis at this place calls nothing of the user's."""
    before = words[at - 1] if at else ""
    if not before or not (before[0].isalpha() or before[0] in '_"'):
        return True
    if at >= 2 and words[at - 2] == ".":
        return before in _HARMLESS and words[max(at - 3, 0)] == "pg_catalog"
    return before in _HARMLESS or before in _NOT_NAMES or before in names


def _catalogue_at(words: Sequence[str], at: int, names: set[str]) -> bool:
    name = words[at] if at < len(words) else ""
    return name in _NOT_NAMES or name in names or name.startswith("pg_") or name in (
        "information_schema", "unnest", "generate_series", "current_schemas")  # fmt: skip


def _comma_joins(words: Sequence[str], names: set[str]) -> bool:
    """Say whether a FROM list goes on after a comma with something that is not of the catalogue."""
    in_from = [False]
    for at, word in enumerate(words):
        if word == "(":
            in_from.append(False)
        elif word == ")" and len(in_from) > 1:
            in_from.pop()
        elif word in _CLAUSES:
            in_from[-1] = word == "from"
        elif word == "," and in_from[-1] and not _catalogue_at(words, at + 1, names):
            return True
    return False
