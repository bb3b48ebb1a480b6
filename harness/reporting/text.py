"""Text from targets, made safe to show: one line, no control characters, nothing that cannot be encoded."""

from __future__ import annotations

import unicodedata

_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
# They turn the reading direction, so that a line reads differently from what it says.
_DIRECTION = frozenset("\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def one_line(text: str) -> str:
    """Return the text on one line, whatever a terminal or an XML parser would choke on made visible.

    White space runs become one space; control characters, lone surrogates, non-characters and marks that
    turn the reading direction become U+FFFD.
    """
    return "".join(map(_visible, " ".join(text.split())))


def cut(text: str, limit: int) -> str:
    """Return :func:`one_line` of the text, with an ellipsis where it is longer than ``limit`` characters."""
    line = one_line(text)
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def _visible(character: str) -> str:
    unsafe = (
        unicodedata.category(character) in ("Cc", "Cs")
        or character in _DIRECTION
        or ord(character) & 0xFFFE == 0xFFFE
        or 0xFDD0 <= ord(character) <= 0xFDEF
    )
    return _REPLACEMENT if unsafe else character
