"""The parts that Locust's processes play.

One process makes all the load and talks to the engine (:class:`Single`), or is the master and relays
(:class:`Master`); workers talk to their master (:class:`Worker`). Everything is said before Locust lets a
process go:

- buyers are stopped by Locust, and finish the operation they are about (:meth:`Buyer.stop`);
- then Locust fires ``test_stop``, in which the process sends what it still has and waits until it is safe;
- a master waits in ``test_stopping`` until each of its workers has done so, since Locust stops listening to
  workers half a second after it told them to quit.

Without an engine a process is an ordinary load test: the same buyers, and nothing recorded.
"""

from __future__ import annotations

import logging
import signal
import sys
import time
from typing import TYPE_CHECKING, Any

import gevent
import locust
from locust import runners
from locust.exception import RPCError, RPCSendError

from harness import __version__
from harness.errors import UsageError
from harness.load.messages import (
    NAME,
    PROTOCOL,
    Hello,
    Live,
    NoMessageError,
    Opened,
    Planned,
    Refused,
    Stop,
    Trouble,
    from_map,
    to_map,
)
from harness.load.plan import Shape
from harness.locusts.alone import MISSING, UNAUDITED, plan_from
from harness.locusts.hosts import why_not
from harness.locusts.planned_shape import PlannedShape
from harness.locusts.relay import Relay
from harness.locusts.root import Root
from harness.locusts.share import Share, give_share
from harness.model.verdict import USAGE_EXIT_CODE, Verdict

if TYPE_CHECKING:
    from locust.env import Environment

    from harness.load.messages import Message

logger = logging.getLogger(__name__)

REFUSED = Verdict.INCONCLUSIVE.exit_code
"""Exit code of a process that must not take part, or lost the engine: what it did proves nothing."""
PLANNING = 30.0
"""Seconds in which the engine must say what to do."""
SAFE = 20.0
"""Seconds without any sign that what was sent is safe, after which nobody waits any longer."""
REPORTING = 1.0
"""Seconds between a worker's figures: Locust's own three are long for who watches a run of five."""
FORGOTTEN = 10.0
"""Seconds in which the master must tell a worker to quit, once that has said all it had to say."""
ENDING = 5.0
"""Seconds in which Locust must begin to end once its runner has."""


class Process:
    """What all parts have in common: they end."""

    def __init__(self, environment: Environment) -> None:
        self.environment = environment
        self.runner: Any = environment.runner
        self._begun = False
        self._ending = False
        self._quitting = False
        environment.events.quitting.add_listener(self._on_quitting)
        gevent.signal_handler(signal.SIGINT, _interrupt, gevent.getcurrent())

    def fail(self, reason: str) -> None:
        """End, and say why in one line."""
        logger.error("%s", reason)
        self.environment.process_exit_code = REFUSED
        self.end()

    def end(self) -> None:
        """End as Locust does it: users stop, reports are written, with Locust's own exit code."""
        self._ending = True
        if self._begun:
            gevent.spawn(self._end)

    def _begin(self, root: Root, address: str) -> None:
        """Learn what to do: from the engine, or where there is none from Locust's own options."""
        if address:
            self._begin_with(root, address)
        else:
            _look_at_options(self.environment)
        self._begun = True
        if self._ending:  # it was told so before Locust has begun anything
            self.runner.quit()
            root.close()
            sys.exit(self.environment.process_exit_code or 0)

    def _begin_with(self, root: Root, address: str) -> None:
        """Connect to the engine, wait until it has said what to do, and give the load its shape."""
        root.connect(address)
        plan = root.wait_for_plan(PLANNING)
        if plan is None:
            self.fail(f"The engine did not say within {PLANNING:g} s what to do.")
        elif plan.shape is not Shape.STEADY:
            self.environment.shape_class = PlannedShape(plan)
            self.environment.shape_class.runner = self.environment.runner

    def _end(self) -> None:
        self.runner.quit()
        if self.environment.web_ui is not None:
            self.environment.web_ui.stop()
        gevent.sleep(ENDING)
        if not self._quitting:  # a master that waits for workers looks at nothing else
            raise SystemExit(self.environment.process_exit_code or 0)

    def _on_lost(self, why: str) -> None:
        self.fail(f"The engine is gone: {why}")

    def _on_quitting(self, **_: Any) -> None:
        self._quitting = True


class Loading(Process):
    """A process that makes load."""

    def __init__(self, environment: Environment, share: Share) -> None:
        super().__init__(environment)
        self.share = share
        self._receiver: Any = None
        """The greenlet that hears messages: nothing comes in while it waits for something."""
        give_share(environment, share)
        environment.events.test_start.add_listener(self._on_test_start)
        environment.events.test_stopping.add_listener(self._on_test_stopping)
        environment.events.test_stop.add_listener(self._on_test_stop)

    def fail(self, reason: str) -> None:
        """End, and begin nothing meanwhile."""
        self.share.closing = True
        super().fail(reason)

    def take(self, message: Message) -> None:
        """Take what was sent to this process."""
        match message:
            case Planned(plan=plan) if (fault := why_not(plan, self.environment)) is not None:
                self.refuse(fault)
            case Refused(reason=reason):
                self.fail(f"Refused by the engine: {reason}")
            case Live():
                pass
            case _:
                self.share.receive(message)

    def refuse(self, reason: str) -> None:
        """Take no part, and say so to the engine as well."""
        self.share.closing = True
        self.share.trouble(reason)
        self.fail(reason)

    def _on_test_start(self, **_: Any) -> None:
        if self.share.ended:
            logger.warning("The books of this run are closed, buyers stay away: start `oversell swarm` anew.")
        elif self.share.plan is not None and (reason := why_not(self.share.plan, self.environment)):
            self.refuse(reason)

    def _on_test_stopping(self, **_: Any) -> None:
        self.share.closing = True

    def _on_test_stop(self, **_: Any) -> None:
        self.share.finish(0 if gevent.getcurrent() is self._receiver else SAFE)

    def _on_quitting(self, **options: Any) -> None:
        super()._on_quitting(**options)
        if not self.share.ended:
            self.runner.stop()


