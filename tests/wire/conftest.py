"""Roles with passwords that every driver accepts, and the node driver."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
import pytest_asyncio

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PASSWORDS = {
    "oversell_wire": "SET password_encryption = 'scram-sha-256'; SET scram_iterations = 4096;",
    "oversell_md5": "SET password_encryption = 'md5'; SET md5_password_warnings = off;",
}


@pytest_asyncio.fixture
async def login(database: str) -> str:
    """The URL of a fresh database for a role whose SCRAM password has 4096 rounds, as pg8000 insists."""
    return await as_role(database, "oversell_wire")


async def as_role(database: str, role: str) -> str:
    """Return the URL with a role of the list above, which is made if need be."""
    connection = await asyncpg.connect(database, timeout=10)
    try:
        await connection.execute(f"{PASSWORDS[role]} DROP ROLE IF EXISTS {role}")
        await connection.execute(f"CREATE ROLE {role} LOGIN SUPERUSER PASSWORD 'secret'")
    finally:
        await connection.close(timeout=10)
    parts = urlsplit(database)
    return urlunsplit(parts._replace(netloc=f"{role}:secret@{parts.netloc.rpartition('@')[2]}"))


@pytest_asyncio.fixture
async def md5_login(database: str) -> AsyncIterator[str]:
    """The URL of a fresh database for a role that the server asks for an MD5 password."""
    connection = await asyncpg.connect(database, timeout=10)
    rules = Path(await connection.fetchval("SHOW hba_file"))
    before = rules.read_text()  # noqa: ASYNC240  # a small local file
    try:
        rules.write_text(f"host all oversell_md5 127.0.0.1/32 md5\n{before}")  # noqa: ASYNC240  # a small local file
        await connection.execute("SELECT pg_reload_conf()")
        yield await as_role(database, "oversell_md5")
    finally:
        rules.write_text(before)  # noqa: ASYNC240  # a small local file
        await connection.execute("SELECT pg_reload_conf()")
        await connection.close(timeout=10)


@pytest.fixture(scope="session")
def node_driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which node finds node-postgres."""
    npm = shutil.which("npm")
    assert npm is not None, "node and npm are needed to prove the proxy with node-postgres"
    folder = tmp_path_factory.mktemp("node")
    command = [npm, "install", "--no-audit", "--no-fund", "--prefix", str(folder), "pg@8"]
    subprocess.run(command, check=True, capture_output=True, timeout=100, start_new_session=True)
    shutil.copy(Path(__file__).parent / "conversation.js", folder)
    return folder
