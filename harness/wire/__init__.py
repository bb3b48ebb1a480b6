"""The Postgres protocol, and a proxy that stands between an application and Postgres to order what it does.

Framing, messages, session and schedule do no I/O; the proxy does all of it. The page ``docs/wire.md``
explains what is held, when, and what cannot be.
"""

from harness.wire.address import Address, address_of, lead_through
from harness.wire.control import (
    CUT,
    CUT_AFTER,
    PROCEED,
    Action,
    Controller,
    Decision,
    Result,
    SessionInfo,
    Statement,
    fail_after,
    refuse,
)
from harness.wire.framing import ProtocolError
from harness.wire.proxy import Proxy
from harness.wire.sqltext import Kind, kind_of_tag

__all__ = [
    "CUT",
    "CUT_AFTER",
    "PROCEED",
    "Action",
    "Address",
    "Controller",
    "Decision",
    "Kind",
    "ProtocolError",
    "Proxy",
    "Result",
    "SessionInfo",
    "Statement",
    "address_of",
    "fail_after",
    "kind_of_tag",
    "lead_through",
    "refuse",
]
