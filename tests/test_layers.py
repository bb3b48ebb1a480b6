"""Imports go down only, as the table in docs/architecture.md says, and the pure rooms stay pure.

The table is read from the page, so that the page cannot say one thing and the code another. Imports are
read from the syntax tree: those inside functions and under ``TYPE_CHECKING`` count too, since a reader
follows them just the same.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "architecture.md"
FILES = sorted((ROOT / "harness").rglob("*.py"))

PURE = {"model", "laws", "load", "contract"}
PURE_MODULES = {
    "__future__",
    "bisect",
    "collections",
    "dataclasses",
    "enum",
    "functools",
    "harness.catalogue",
    "harness.errors",
    "harness.laws",
    "harness.contract",
    "harness.load",
    "harness.model",
    "heapq",
    "itertools",
    "json",
    "msgpack",
    "operator",
    "struct",
    "typing",
    "urllib.parse",
}
"""What a pure room may import when it runs. Anything that is not listed is taken to do I/O."""
IMPURE_CALLS = {"open", "print", "input", "exec", "eval", "__import__", "breakpoint"}


def name_of(path: Path) -> str:
    """Return the dotted name of a module of the package."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room_of(module: str) -> str:
    """Return the room a module lies in; running the package is running the command line."""
    parts = module.split(".")
    return parts[1].replace("__main__", "cli") if len(parts) > 1 else ""


def rows(page: str) -> Mapping[str, set[str]]:
    """Return which rooms each room may import by name, as the table says."""
    table: dict[str, set[str]] = {}
    for line in page.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 3 and cells[0].startswith("`"):
            named = set(table) if cells[2] == "all" else set(re.findall(r"`(\w+)`", cells[2]))
            table |= dict.fromkeys(re.findall(r"`(\w+)`", cells[0]), named)
    return table


def below(table: Mapping[str, set[str]], room: str) -> set[str]:
    """Return the rooms that the table names for a room, and all that is named for those."""
    found: set[str] = set()
    new = set(table.get(room, ()))
    while new:
        found |= new
        new = {name for known in new for name in table[known]} - found
    return found


def allowed(table: Mapping[str, set[str]], room: str) -> set[str]:
    """Return what a room may import: itself, what lies below it, and the ground that all stand on."""
    ground = {name for name, named in table.items() if not named}
    return {room} | below(table, room) | ground


def imported(tree: ast.AST, module: str, *, package: bool = False) -> Iterator[str]:
    """Yield the dotted name of everything a module imports, wherever in the module it does so."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = module.split(".")[: len(module.split(".")) - node.level + package] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield from (f"{base}.{alias.name}" for alias in node.names)


def without_type_checking(tree: ast.AST) -> ast.AST:
    """Return the tree without what only a type checker reads."""

    class Remover(ast.NodeTransformer):
        def visit_If(self, node: ast.If) -> ast.AST | list[ast.stmt]:
            self.generic_visit(node)
            guarded = isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
            return node.orelse if guarded else node

    return Remover().visit(tree)  # type: ignore[no-any-return]  # typeshed says Any; a tree goes in and comes out


def upward(source: str, module: str, table: Mapping[str, set[str]], *, package: bool = False) -> set[str]:
    """Return what a module imports from rooms it must not know; the package itself must know none."""
    unknown = set(table) - (allowed(table, room_of(module)) if room_of(module) else set())
    names = imported(ast.parse(source), module, package=package)
    return {name for name in names if name.startswith("harness.") and room_of(name) in unknown}


def impure(source: str, module: str) -> set[str]:
    """Return what a module imports or calls that reads, writes or waits."""
    tree = without_type_checking(ast.parse(source))
    names = {
        name
        for name in imported(tree, module)
        if not any(name == pure or name.startswith(f"{pure}.") for pure in PURE_MODULES)
    }
    calls = {
        node.func.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    waits = {type(node).__name__ for node in ast.walk(tree) if isinstance(node, (ast.Await, ast.AsyncFor))}
    return names | (calls & IMPURE_CALLS) | waits


@pytest.fixture(scope="module")
def table() -> Mapping[str, set[str]]:
    """The rules on the page."""
    return rows(PAGE.read_text(encoding="utf-8"))


def test_every_room_is_on_the_page(table: Mapping[str, set[str]]) -> None:
    """A room that nobody described has no rules; a row for a room that is gone misleads."""
    rooms = {room_of(name_of(path)) for path in FILES} - {""}
    assert rooms == set(table)


def test_the_rooms_lie_on_top_of_each_other(table: Mapping[str, set[str]]) -> None:
    """No room is below itself: no two may import each other, not even by way of others."""
    assert [room for room in table if room in below(table, room)] == []


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_imports_go_down_only(path: Path, table: Mapping[str, set[str]]) -> None:
    """What lies below never knows what stands on it."""
    source, package = path.read_text(encoding="utf-8"), path.name == "__init__.py"
    assert upward(source, name_of(path), table, package=package) == set()


@pytest.mark.parametrize("path", [p for p in FILES if room_of(name_of(p)) in PURE], ids=name_of)
def test_model_and_laws_do_no_io(path: Path) -> None:
    """They only compute, so that they can be tested with thousands of made-up histories."""
    assert impure(path.read_text(encoding="utf-8"), name_of(path)) == set()


@pytest.mark.parametrize(
    "planted",
    [
        "import harness.engines",
        "import harness.engines.burst as burst",
        "from harness.engines import ENGINES",
        "from harness import engines",
        "from ..engines import ENGINES",
        "from .. import engines",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from harness.engines import Engine",
        "def later():\n    from harness.engines import ENGINES",
        "try:\n    import harness.engines\nexcept ImportError:\n    pass",
    ],
)
def test_a_planted_upward_import_is_caught(planted: str, table: Mapping[str, set[str]]) -> None:
    """However it is written, wherever in the file it hides."""
    assert any(name.startswith("harness.engines") for name in upward(planted, "harness.laws.bad", table))
    assert upward(planted, "harness.cli.good", table) == set()


@pytest.mark.parametrize(
    "planted",
    [
        "import asyncio",
        "import socket",
        "import subprocess",
        "import asyncpg",
        "import os.path",
        "from pathlib import Path",
        "from harness.content import content",
        "def later():\n    import time",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    pass\nelse:\n    import random",
        "def judge(evidence):\n    return open(evidence)",
        "async def judge(evidence):\n    await evidence",
    ],
)
def test_planted_io_is_caught(planted: str) -> None:
    """A law that reads a file, looks at the clock or waits is found out."""
    assert impure(planted, "harness.laws.bad")


def test_what_only_a_type_checker_reads_is_no_io() -> None:
    """Naming a type is not using it."""
    guarded = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from pathlib import Path"
    assert impure(guarded, "harness.laws.good") == set()
