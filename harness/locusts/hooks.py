"""Our listeners on Locust's own events, from which everything else begins."""

from __future__ import annotations

import logging
import os
import sys
from typing import TYPE_CHECKING, Any

from locust import events
from locust.runners import MasterRunner, WorkerRunner

from harness.errors import InconclusiveError
from harness.load.messages import LINK_VARIABLE
from harness.locusts.alone import add_options
from harness.locusts.buyer import Buyer
from harness.locusts.processes import REFUSED, Master, Single, Worker

if TYPE_CHECKING:
    from locust.env import Environment

logger = logging.getLogger(__name__)


def on_options(parser: Any, **_: Any) -> None:
    """Add what must be said where no engine says it."""
    add_options(parser, shown=LINK_VARIABLE not in os.environ)


def on_init(environment: Environment, **_: Any) -> None:
    """Play the part that this process has."""
    _leave_out_base(environment)
    address = os.environ.pop(LINK_VARIABLE, "")
    try:
        if isinstance(environment.runner, WorkerRunner):
            Worker(environment)
        elif isinstance(environment.runner, MasterRunner):
            Master(environment, address)
        else:
            Single(environment, address)
    except InconclusiveError as error:
        logger.error("%s", error)  # noqa: TRY400  # no bug of ours
        sys.exit(REFUSED)


def _leave_out_base(environment: Environment) -> None:
    """Leave our own buyer out where a locustfile only imported it to make its own of it."""
    classes = environment.user_classes
    if any(each is not Buyer and issubclass(each, Buyer) for each in classes):
        environment.user_classes = [each for each in classes if each is not Buyer]


events.init_command_line_parser.add_listener(on_options)
events.init.add_listener(on_init)
