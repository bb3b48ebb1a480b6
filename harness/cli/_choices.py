"""From names on the command line to the things they stand for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from harness.content import content
from harness.driving.scenarios import load_scenarios

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.driving.scenarios import ScenarioFile

OWN_FOLDER = Path("scenarios")


def known_scenarios(folders: Sequence[Path]) -> Mapping[str, ScenarioFile]:
    """Return the shipped scenarios and those of the folders (of ``./scenarios``, when none is named).

    :raises UsageError: when a folder or file cannot be read, or two scenarios have one name.
    """
    own = folders or ([OWN_FOLDER] if OWN_FOLDER.is_dir() else [])
    return load_scenarios([content("scenarios"), *own])
