"""Swim lanes on a console: side by side where they fit, one under the other where they do not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.table import Table
from rich.text import Text

from harness.reporting.text import cut
from harness.reporting.words import counted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import RenderableType

    from harness.reporting.lanes import Lanes, Row

_WIDEST_LANE = 48
_NARROWEST_LANE = 14
_MOST_LINES = 4
"""Of one statement in one lane."""


def lanes_lines(lanes: Lanes, width: int) -> Iterable[RenderableType]:
    """Yield what shows a failure's steps on a console of that many columns."""
    abreast = lanes.abreast and _lane(lanes, width) >= _NARROWEST_LANE
    yield _abreast(lanes, width) if abreast else _stacked(lanes, width)
    if lanes.more:
        yield Text(f"and {counted(lanes.more, 'step')} more, in the failure's file")


def _lane(lanes: Lanes, width: int) -> int:
    """Return how wide one lane is: what is left beside the numbers and the lines between the lanes."""
    count = max(1, len(lanes.clients))
    return min(_WIDEST_LANE, (width - 5 - 3 * count) // count)


def _abreast(lanes: Lanes, width: int) -> Table:
    lane = _lane(lanes, width)
    table = _table()
    for client in lanes.clients:
        table.add_column(Text(cut(client, lane), "bold"), width=lane, overflow="fold")
    for row in lanes.rows:
        table.add_row(Text(str(row.number)), *(_cell(row, client, lane) for client in lanes.clients))
    table.add_row("", *(Text(cut(lanes.told.get(client, ""), 2 * lane), "bold") for client in lanes.clients))
    return table


def _stacked(lanes: Lanes, width: int) -> Table:
    lane = max(_NARROWEST_LANE, width - 30)
    table = _table()
    table.add_column("client", max_width=18, overflow="fold")
    table.add_column("step", overflow="fold")
    for row in lanes.rows:
        table.add_row(Text(str(row.number)), Text(row.client), _said(row, lane))
    for client in lanes.clients:
        if client in lanes.told:
            table.add_row("", Text(client), Text(lanes.told[client], "bold"))
    return table


def _table() -> Table:
    table = Table(box=box.MINIMAL, show_edge=False, padding=(0, 1), pad_edge=False)
    table.add_column("", justify="right", style="dim", width=4)
    return table


def _cell(row: Row, client: str, lane: int) -> Text:
    if client == row.client:
        return _said(row, lane)
    # Whoever waits is seen to wait through the rows of the others.
    return Text(":" if client in row.waiting else "", "dim")


def _said(row: Row, lane: int) -> Text:
    what, *rest = row.lines
    said = Text(cut(what, _MOST_LINES * lane))
    for line in rest:
        said.append(f"\n{line}", "bold red" if line.startswith(("<==", "ERROR")) else "yellow")
    return said
