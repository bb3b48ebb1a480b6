"""What a gate asks for: its settings, and the names of its scenarios and engines.

This happens while tests are collected, so it imports nothing that connects anywhere, and starts nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from harness.catalogue import unknown_name
from harness.cli._choices import known_scenarios
from harness.cli._gate import OUTPUT
from harness.cli._options import SettingOption
from harness.cli._pages import entries
from harness.cli.check import COMMAND
from harness.driving.scenarios import choose_scenarios
from harness.errors import UsageError
from harness.laws import LAWS
from harness.targets import resolve
from harness.targets.python import KIND as PYTHON
from harness.targets.python import target_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from harness.model import Target
    from harness.testing import Gate

_NOT_FOR_TESTS = set(OUTPUT) - {"scenarios", "runs"}
"""How the command prints; pytest has options of its own for that."""


def pairs(gate: Gate) -> list[tuple[str, str]]:
    """Return scenario and engine of each of a gate's checks, by name.

    :raises UsageError: when anything that the gate names does not exist or cannot be.
    """
    chosen = settings_of(gate)
    scenarios = choose_scenarios(known_scenarios(chosen["scenarios"]), chosen["scenario"])
    engines = _engines(chosen["engine"])
    for names in (chosen["law"], *(file.build(chosen["buyers"]).laws for file in scenarios)):
        for name in names or ():
            LAWS.get(name)
    if isinstance(gate.target, str | None):
        _look_at(chosen["target"])
    else:
        own_target(gate)
    return [(file.name, engine) for file in scenarios for engine in engines]


def settings_of(gate: Gate) -> dict[str, Any]:
    """Return every setting of ``oversell check``: the gate's own, else from environment, file or default.

    :raises UsageError: when one of them is not valid.
    """
    given = dict(gate.settings)
    if isinstance(gate.target, str):
        given["target"] = gate.target
    try:
        return COMMAND.make_context("gate()", list(_flags(given))).params
    except click.ClickException as error:
        raise UsageError(f"{error.format_message().rstrip('.')}.") from None


def own_target(gate: Gate) -> tuple[str, Target]:
    """Return the target that a gate was given as no word, and the word for it; an object has none.

    :raises UsageError: when it cannot be made, or is no target.
    """
    name = getattr(gate.target, "__qualname__", "")
    spec = f"{gate.target.__module__}:{name}" if name else ""
    return spec, target_of(spec or type(gate.target).__name__, gate.target)


def _look_at(spec: str) -> None:
    """Refuse a target that there is not, without importing more than the module that it names."""
    kind, _, name = spec.partition(":")
    if PYTHON.claims(spec):
        PYTHON.make(spec)
    elif kind == "specimen" and name not in entries("specimens"):
        raise unknown_name("specimen", name, entries("specimens"))
    elif kind not in entries("targets"):
        resolve(spec)


def _engines(names: tuple[str, ...]) -> list[str]:
    known = entries("engines")
    for name in names:
        if name not in known:
            raise unknown_name("engine", name, known)
    return list(dict.fromkeys(names)) or list(known)


def _flags(given: Mapping[str, object]) -> Iterator[str]:
    """Yield the words that say this on a command line."""
    valid = {each.setting.name for each in COMMAND.params if isinstance(each, SettingOption)} - _NOT_FOR_TESTS
    for key, value in given.items():
        name = key.replace("_", "-")
        if name not in valid:
            raise unknown_name("setting", key, valid)
        if isinstance(value, bool):
            yield f"--{'' if value else 'no-'}{name}"
        else:
            for each in value if isinstance(value, list | tuple) else [value]:
                yield f"--{name}={each}"
