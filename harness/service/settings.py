"""The numbers the service is run with."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Limits of one running service. Every wait has one, so that no request can hang."""

    pool_size: int = 10
    """The most connections to Postgres at one time."""
    pool_wait: float = 5.0
    """Seconds a request waits for one of them before it is told to come back (503)."""
    lock_wait: float = 10.0
    """Seconds a statement waits for a row another buyer holds before it gives up (503)."""
    statement_wait: float = 20.0
    """Seconds a statement may run in all before Postgres ends it (503)."""
    answer_wait: float = 30.0
    """Seconds without any answer from Postgres after which its outcome is called unknown (500)."""
    body_wait: float = 30.0
    """Seconds a client has to send its whole body (408)."""
    idle_wait: float = 75.0
    """Seconds that a connection is kept open on which nothing is asked; clients that pause for longer must be
    ready to connect anew."""
    shutdown_wait: float = 10.0
    """Seconds that requests under way are given to finish once the service is told to stop."""
    hold_seconds: int = 600
    """Seconds that a ticket is set aside for a buyer who pays."""
    sweep_every: float = 5.0
    """Seconds between two looks for holds whose time has run out; 0: never look."""
    live_sockets: int = 1000
    """The most WebSockets at one time; one more is told to come back later."""
    stalled_wait: float = 30.0
    """Seconds in which a client has to take something of what it is sent, before it is given up."""
    ping_every: float = 20.0
    """Seconds between two pings of a WebSocket, and for the answer to one."""
    listen_check: float = 30.0
    """Seconds between two looks whether the connection that hears of changes still is one; 0: never look."""
