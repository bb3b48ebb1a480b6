"""The settings table of ``docs/settings.md``, made from the settings themselves.

``python -m harness.cli._reference docs/settings.md`` writes it anew; a test fails while it is stale.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli._options import DURATION, PAUSE, SETTINGS, SHARE

if TYPE_CHECKING:
    from harness.cli._options import Setting

BEGIN = "<!-- made by: python -m harness.cli._reference docs/settings.md -->"
END = "<!-- end of what is made -->"


def settings_table() -> str:
    """Return one row for each setting: its flag, variable, key, type, default and meaning."""
    rows = [_row(setting) for setting in SETTINGS.values()]
    head = ("flag", "environment", "key in a file", "type", "default", "meaning")
    return "\n".join(_line(cells) for cells in (head, ("---",) * len(head), *rows))


def with_table(page: str) -> str:
    """Return the page with the table between its two marks made anew.

    :raises ValueError: when the page has no such marks.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError("the page has no place for the settings table")
    return f"{before}{BEGIN}\n\n{settings_table()}\n\n{END}{after}"


def _row(setting: Setting) -> tuple[str, ...]:
    flags = ", ".join(f"`{flag}`" for flag in reversed(setting.flags))
    key = f"`{setting.key}`"
    return flags, f"`{setting.variable}`", key, _type(setting), _default(setting), setting.help


def _type(setting: Setting) -> str:
    if isinstance(setting.type, click.Path):
        kind = "folder" if setting.type.dir_okay else "file"
    elif isinstance(setting.type, click.Choice):
        kind = ", ".join(f"`{choice}`" for choice in setting.type.choices)
    elif isinstance(setting.type, click.IntRange):
        kind = f"whole number from {setting.type.min}"
    elif isinstance(setting.type, click.FloatRange):
        kind = f"number above {setting.type.min:g}"
    else:
        kind = {click.BOOL: "true or false", DURATION: "duration", PAUSE: "pause", SHARE: "percentage"}.get(
            setting.type, "text"
        )
    return f"one or more: {kind}" if setting.multiple else kind


def _default(setting: Setting) -> str:
    if setting.shown:
        return setting.shown
    return f"`{str(setting.default).lower() if setting.type is click.BOOL else setting.default}`"


def _line(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    file = Path(sys.argv[1])
    file.write_text(with_table(file.read_text(encoding="utf-8")), encoding="utf-8")
