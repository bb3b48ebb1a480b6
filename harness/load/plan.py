"""The plan of a swarm: what an engineer asked for, and what the processes that make the load must know."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class Shape(StrEnum):
    """How the number of buyers changes over the run."""

    STEADY = "steady"
    """So many from the beginning to the end, once they have been spawned."""
    SPIKE = "spike"
    """Few before the sale opens; everybody at once a fifth of the time in; half of them afterwards."""
    RAMP = "ramp"
    """Evenly from one to all over the whole run."""
    SOAK = "soak"
    """Up over a tenth of the time, steady for long, down over the last tenth."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadSettings:
    """What an engineer asked for. The defaults are those of the short swarm in a gate."""

    users: int = 20
    """Buyers that act at the same time, over all workers."""
    spawn_rate: float | None = None
    """Buyers that come a second; ``None``: all at once."""
    run_time: float = 5.0
    """Seconds of load for each scenario."""
    shape: Shape = Shape.STEADY
    behaviours: Mapping[str, int] = field(default_factory=dict)
    """Weight of each behaviour by name; empty: those that fit the scenario, alike."""
    wait: tuple[float, float] = (0.0, 0.0)
    """Shortest and longest time a buyer waits between two visits, in seconds."""
    stock: int | None = None
    """Units on sale in each sale; ``None``: ten for every user."""
    keep_going: bool = False
    """Go on after the first oversell."""
    chaos: float | None = None
    """The share of the target's statements and commits at which something breaks; ``None``: nothing does."""
    workers: int = 0
    """Worker processes on this machine; 0: one process makes all the load."""
    master: bool = False
    """Wait for workers that are started elsewhere."""
    bind: str = "127.0.0.1"
    """Address on which the master waits for workers."""
    port: int | None = None
    """Port on which the master waits for workers; ``None``: one that is free."""
    expect_workers: int = 1
    """How many workers from elsewhere must be there before the load begins."""
    expect_within: float = 60.0
    """Seconds in which they must be there."""
    web: bool = False
    """Serve Locust's own page."""
    web_host: str = "127.0.0.1"
    web_port: int | None = None
    """``None``: one that is free."""
    locustfile: Path | None = None
    """Somebody's own locustfile instead of ours."""
    locust_options: tuple[str, ...] = ()
    """Passed on to Locust as they are."""
    may_load_host: bool = False
    """Hosts other than this machine may be loaded."""
    record: bool = True
    """Keep the history and audit the books. Off only to measure what that costs."""


Tickets: TypeAlias = "Mapping[str, tuple[str, str]]"
"""Ids of the event and of the ticket type, as the contract of ``docs/service.md`` has them, by the scenario's
name of the ticket type."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadPlan:
    """What every process that makes load must know. Travels as a plain mapping."""

    host: str
    """Base URL of the target, which speaks the contract of ``docs/service.md``."""
    behaviours: Mapping[str, int]
    """Weight by name; never empty."""
    users: int
    spawn_rate: float | None
    run_time: float
    shape: Shape
    wait: tuple[float, float]
    timeout: float
    """Seconds after which an answer no longer counts as coming."""
    seed: int
    record: bool
    may_load_host: bool
    fickle: bool = False
    """Buyers give up waiting now and then, and some try again where they do not know what became of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sale:
    """One sale that buyers may visit: the newest one is the one they do."""

    number: int
    """Counted from 0 over the run."""
    tickets: Tickets