class Worker(Loading):
    """A worker: it talks to its master by Locust's own messages."""

    def __init__(self, environment: Environment) -> None:
        runner: Any = environment.runner
        super().__init__(environment, Share(runner.client_id, str(runner.worker_index), self._up))
        self._begun = self._understands = True
        runners.WORKER_REPORT_INTERVAL = min(runners.WORKER_REPORT_INTERVAL, REPORTING)
        runner.register_message(NAME, self._hear)
        gevent.spawn(self._introduce)

    def _introduce(self) -> None:
        """Say hello until the master answers, which may not be listening yet."""
        while self.share.plan is None and not self.share.closing:
            self._up(Hello(self.runner.client_id, PROTOCOL, __version__, locust.__version__))
            gevent.sleep(1)

    def _hear(self, msg: Any, **_: Any) -> None:
        """Hear the master, one message after the other: Locust waits for us before it hears the next."""
        self._receiver = gevent.getcurrent()
        try:
            message = from_map(msg.data)
        except NoMessageError as error:
            if self._understands:
                self._understands = False
                self.refuse(f"oversell {__version__} does not understand this master: {error}")
            return
        if isinstance(message, Stop):
            gevent.spawn(self._leave)
        else:
            self.take(message)

    def _leave(self) -> None:
        """Stop, and end by ourselves when nobody says so."""
        self.runner.stop()
        # Told to stop once more, Locust would sleep that long, and not hear a master that quits meanwhile.
        self.environment.stop_timeout = 0.0
        gevent.sleep(FORGOTTEN)
        self.end()

    def _on_quitting(self, **options: Any) -> None:
        heard = self.runner.last_heartbeat_timestamp
        if heard is not None and time.time() - heard >= runners.MASTER_HEARTBEAT_TIMEOUT:
            # Locust quits because of that, and calls it success.
            logger.error("The master is lost: what this worker did since proves nothing.")
            self.environment.process_exit_code = REFUSED
        super()._on_quitting(**options)

    def _up(self, message: Message) -> None:
        try:
            self.runner.send_message(NAME, to_map(message))
        except (RPCError, RPCSendError) as error:
            logger.error("The master could not be told: %s", error)  # noqa: TRY400  # no bug of ours


class Single(Loading):
    """The only process: it makes the load and talks to the engine, if there is one."""

    def __init__(self, environment: Environment, address: str) -> None:
        self._alone = not address
        root = Root(environment, self._hear, self._on_lost)
        super().__init__(environment, Share("", "0", root.send))
        self._begin(root, address)

    def _hear(self, message: Message) -> None:
        self._receiver = gevent.getcurrent()
        if isinstance(message, Stop):
            self.end()
        else:
            self.take(message)

    def _on_test_start(self, **options: Any) -> None:
        if self._alone and not _plan_alone(self.environment, self.share.receive):
            self.fail(MISSING)
        super()._on_test_start(**options)


class Master(Process):
    """The master: it makes no load, and hands on what is said."""

    def __init__(self, environment: Environment, address: str) -> None:
        super().__init__(environment)
        self._alone = not address
        self._root = Root(environment, self._hear, self._on_lost)
        self._relay = Relay(self.runner, self._root.send)
        self.runner.register_message(NAME, self._hear_worker)
        environment.events.test_start.add_listener(self._on_test_start)
        environment.events.test_stopping.add_listener(self._on_test_stopping)
        self._begin(self._root, address)

    def _hear_worker(self, msg: Any, **_: Any) -> None:
        self._relay.hear(msg.node_id, msg.data)

    def _hear(self, message: Message) -> None:
        match message:
            case Stop():
                self.end()
            case Refused(reason=reason):
                self.fail(f"Refused by the engine: {reason}")
            case Live():
                pass
            case Planned(plan=plan) if (fault := why_not(plan, self.environment)) is not None:
                self._root.send(Trouble("", fault))
                self.fail(fault)
            case _:
                self._relay.down(message)

    def _on_test_start(self, **_: Any) -> None:
        if self._alone and not _plan_alone(self.environment, self._relay.down):
            self.fail(MISSING)

    def _on_test_stopping(self, **_: Any) -> None:
        self._relay.drain()


def _interrupt(main: Any) -> None:
    """Have Ctrl-C raised where Locust's own main part waits.

    Python would raise it in whatever runs at that moment: a buyer who has just sent something, or the link.
    """
    gevent.get_hub().loop.run_callback(main.throw, KeyboardInterrupt)


def _look_at_options(environment: Environment) -> None:
    """Say what a run without an engine is, and end one that cannot become anything."""
    try:
        found = plan_from(environment.parsed_options)
    except UsageError as error:
        logger.error("%s", error)  # noqa: TRY400  # the person's fault, in one line
        sys.exit(USAGE_EXIT_CODE)
    if found is None and environment.web_ui is None:
        logger.error("%s", MISSING)
        sys.exit(USAGE_EXIT_CODE)
    logger.warning("%s", UNAUDITED)


def _plan_alone(environment: Environment, tell: Any) -> bool:
    """Tell what the options say; whether they say it."""
    found = plan_from(environment.parsed_options)
    if found is not None:
        plan, sale = found
        tell(Planned(plan))
        tell(Opened(sale))
    return found is not None
