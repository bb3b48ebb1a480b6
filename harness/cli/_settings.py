"""Settings files: ``oversell.toml``, or ``[tool.oversell]`` in ``pyproject.toml``.

They are looked for in the current folder and then in its parents, up to the root of the repository (the
first folder with a ``.git``); outside of a repository only in the current folder. The nearest folder that
has settings counts, and only that one. Two files of one folder that both have settings contradict each
other, which is an error. A wrong key would silently be no setting at all, so that is an error as well.
"""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.catalogue import unknown_name
from harness.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from harness.cli._options import Setting

_PREFIX = "OVERSELL_"
_NOT_SETTINGS = "OVERSELL_TEST_"
"""The test suite's own variables."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What one settings file says, checked, its relative paths made absolute."""

    path: Path | None = None
    values: Mapping[str, Any] = field(default_factory=dict)


def settings_of(folder: Path, valid: Mapping[str, Setting]) -> Settings:
    """Return the settings that apply in ``folder``.

    :raises UsageError: for a file that cannot be read, two files that contradict each other, a key that
        is not valid, a value of the wrong type, or an ``OVERSELL_…`` variable that sets nothing.
    """
    _refuse_unknown_variables(valid.values())
    for candidate in _folders(folder.absolute()):
        found = [(path, table) for path, table in _tables(candidate) if table is not None]
        if len(found) > 1:
            names = " and ".join(str(path) for path, _ in found)
            raise UsageError(f"Both {names} have settings. Keep one of them.")
        if found:
            path, table = found[0]
            return Settings(path, dict(_read(path, table, {each.key: each for each in valid.values()})))
    return Settings()


def _folders(start: Path) -> Iterator[Path]:
    """Yield the folder and its parents up to the repository's root; only itself outside of one."""
    line = (start, *start.parents)
    root = next((folder for folder in line if (folder / ".git").exists()), start)
    for folder in line:
        yield folder
        if folder == root:
            return


def _tables(folder: Path) -> Iterator[tuple[Path, dict[str, Any] | None]]:
    own, shared = folder / "oversell.toml", folder / "pyproject.toml"
    yield own, _load(own)
    tool = (_load(shared) or {}).get("tool", {})
    table = tool.get("oversell") if isinstance(tool, dict) else None
    if table is not None and not isinstance(table, dict):
        raise UsageError(f"{shared}, key tool.oversell: must be a table.")
    yield shared, table


def _load(path: Path) -> dict[str, Any] | None:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not valid TOML: {error}.") from None
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.") from None


def _read(path: Path, table: dict[str, Any], valid: Mapping[str, Setting]) -> Iterator[tuple[str, Any]]:
    """Yield name and value of each setting of a file.

    :param valid: the settings there are, by key.
    """
    tables = {setting.table for setting in valid.values()} - {""}
    for key, value in table.items():
        if key in tables and not isinstance(value, dict):
            raise UsageError(f"{path}, key {key}: must be a table.")
        inside = {f"{key}.{name}": one for name, one in value.items()} if key in tables else {key: value}
        for full, one in inside.items():
            if full not in valid:
                raise UsageError(f"{path}: {_unknown(full, valid)}")
            yield valid[full].name, _checked(path, valid[full], one)


def _unknown(key: str, valid: Mapping[str, Setting]) -> str:
    for setting in valid.values():
        if setting.table and setting.name == key:
            return (
                f"{key} does not stand for itself: it belongs to the table {setting.table} ({setting.key})."
            )
    return str(unknown_name("setting", key, valid))


def _checked(path: Path, setting: Setting, value: Any) -> Any:
    key = setting.key
    values = value if setting.multiple and isinstance(value, list) else [value]
    if not all(_is_of(setting.type, one) for one in values):
        wanted = _wanted(setting)
        raise UsageError(f"{path}, key {key}: must be {wanted}, not {value!r}.")
    if isinstance(setting.type, click.Path):
        values = [path.parent / one for one in values]
    return values if setting.multiple else values[0]


def _is_of(kind: click.ParamType[Any], value: Any) -> bool:
    """TOML has types of its own: a quoted number is not a number."""
    if kind is click.BOOL:
        return isinstance(value, bool)
    if isinstance(kind, click.IntRange):
        return isinstance(value, int) and not isinstance(value, bool)
    if isinstance(kind, click.FloatRange):
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    return isinstance(value, str)


def _wanted(setting: Setting) -> str:
    if setting.type is click.BOOL:
        return "true or false"
    if isinstance(setting.type, click.IntRange):
        return "a whole number"
    if isinstance(setting.type, click.FloatRange):
        return "a number"
    return "a string or a list of strings" if setting.multiple else "a string"


def _refuse_unknown_variables(valid: Iterable[Setting]) -> None:
    names = {setting.variable for setting in valid}
    meant = [name for name in os.environ if name.startswith(_PREFIX) and not name.startswith(_NOT_SETTINGS)]
    unknown = sorted(name for name in meant if name not in names)
    if unknown:
        raise UsageError(f"{unknown_name('environment setting', unknown[0], names)} Unset or rename it.")
