"""A swarm whose processes must all be gone afterwards."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import pytest

from tests.engines.swarmed import Swarmed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from harness.postgres import Server


@pytest.fixture
def swarmed(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Swarmed]:
    """Checks whose processes must all be gone afterwards."""
    mark = f"SWARMED_{secrets.token_hex(6)}"
    monkeypatch.setenv(mark, "1")
    it = Swarmed(server, tmp_path, mark)
    yield it
    assert it.processes("locust") == []
