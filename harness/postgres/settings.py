"""The settings every server of ours is started with, embedded or in a container."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_CONNECTIONS = 200


def arguments(*, durable: bool, **more: object) -> Sequence[str]:
    """Return command-line arguments for ``postgres``.

    :param durable: keep committed transactions across a crash. Off, everything is faster, and a crash of
        the machine may lose what only tests ever wrote.
    :param more: further settings by name.
    """
    durability = "on" if durable else "off"
    settings: dict[str, object] = {
        "wal_level": "logical",
        "max_connections": MAX_CONNECTIONS,
        "fsync": durability,
        "synchronous_commit": durability,
        "full_page_writes": durability,
        # Not in /dev/shm, which containers keep small.
        "dynamic_shared_memory_type": "mmap",
        # The data may be kept in memory.
        "max_wal_size": "256MB",
        # It would open sessions on templates, and the databases live too short to need it.
        "autovacuum": "off",
        # Refusals are a test's daily bread: keep them, and the values in them, out of the log.
        "log_min_messages": "log",
        **more,
    }
    return [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
