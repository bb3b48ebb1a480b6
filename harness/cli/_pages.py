"""First lines of docstrings, read from the source: importing everything would make help and list slow."""

from __future__ import annotations

import ast
from pathlib import Path

_HARNESS = Path(__file__).parent.parent


def entries(*package: str) -> dict[str, str]:
    """Return the public modules of a package of ours by name, each with its docstring's first line.

    :param package: the way to it, below ``harness``.
    """
    files = sorted(_HARNESS.joinpath(*package).glob("*.py"))
    return {file.stem: _first_line(file) for file in files if not file.name.startswith("_")}


def _first_line(file: Path) -> str:
    docstring = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    return docstring.partition("\n")[0]
