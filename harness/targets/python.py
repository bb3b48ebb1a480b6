"""A Python object of yours: ``module:object``, where the object speaks ``harness.model.Target``.

The protocol is three small interfaces, described in ``harness/model/target.py`` and in
``docs/targets.md``; no base class is needed. The module is looked up from the current folder first. A class
or a function without parameters is called to make the object.
"""

from __future__ import annotations

import importlib
import inspect
import re
import sys
from pathlib import Path
from typing import Any

from harness.errors import UsageError
from harness.model import Feature, Target
from harness.targets._kind import Kind

_SPEC = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")


def _make(spec: str) -> Target:
    module_name, _, attribute = spec.partition(":")
    return target_of(spec, _find(spec, _import(module_name), attribute))


def target_of(spec: str, thing: Any) -> Target:
    """Return the target that an object is, or that a class or function without parameters makes.

    :param spec: what messages call it.
    :raises UsageError: when it cannot be made, or does not speak the protocol.
    """
    if inspect.isclass(thing) or inspect.isfunction(thing):
        try:
            thing = thing()
        except (Exception, SystemExit) as error:
            raise UsageError(f"Target {spec!r} cannot be made: {type(error).__name__}: {error}") from error
    return _checked(spec, thing)


def _import(name: str) -> Any:
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(f"{error.name}.")):
            raise UsageError(f"No module named {name!r}; looked in {here} and on sys.path.") from error
        raise UsageError(f"Module {name!r} cannot be imported: {error}") from error
    except (Exception, SystemExit) as error:
        raise UsageError(f"Module {name!r} cannot be imported: {type(error).__name__}: {error}") from error


def _find(spec: str, module: Any, path: str) -> Any:
    thing = module
    for part in path.split("."):
        if not hasattr(thing, part):
            public = [name for name in vars(module) if not name.startswith("_")]
            raise UsageError(f"Target {spec!r}: no {part!r} there. Public names: {', '.join(public)}.")
        thing = getattr(thing, part)
    return thing


def _checked(spec: str, thing: Any) -> Target:
    """Return the object if it speaks the protocol; say what is missing otherwise."""
    missing = [name for name in ("name", "supports", "install", "start") if not hasattr(thing, name)]
    if missing:
        raise UsageError(
            f"Target {spec!r} is a {type(thing).__name__} without {', '.join(missing)}: "
            "see harness.model.Target for what it must have."
        )
    try:
        features = {Feature(feature) for feature in thing.supports}
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"Target {spec!r}: supports must be a set of features ({error}). Valid: {', '.join(Feature)}."
        ) from None
    if Feature.RESERVE not in features:
        raise UsageError(f"Target {spec!r} does not support reserve, so there is nothing to judge.")
    target: Target = thing
    return target


KIND = Kind(
    name="python",
    usage="module:object",
    doc=__doc__ or "",
    claims=lambda spec: _SPEC.fullmatch(spec) is not None and not spec.startswith("specimen:"),
    make=_make,
)
