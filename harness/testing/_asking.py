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
    target = object_of(gate, chosen)
    if target is None:
        _look_at(chosen["target"])
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


def object_of(gate: Gate, chosen: Mapping[str, Any]) -> Target | None:
    """Return the target where it is a Python object: the gate's own, or one that is named module:object.

    :raises UsageError: when there is no such object, or it is no target.
    """
    if isinstance(gate.target, str | None):
        return PYTHON.make(chosen["target"]) if PYTHON.claims(chosen["target"]) else None
    return target_of(getattr(gate.target, "__name__", type(gate.target).__name__), gate.target)


def _look_at(spec: str) -> None:
    """Refuse a target that there is not, without importing those that there are."""
    kind, _, name = spec.partition(":")
    if kind == "specimen" and name not in entries("specimens"):
        raise unknown_name("specimen", name, entries("specimens"))
    if kind not in entries("targets"):
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
