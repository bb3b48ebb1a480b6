"""Scenario files: found by path, one scenario each.

A scenario file is a Python file whose name is the scenario's name, whose docstring is its documentation
page, and which defines ``scenario(buyers: int = N) -> Scenario``: a function of the size of the crowd, so
that one file serves a burst of many and an exhaustive search over two.
"""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from harness.catalogue import unknown_name
from harness.errors import UsageError
from harness.model import Scenario

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path
    from types import ModuleType


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenarioFile:
    """A scenario that can be made for a crowd of any size."""

    name: str
    doc: str
    path: Path
    buyers: int
    """How many buyers it has unless somebody says otherwise."""
    make: Callable[[int], Scenario]

    @property
    def title(self) -> str:
        """The first line of its page."""
        return self.doc.strip().partition("\n")[0]

    def build(self, buyers: int | None = None) -> Scenario:
        """Return the scenario for that many buyers.

        :raises UsageError: when the file refuses that number, or what it returns is not a scenario.
        """
        try:
            made = self.make(self.buyers if buyers is None else buyers)
        except (Exception, SystemExit) as error:
            raise UsageError(f"Scenario {self.name!r} ({self.path}): {_said(error)}") from error
        if not isinstance(made, Scenario):
            raise UsageError(
                f"Scenario {self.name!r} ({self.path}): scenario() returned a {type(made).__name__}, "
                "not a harness.model.Scenario."
            )
        return replace(made, name=self.name, doc=self.doc)


def load_scenarios(folders: Iterable[Path]) -> Mapping[str, ScenarioFile]:
    """Return the scenarios of these folders by name.

    A file that is the same in two folders, byte for byte, is one scenario.

    :raises UsageError: when a folder is missing, a file cannot be read as a scenario, or two different
        files have one name.
    """
    found: dict[str, ScenarioFile] = {}
    for folder in folders:
        if not folder.is_dir():
            raise UsageError(f"No scenario folder at {folder}.")
        for path in sorted(folder.glob("*.py")):
            if path.name.startswith("_"):
                continue
            known = found.get(path.stem)
            if known is None:
                found[path.stem] = _load(path)
            elif known.path.read_bytes() != path.read_bytes():
                raise UsageError(
                    f"Two scenarios are named {path.stem!r}: {known.path} and {path}. Rename one of them."
                )
    return dict(sorted(found.items()))


def choose_scenarios(known: Mapping[str, ScenarioFile], names: Iterable[str]) -> tuple[ScenarioFile, ...]:
    """Return the scenarios of these names, or all when there are none.

    :raises UsageError: when a name is unknown; the message lists the valid ones.
    """
    chosen = []
    for name in dict.fromkeys(names):
        if name not in known:
            raise unknown_name("scenario", name, known)
        chosen.append(known[name])
    return tuple(chosen) or tuple(known.values())


def _load(path: Path) -> ScenarioFile:
    module = _import(path)
    make = getattr(module, "scenario", None)
    if not callable(make):
        raise UsageError(f"{path} defines no function scenario(buyers: int = N) -> Scenario.")
    default = _default_buyers(path, make)
    return ScenarioFile(name=path.stem, doc=module.__doc__ or path.stem, path=path, buyers=default, make=make)


def _import(path: Path) -> ModuleType:
    """Import a file under a name of its own, so that it cannot hide or be hidden by another module."""
    digest = hashlib.sha256(str(path).encode()).hexdigest()[:12]
    name = f"oversell_scenario_{digest}_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise UsageError(f"{path} is not a Python file.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        raise UsageError(f"{path}, line {error.lineno}: {error.msg}.") from error
    except (Exception, SystemExit) as error:
        raise UsageError(f"{path} cannot be imported: {_said(error)}") from error
    return module


def _default_buyers(path: Path, make: Callable[[int], Scenario]) -> int:
    try:
        parameters = list(inspect.signature(make).parameters.values())
    except ValueError:  # something built in, which has none
        parameters = []
    if len(parameters) != 1 or not isinstance(parameters[0].default, int):
        raise UsageError(f"{path}: scenario() takes one argument with a default: buyers: int = N.")
    default: int = parameters[0].default
    return default


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
