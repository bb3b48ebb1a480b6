"""Whose machine is it: load goes to this machine, unless somebody said that another may be loaded."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from locust.env import Environment

    from harness.load.plan import LoadPlan


def why_not(plan: LoadPlan, environment: Environment) -> str | None:
    """Return why the load may not be made; ``None`` when it may.

    Looked at are the plan's host, and those that Locust has from its command line and from user classes.
    """
    if plan.may_load_host:
        return None
    own = [environment.host] if environment.host else [each.host for each in environment.user_classes]
    for host in filter(None, (plan.host, *own)):
        if not is_this_machine(host):
            return (
                f"{_without_secrets(host)} is not this machine, and nobody said that it may be loaded: "
                "oversell swarm --i-may-load-this-host says so"
            )
    return None


def is_this_machine(url: str) -> bool:
    """Say whether a base URL can only mean this machine. Names are not looked up: they may change."""
    host = urlsplit(url).hostname or ""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _without_secrets(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}" if parts.netloc else "What is no URL"
