"""Writes the reference pages that are made from the code, so that they cannot go stale.

``python docs/generate.py`` writes every page of :data:`PAGES` anew. A test fails while one differs from what
the code says. To add a page, write a function that returns its text and add it to :data:`PAGES`.
"""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import TYPE_CHECKING

from harness.laws import LAWS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from harness.laws import Law

FOLDER = Path(__file__).parent
NOTE = "<!-- Made from the code by docs/generate.py; change it there. -->"


def laws() -> str:
    """Return the page of the laws: a table of all, then each one's own words."""
    every = LAWS.entries.values()
    intro = (
        "A law is a promise that a ticketing system must keep, judged on what a run left behind: the history "
        "of operations with their answers, the committed states seen on the way, and the books at the end. A "
        "law that cannot be judged on some evidence is listed as *not judged*, with the reason. Choose laws "
        "with `--law NAME`."
    )
    table = _table(("law", "what it promises"), ((_link(law), law.title) for law in every))
    return _page("Laws", intro, table, *(section for law in every for section in _section(law)))


PAGES: Mapping[str, Callable[[], str]] = {"laws.md": laws}
"""Every generated page: its file, and what makes its text."""


def _link(law: Law) -> str:
    return f"[`{law.name}`](#{law.name})"


def _section(law: Law) -> tuple[str, str]:
    return f"## {law.name}", inspect.cleandoc(law.doc)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = (head, ("---",) * len(head), *rows)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _page(title: str, *parts: str) -> str:
    return "\n\n".join((NOTE, f"# {title}", *parts)) + "\n"


if __name__ == "__main__":
    for name, text in PAGES.items():
        (FOLDER / name).write_text(text(), encoding="utf-8")
