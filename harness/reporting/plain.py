"""Frozen dataclasses of the model as JSON-ready data, and back again.

Both directions read the fields off the model, so a field added there is written and read without a change
here. Unknown fields are ignored and missing ones take their default, so that files outlive versions.
"""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from enum import Enum
from typing import Any, Union, get_args, get_origin, get_type_hints

from harness import model
from harness.model.operations import operation_from_dict, operation_to_dict
from harness.reporting.text import without_passwords

# The model imports these for the type checker only; the names are looked up here instead.
_NAMES = {"Mapping": Mapping, **vars(model)}
_OPERATIONS = get_args(model.Operation)
_JSON_NAMES = {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "null"}


def to_plain(value: Any) -> Any:
    """Return a value of the model as dicts, lists, texts and numbers; sets come out sorted, no passwords."""
    if isinstance(value, _OPERATIONS):
        return {name: to_plain(item) for name, item in operation_to_dict(value).items()}
    if is_dataclass(value):
        return {field.name: to_plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, (set, frozenset)):
        return sorted(to_plain(item) for item in value)
    if isinstance(value, (tuple, list)):
        return [to_plain(item) for item in value]
    if isinstance(value, Enum):
        return value.value
    return without_passwords(value) if isinstance(value, str) else value


def from_plain(kind: Any, data: Any, where: str = "document") -> Any:
    """Return the value of type ``kind`` that :func:`to_plain` wrote.

    :param where: what an error message calls the place.
    :raises ValueError: when the data cannot be such a value; the message says where, and what was there.
    """
    origin = get_origin(kind)
    if kind == model.Operation:
        return operation_from_dict(_expect(dict, data, where))
    if origin in (Union, types.UnionType):
        return None if data is None else from_plain(get_args(kind)[0], data, where)
    if origin in (tuple, frozenset):
        items = _expect(list, data, where)
        return origin(from_plain(get_args(kind)[0], item, f"{where}[{at}]") for at, item in enumerate(items))
    if origin is Mapping:
        pairs = _expect(dict, data, where)
        return {key: from_plain(get_args(kind)[1], item, f"{where}.{key}") for key, item in pairs.items()}
    if is_dataclass(kind):
        return _object(kind, _expect(dict, data, where), where)
    return _scalar(kind, data, where)


def _object(kind: Any, data: dict[str, Any], where: str) -> Any:
    hints = get_type_hints(kind, localns=_NAMES)
    missing = [field.name for field in fields(kind) if field.name not in data and _required(field)]
    if missing:
        raise ValueError(f"{where} has no {', '.join(missing)}")
    return kind(
        **{
            field.name: from_plain(hints[field.name], data[field.name], f"{where}.{field.name}")
            for field in fields(kind)
            if field.name in data
        }
    )


def _required(field: Field[Any]) -> bool:
    return field.default is MISSING and field.default_factory is MISSING


def _scalar(kind: Any, data: Any, where: str) -> Any:
    if issubclass(kind, Enum):
        valid = [member.value for member in kind]
        if data not in valid:
            raise ValueError(f"{where} is {data!r}; valid: {', '.join(valid)}")
        return kind(data)
    if kind is float and type(data) is int:
        return float(data)
    return _expect(kind, data, where)


def _expect(kind: type, data: Any, where: str) -> Any:
    # An exact comparison: for Python, true and false are whole numbers too.
    if type(data) is not kind:
        raise ValueError(f"{where} is {_json_name(type(data))}, not {_json_name(kind)}")
    return data


def _json_name(kind: type) -> str:
    return _JSON_NAMES.get(kind, "a number")
