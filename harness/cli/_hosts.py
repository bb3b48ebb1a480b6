"""Hosts and ports that a person names: whose they are, and whether they are free."""

from __future__ import annotations

import errno
import ipaddress
import socket
import threading
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

from harness.errors import UsageError

_RESOLVING = 10.0
"""Seconds after which a name is taken for one that nobody knows."""
CONSENT = "--i-may-load-this-host"


def may_load(target: str, *, consent: bool, elsewhere: bool) -> bool:
    """Say whether a target may be loaded although it is not plain that it is this machine.

    What is plain needs no leave: loopback addresses and ``localhost``, and targets that are started here. Of
    another name every address must be one of loopback, since it is not said which of them a client takes; and
    no machine elsewhere may look it up, since it may find another.

    :param target: what ``--target`` was given.
    :param consent: somebody says that it may be loaded.
    :param elsewhere: load is made by other machines as well.
    :raises UsageError: when it may not be loaded, or its name cannot be resolved.
    """
    host = urlsplit(target).hostname if is_url(target) else None
    if host is None or consent:
        return consent
    strange = [address for address in addresses_of(host) if not is_loopback(address)]
    if strange:
        where = "" if strange == [host] else f" ({', '.join(strange)})"
        raise UsageError(
            f"{host}{where} is not this machine, and load that nobody asked for is an attack. "
            f"If it is yours to load, say so: {CONSENT}"
        )
    if is_served_here(target):
        return False
    if elsewhere:
        raise UsageError(
            f"{host} is this machine here, and may be another one where workers look it up. Name it by an "
            f"address, or say that it may be loaded: {CONSENT}"
        )
    return True


def is_url(target: str) -> bool:
    """Return whether a target is a service that somebody else runs."""
    return target.startswith(("http://", "https://"))


def is_loopback(address: str) -> bool:
    """Return whether an address, as it was resolved, leads to this machine and cannot lead elsewhere."""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    mapped = getattr(parsed, "ipv4_mapped", None)
    return bool((mapped or parsed).is_loopback)


def is_served_here(target: str) -> bool:
    """Return whether it is plain that each machine looks for a target on itself."""
    host = urlsplit(target).hostname if is_url(target) else "localhost"
    if host is None or host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return is_loopback(host)
    except ValueError:  # a name
        return False


def addresses_of(host: str) -> list[str]:
    """Return every address of a host, in order.

    :raises UsageError: when there is none, or nobody says within ten seconds.
    """
    found = _resolved(host)
    return sorted({str(entry[4][0]) for entry in found})


def listenable(host: str, port: int | None, *, flags: tuple[str, str]) -> str:
    """Return the address of a host on which Locust can listen.

    :param port: ``None``: any that is free.
    :param flags: what host and port are called on the command line.
    :raises UsageError: when the host has no such address, it is none of this machine's, or the port is in use
        or not allowed.
    """
    own = [str(entry[4][0]) for entry in _resolved(host) if entry[0] == socket.AF_INET]
    if not own:
        raise UsageError(f"Locust listens on IPv4, and {host} has no such address. Name one with {flags[0]}.")
    with closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as probe:
        # As servers do: what a connection of a moment ago left behind is no obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((own[0], port or 0))
        except OSError as error:
            raise UsageError(_untakeable(host, port, flags, error)) from None
    return own[0]


def _untakeable(host: str, port: int | None, flags: tuple[str, str], error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"Port {port} on {host} is in use by another process. Name another one with {flags[1]}."
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{host} is no address of this machine. Name one with {flags[0]}, or 0.0.0.0 for all of them."
    return f"Nothing can listen on {host}, port {port or 'any'}: {error.strerror}. See {' and '.join(flags)}."


def _resolved(host: str) -> list[Any]:
    """Ask the system's resolver, which knows no time-out of its own, in a thread that may be left behind."""
    answer: list[Any] = []

    def ask() -> None:
        try:
            answer.append(socket.getaddrinfo(host, None, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            answer.append(error)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(_RESOLVING)
    if not answer:
        raise UsageError(f"The name {host!r} could not be resolved within {_RESOLVING:g} s.")
    (found,) = answer
    if isinstance(found, Exception):
        reason = getattr(found, "strerror", None) or "no valid name"
        raise UsageError(f"The name {host!r} cannot be resolved: {reason}.")
    return list(found)
