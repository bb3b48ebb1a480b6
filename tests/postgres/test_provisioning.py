"""Choosing where to run, and running on machines that have little to offer."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from harness.errors import UsageError
from harness.postgres import connect, embedded, folders, provision
from harness.postgres.embedded import PACKAGE, installations

if TYPE_CHECKING:
    from harness.postgres import Server


async def test_without_any_postgres_everything_that_was_tried_is_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No Docker, no embedded server, no URL: one line with each, why, and the ways out."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/docker.sock")
    monkeypatch.setitem(sys.modules, PACKAGE, None)
    with pytest.raises(UsageError) as caught:
        async with provision("auto"):
            pass
    text = str(caught.value)
    assert "\n" not in text
    for part in (
        "no Docker daemon answers",
        "no embedded server",
        "no database URL",
        "Ways out:",
        "--database",
    ):
        assert part in text


async def test_an_unknown_choice_lists_the_valid_ones() -> None:
    """A word that is no choice gets the list."""
    with pytest.raises(
        UsageError, match=r"No database 'sqlite'\. Valid: auto, embedded, container, or a URL"
    ):
        async with provision("sqlite"):
            pass


async def test_a_container_is_not_replaced_when_it_was_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only ``auto`` takes something else instead."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/docker.sock")
    with pytest.raises(UsageError, match="no Docker daemon"):
        async with provision("container"):
            pass


async def test_a_long_temporary_path_costs_only_the_socket(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a Unix socket's path would be too long the server is reached over TCP alone."""
    deep = tmp_path / ("deep" * 25)
    deep.mkdir()
    for folder in (deep, *list(deep.parents)[:-1]):
        with contextlib.suppress(PermissionError):
            folder.chmod(folder.stat().st_mode | 0o011)
    monkeypatch.setattr(folders, "for_data", lambda **_: deep)
    monkeypatch.setattr("harness.postgres.embedded.for_data", lambda **_: deep)
    async with provision("embedded") as server:
        assert await setting(server, "unix_socket_directories") == ""
        assert await setting(server, "data_directory") == str(next(deep.iterdir()) / "data")
    assert not list(deep.iterdir())


async def setting(server: Server, name: str) -> str:
    connection = await connect(server.url("postgres"))
    try:
        return str(await connection.fetchval("SELECT current_setting($1)", name))
    finally:
        await connection.close()


async def test_a_temporary_folder_that_cannot_be_written_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message names the folder and the way out."""
    monkeypatch.setattr("harness.postgres.embedded.for_data", lambda **_: tmp_path / "missing")
    with pytest.raises(UsageError, match=r"no folder can be made in .*missing: .*; set TMPDIR"):
        async with provision("embedded"):
            pass


async def test_data_is_kept_where_it_was_asked_to_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``TMPDIR`` decides when set; crash tests keep their data on a disk; little memory means a disk."""
    monkeypatch.delenv("TMPDIR", raising=False)
    assert folders.for_data(durable=True) == folders.temporary()
    monkeypatch.setattr(folders, "MEMORY_NEEDED", 1 << 60)
    assert folders.for_data(durable=False) == folders.temporary()
    monkeypatch.setattr(folders, "MEMORY_NEEDED", 0)
    monkeypatch.setattr(folders, "MEMORY", tmp_path / "no such mount")
    assert folders.for_data(durable=False) == folders.temporary()
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    assert folders.for_data(durable=False) == folders.temporary()


async def test_a_wheel_only_we_can_read_is_run_from_a_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As under ``/root``: no permissions are opened, and the copy goes with the server."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    newest = installations()[0]
    site, package = newest.root.parent.parent, newest.root.parent
    shutil.copytree(newest.root, closed / PACKAGE / newest.root.name, symlinks=True)
    (closed / PACKAGE / "__init__.py").touch()
    if (site / f"{PACKAGE}.libs").is_dir():
        shutil.copytree(site / f"{PACKAGE}.libs", closed / f"{PACKAGE}.libs")
    monkeypatch.syspath_prepend(str(closed))
    assert installations()[0].root.is_relative_to(closed)
    before = set(folders.temporary().glob(f"{folders.PREFIX}*"))
    async with provision("embedded") as server:
        assert await server.alive()
        copies = set(folders.temporary().glob(f"{folders.PREFIX}*/{package.name}"))
        assert bool([copy for copy in copies if copy.parent not in before]) == (os.geteuid() == 0)
    assert closed.stat().st_mode & 0o777 == 0o700


async def test_a_folder_the_servers_user_cannot_enter_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As root the server runs as somebody else: the message says so. As ourselves the folder is fine."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    monkeypatch.setattr("harness.postgres.embedded.for_data", lambda **_: closed)
    expected = (
        pytest.raises(UsageError, match=r"Permission denied \(for root it runs as \w+: set TMPDIR")
        if os.geteuid() == 0
        else contextlib.nullcontext()
    )
    with expected:
        async with provision("embedded"):
            pass
    assert not list(closed.iterdir())


def test_folders_of_crashed_runs_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder whose owner is gone is a left-over; one whose owner runs is not."""
    monkeypatch.setattr(folders, "temporary", lambda: tmp_path)
    monkeypatch.setattr(folders, "MEMORY", tmp_path / "none")
    for name, owner in (("live", str(os.getpid())), ("dead", str(2**22 + 1)), ("garbled", "?")):
        folder = tmp_path / f"{folders.PREFIX}{name}"
        folder.mkdir()
        (folder / folders.OWNER_FILE).write_text(owner)
    found = [path.name.removeprefix(folders.PREFIX) for path in folders.left_over_folders()]
    assert found == ["dead", "garbled"]


async def test_a_port_somebody_took_meanwhile_is_chosen_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the first port is taken between choosing and starting, the server gets another one."""
    choose = embedded._reserved_port
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        choices = iter([contextlib.nullcontext(port)])
        monkeypatch.setattr(embedded, "_reserved_port", lambda: next(choices, None) or choose())
        async with provision("embedded") as server:
            assert await server.alive()
            assert urlsplit(server.url("postgres")).port != port
        assert next(choices, None) is None
