"""Locust is told what it must know, and nothing more."""

from __future__ import annotations

import importlib.metadata
import os
from typing import TYPE_CHECKING

import pytest

from harness.errors import UsageError
from harness.load.plan import LoadSettings
from harness.swarming.launching import environment, launched, require_locust
from tests.cli.commandline import carrying

if TYPE_CHECKING:
    from pathlib import Path

SECRETS = {
    "OVERSELL_DATABASE": "postgresql://somebody:secret@db/shop",
    "SHOP_URL": "postgres://somebody:secret@db/shop",
    "PGPASSWORD": "secret",
    "DATABASE_URL": "secret",
    "LOCUST_MODE_WORKER": "1",
}


def test_no_database_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor anything that would make Locust something else than it is told to be; the rest is."""
    for name, value in {**SECRETS, "SHOP_COLOUR": "green"}.items():
        monkeypatch.setenv(name, value)
    passed = environment()
    assert passed["SHOP_COLOUR"] == "green"
    assert not set(SECRETS) & set(passed)
    assert not any("secret" in value for value in passed.values())


@pytest.mark.parametrize(
    ("version", "said"), [("2.39.1", "2.39.1 is installed"), (None, "none is installed")]
)
def test_a_locust_that_is_missing_or_too_old_is_said_to_be(
    version: str | None, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the way out, and before anything is started."""

    def look(name: str) -> str:
        if version is None:
            raise importlib.metadata.PackageNotFoundError(name)
        return version

    require_locust()
    monkeypatch.setattr("importlib.metadata.version", look)
    with pytest.raises(UsageError, match=f"2.40 or newer, and {said}.*pip install"):
        require_locust()


async def test_processes_end_with_the_block_whatever_they_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A master that waits for workers who never come, and workers that would wait for their master."""
    mark = f"LAUNCHED_{os.getpid()}"
    monkeypatch.setenv(mark, "1")
    load = LoadSettings(users=2, workers=2)
    async with launched(
        load, host="http://127.0.0.1:9", link="9:none", folder=tmp_path, patience=1
    ) as locusts:
        assert [process.name for process in locusts.processes] == ["locust", "worker-1", "worker-2"]
        assert len(carrying(mark)) >= 3
    assert not [line for line in carrying(mark).values() if "locust" in line]
    assert all(process.log.parent == tmp_path and process.log.is_file() for process in locusts.processes)
