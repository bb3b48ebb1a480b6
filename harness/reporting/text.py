"""Text from targets, made safe to show: one line, no control characters, nothing that cannot be encoded."""

from __future__ import annotations

import re

_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_CONTROLS = r"\x00-\x1f\x7f-\x9f"
# They turn the reading direction, so that a line reads differently from what it says.
_DIRECTION = r"\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069"
_SURROGATES = r"\ud800-\udfff"
_NON_CHARACTERS = r"\ufdd0-\ufdef" + "".join(rf"\U{plane:04x}fffe\U{plane:04x}ffff" for plane in range(17))
_UNSAFE = re.compile(f"[{_CONTROLS}{_DIRECTION}{_SURROGATES}{_NON_CHARACTERS}]")
_PASSWORDS = re.compile(r"(?i)(?P<before>\w://[^\s/:@]*:|\bpassword=)[^\s/@&;,'\"]+(?=(?P<at>@)?)")


def without_passwords(text: str) -> str:
    """Return the text with passwords in URLs and connection strings replaced.

    Whoever makes a message keeps secrets out of it; this is the second lock on that door, since an error
    message of somebody else's driver may hold a URL.
    """
    return _PASSWORDS.sub(_hide, text)


def one_line(text: str) -> str:
    """Return the text on one line, whatever a terminal or an XML parser would choke on made visible.

    White space runs become one space; control characters, lone surrogates, non-characters and marks that
    turn the reading direction become U+FFFD. Passwords are replaced.
    """
    return _UNSAFE.sub(_REPLACEMENT, " ".join(without_passwords(text).split()))


def cut(text: str, limit: int) -> str:
    """Return :func:`one_line` of the text, with an ellipsis where it is longer than ``limit`` characters."""
    line = one_line(text)
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def _hide(match: re.Match[str]) -> str:
    # "http://host:8080" has a colon too; only what stands before an @ is a password.
    is_password = match["at"] or match["before"].endswith("=")
    return f"{match['before']}***" if is_password else match.group()
