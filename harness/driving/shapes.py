"""The shapes of what a target hands over. Nothing that is not of them gets to the laws.

A target is written by somebody else, perhaps without a type checker. A number where a text belongs does not
only crash: an id that is 17 in the answer and "17" in the books looks like a sale that was lost.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.model import Answer, Books, Entry, Outcome, Stock

if TYPE_CHECKING:
    from collections.abc import Mapping

_TEXT, _NUMBER = (str,), (int,)
_MAYBE_TEXT, _MAYBE_NUMBER = (str, type(None)), (int, type(None))
_WORDS = {str: "a text", int: "a whole number", type(None): "None", Outcome: "an Outcome", tuple: "a tuple"}
_FIELDS: Mapping[type, Mapping[str, tuple[type, ...]]] = {
    Answer: {
        "outcome": (Outcome,),
        "reservation": _MAYBE_TEXT,
        "remaining": _MAYBE_NUMBER,
        "sold": _MAYBE_NUMBER,
        "group": (tuple,),
        "detail": _TEXT,
    },
    Stock: {
        "ticket": _TEXT,
        "initial": _NUMBER,
        "remaining": _MAYBE_NUMBER,
        "sold": _MAYBE_NUMBER,
        "held": _NUMBER,
    },
    Entry: {"ticket": _TEXT, "person": _TEXT, "quantity": _NUMBER, "reservation": _MAYBE_TEXT},
}


def fault_of_answer(answer: object) -> str | None:
    """Say what is wrong with the shape of an answer; ``None`` when nothing is."""
    if not isinstance(answer, Answer):
        return f"the target answered {answer!r}, which is no Answer"
    if fault := _fault("the target's answer", answer, Answer):
        return fault
    if not all(isinstance(name, str) for name in answer.group):
        return f"the target's answer has group={answer.group!r}, where texts belong"
    return None


def fault_of_books(books: object) -> str | None:
    """Say what is wrong with the shape of books; ``None`` when nothing is."""
    if not isinstance(books, Books):
        return f"the target's books are a {type(books).__name__}, not a Books"
    parts = {"stock": (books.stock, Stock)} | {
        name: (rows, Entry)
        for name in ("entries", "holds", "waiting", "refunds")
        if (rows := getattr(books, name)) is not None
    }
    for name, (things, kind) in parts.items():
        if not isinstance(things, tuple) or not all(isinstance(thing, kind) for thing in things):
            return f"the {name} in the target's books must be a tuple of {kind.__name__}"
        for thing in things:
            if fault := _fault(f"a row of {name} in the target's books", thing, kind):
                return fault
    return None


def _fault(what: str, thing: object, kind: type) -> str | None:
    for name, kinds in _FIELDS[kind].items():
        value = getattr(thing, name)
        # True is a whole number to Python, and to nobody else.
        if not isinstance(value, kinds) or isinstance(value, bool):
            belongs = " or ".join(_WORDS[kind] for kind in kinds)
            return f"{what} has {name}={value!r}, where {belongs} belongs"[:200]
    return None
