"""Reading a body, so that everything wrong with it is said at once and by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args, get_origin

import msgspec

from harness.service.errors import BadRequestError

if TYPE_CHECKING:
    from collections.abc import Iterable


def check_body(body: bytes, kind: type[msgspec.Struct]) -> None:
    """Make sure that a JSON body is a request of this kind.

    :raises BadRequestError: when it is no JSON object; or names every field that is missing or malformed.
    """
    try:
        msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # It stops at the first thing that is wrong; people are told all of them.
        problems = list(_problems(_read_object(body), kind))
        if problems:
            raise BadRequestError("; ".join(problems) + ".") from None


def _read_object(body: bytes) -> dict[str, object]:
    try:
        data = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise BadRequestError("The body is not valid JSON in UTF-8.") from None
    if not isinstance(data, dict):
        raise BadRequestError("The body must be a JSON object.")
    return data


def _problems(data: dict[str, object], kind: type[msgspec.Struct], where: str = "") -> Iterable[str]:
    for field in msgspec.structs.fields(kind):
        name = f"{where}{field.encode_name}"
        if field.encode_name not in data:
            if field.required:
                yield f"{name} is missing"
            continue
        value = data[field.encode_name]
        try:
            msgspec.convert(value, field.type)
        except msgspec.ValidationError:
            inner = list(_inner_problems(value, field.type, name))
            yield from inner or [f"{name} must be {_rule(field.type)}"]


def _inner_problems(value: object, hint: Any, name: str) -> Iterable[str]:
    """Yield what is wrong inside of the objects of a list, if that is what the field holds."""
    item = _item_of(hint)
    if item is None or not isinstance(value, list):
        return
    for number, each in enumerate(value):
        if isinstance(each, dict):
            yield from _problems(each, item, f"{name}[{number}].")
        else:
            yield f"{name}[{number}] must be an object"


def _item_of(hint: Any) -> type[msgspec.Struct] | None:
    """Return what the items of a field are, when they are objects of a kind of their own."""
    plain = get_args(hint)[0] if hasattr(hint, "__metadata__") else hint
    items = get_args(plain)
    if get_origin(plain) is list and isinstance(items[0], type) and issubclass(items[0], msgspec.Struct):
        return items[0]
    return None


def _rule(hint: object) -> str:
    """Return the description that stands in a field's type, optional or not."""
    for part in (hint, *get_args(hint)):
        for meta in getattr(part, "__metadata__", ()):
            return str(meta.description)
    raise TypeError(f"{hint} carries no description")
