"""Load a target with Locust, on one machine or many, while every commit of its books is judged.

The exit code is the verdict: 0 safe, 1 violated, 3 inconclusive. What stands behind -- is passed on to
Locust. With --worker this is one of the machines that make load for a master elsewhere; it ends with 0 when
its master let it go, and with 3 when it lost it or was refused.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from harness.cli._gate import OUTPUT, PLACE, plan_of, run_gate
from harness.cli._hosts import CONSENT, is_loopback, is_served_here, listenable, may_load
from harness.cli._locust import refuse_ours, refuse_unusable
from harness.cli._loop import run_async
from harness.cli._options import SETTINGS, settings
from harness.cli._policy import say
from harness.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.cli._policy import Session
    from harness.driving.runner import Plan
    from harness.load.plan import LoadSettings

_LOAD = ("users", "spawn-rate", "run-time", "shape", "behaviour", "wait", "stock", "keep-going", "chaos")
_CHAOS = ("chaos-rate",)
_MASTER = ("bind", "port", "expect-workers")
_WORKER = ("master-host", "master-port")
_WEB = ("web-host", "web-port")
_OF_A_WORKER = ("worker", *_WORKER, "workers", "expect-within", "locustfile", "quiet", "verbose", "color")
"""What a worker is told by its command line; everything else it is told by its master."""

PASSED_ON = "harness.cli.swarm.passed_on"
"""Where the context of a command line keeps what stands behind ``--``."""
_USUAL = "rush"
"""The scenario when nobody names one."""
_BESIDE_LOAD = 120.0
"""Seconds for each scenario, beside those of load, for starting Locust, gathering and judging."""


class SwarmCommand(click.Command):
    """A command that keeps what stands behind ``--`` apart from what stands before it."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse what is ours."""
        end = args.index("--") if "--" in args else len(args)
        ctx.meta[PASSED_ON] = tuple(args[end + 1 :])
        return super().parse_args(ctx, args[:end])

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        """Show in the usage that something may follow."""
        return [*super().collect_usage_pieces(ctx), "[-- LOCUST OPTIONS]"]


@click.command("swarm", cls=SwarmCommand, help=__doc__)
@settings("target")
@replace(SETTINGS["scenario"], shown=_USUAL).decorator()
@settings("law", *_LOAD, *_CHAOS, "workers")
@click.option("--master", is_flag=True, help="Wait for workers that are started elsewhere.")
@settings(*_MASTER, "expect-within")
@click.option("--worker", is_flag=True, help="Be a worker of a master that is started elsewhere.")
@settings(*_WORKER, "web", *_WEB, "locustfile")
@click.option(CONSENT, "consent", is_flag=True, help="The target may be on another machine.")
@settings(*PLACE, "operation-timeout", *OUTPUT)
@click.pass_context
def swarm(ctx: click.Context, /, **chosen: Any) -> int:
    """Load, or be a worker, and return the exit code."""
    session: Session = ctx.obj
    passed_on: tuple[str, ...] = ctx.meta[PASSED_ON]
    refuse_contradictions(ctx)
    refuse_ours(passed_on)
    refuse_unusable(chosen["locustfile"], passed_on)
    if chosen["worker"]:
        return _be_worker(chosen, passed_on)
    return run_gate(session, chosen, lambda: plan(chosen, passed_on))


COMMAND = swarm


def plan(chosen: dict[str, Any], passed_on: Sequence[str] = ()) -> Plan:
    """Return what these settings of the command come to.

    :param passed_on: options of Locust.
    :raises UsageError: when something is named that does not exist, cannot be had, or may not be loaded.
    """
    load = load_settings(chosen, passed_on)
    scenarios = chosen["scenario"] or (_USUAL,)
    if load.master and len(scenarios) > 1:
        raise UsageError(
            f"Workers from elsewhere go home after one scenario, and {len(scenarios)} are named. Choose one "
            "of them with --scenario, or have the workers here: --workers N"
        )
    waiting = load.expect_within if load.master else 0.0
    made = plan_of(
        {**chosen, "scenario": scenarios, "max_time": _longest(load, len(scenarios)) + waiting},
        engines=("swarm",),
        load=load,
    )
    _refuse_chaos_in_place(load, made)
    return made


def load_settings(chosen: dict[str, Any], passed_on: Sequence[str] = ()) -> LoadSettings:
    """Return what the load is to be.

    :raises UsageError: when parts of it contradict each other, an address cannot be had, or the host may not
        be loaded.
    """
    from harness.load.behaviour import weights_of
    from harness.load.plan import LoadSettings, Shape

    load = LoadSettings(
        users=chosen["users"],
        spawn_rate=chosen["spawn_rate"],
        run_time=chosen["run_time"],
        shape=Shape(chosen["shape"]),
        behaviours=weights_of(chosen["behaviour"], "--behaviour"),
        wait=chosen["wait"],
        stock=chosen["stock"],
        keep_going=chosen["keep_going"],
        chaos=chosen["chaos_rate"] if chosen["chaos"] else None,
        workers=chosen["workers"] or 0,
        master=chosen["master"],
        bind=_bind(chosen) if chosen["master"] else LoadSettings().bind,
        port=chosen["port"] if chosen["master"] else None,
        expect_workers=chosen["expect_workers"],
        expect_within=chosen["expect_within"],
        web=chosen["web"],
        web_host=_web_host(chosen) if chosen["web"] else LoadSettings().web_host,
        web_port=chosen["web_port"],
        locustfile=chosen["locustfile"] and chosen["locustfile"].absolute(),
        locust_options=tuple(passed_on),
        may_load_host=may_load(chosen["target"], consent=chosen["consent"], elsewhere=chosen["master"]),
    )
    _refuse_impossible(load)
    return load


def refuse_contradictions(ctx: click.Context) -> None:
    """Refuse what cannot be meant together.

    What is of no use only counts where it stands on the command line: a settings file may say more than one
    machine needs.

    :raises UsageError: for the first contradiction; the message names the way out.
    """
    chosen, given = ctx.params, _given(ctx)
    if chosen["worker"]:
        _refuse_for_a_worker(chosen, given)
        return
    for names, needed, present in (
        (_WORKER, "--worker", False),
        ((*_MASTER, "expect-within"), "--master", chosen["master"]),
        (_WEB, "--web", chosen["web"]),
        (_CHAOS, "--chaos", chosen["chaos"]),
    ):
        idle = [name for name in names if name in given and not present]
        if idle:
            raise UsageError(f"--{idle[0]} says nothing without {needed}. Add {needed}, or leave it out.")
    if chosen["master"] and chosen["workers"]:
        raise UsageError(
            f"--master waits for workers from elsewhere, --workers {chosen['workers']} starts them here. "
            "Choose one of them; for both, start oversell swarm --worker here as well."
        )


def _longest(load: LoadSettings, scenarios: int) -> float:
    """Return how long the run may take in all: long enough that no load is cut off, and not for ever."""
    from harness.driving.runner import BESIDES

    # What was recorded is gathered and judged after the load, and the more of it there is the longer.
    return scenarios * (2 * load.run_time + _BESIDE_LOAD) + BESIDES


def _given(ctx: click.Context) -> frozenset[str]:
    """Return the long names of the options that stand on the command line."""
    return frozenset(
        option.opts[-1].removeprefix("--")
        for option in ctx.command.params
        if option.name and ctx.get_parameter_source(option.name) is ParameterSource.COMMANDLINE
    )


def _refuse_for_a_worker(chosen: dict[str, Any], given: frozenset[str]) -> None:
    if chosen["master"]:
        raise UsageError("A process is a master or a worker. Choose one of --master and --worker.")
    foreign = sorted(given - {*_OF_A_WORKER})
    if foreign:
        valid = ", ".join(f"--{name}" for name in _OF_A_WORKER)
        raise UsageError(
            f"--{foreign[0]} is for the master to say: a worker does what it is told. Valid here: {valid}."
        )
    if not chosen["master_host"]:
        raise UsageError(
            "A worker needs its master's address: --worker --master-host HOST [--master-port PORT]"
        )


def _refuse_impossible(load: LoadSettings) -> None:
    from harness.load.plan import Shape

    if load.spawn_rate is not None:
        if load.shape is not Shape.STEADY:
            raise UsageError(
                f"The shape {load.shape} has a pace of its own. Choose one of --shape and --spawn-rate."
            )
        coming = load.users / load.spawn_rate
        if coming >= load.run_time:
            raise UsageError(
                f"{load.users} users at {load.spawn_rate:g} a second take {coming:g} s to come, and the run "
                f"takes {load.run_time:g} s. Raise --spawn-rate or --run-time."
            )
    processes = load.expect_workers if load.master else load.workers
    if processes > load.users:
        raise UsageError(f"{load.users} users cannot be shared out among {processes} workers. Raise --users.")


def _refuse_chaos_in_place(load: LoadSettings, made: Plan) -> None:
    from harness.driving.guard import works_in_place

    if load.chaos and works_in_place(made.target):
        raise UsageError(
            f"--chaos breaks what is between a target and its database, and {made.spec} is connected to its "
            "own already. Leave --chaos out, or name a target that is started here: service, sql, "
            "specimen:NAME, module:object"
        )


def _bind(chosen: dict[str, Any]) -> str:
    """Return the address on which a master listens.

    Workers of other machines are refused where only this machine can reach the target.
    """
    address = listenable(chosen["bind"], chosen["port"], flags=("--bind", "--port"))
    if not is_loopback(address) and is_served_here(chosen["target"]):
        raise UsageError(
            f"With --bind {chosen['bind']} workers come from other machines, and none of those can reach "
            f"--target {chosen['target']}, which is on 127.0.0.1 of this one. Name a service by an address "
            "of this machine that they reach: http://HOST:PORT"
        )
    return address


def _web_host(chosen: dict[str, Any]) -> str:
    """Return the address on which Locust's page is served."""
    return listenable(chosen["web_host"], chosen["web_port"], flags=("--web-host", "--web-port"))


def _be_worker(chosen: dict[str, Any], passed_on: Sequence[str]) -> int:
    """Make load for a master elsewhere until it is done with this worker.

    :raises InconclusiveError: when it did not end like that.
    """
    from harness.cli._worker import work

    run_async(
        work(
            chosen["master_host"],
            chosen["master_port"],
            within=chosen["expect_within"],
            processes=chosen["workers"] or 1,
            locustfile=chosen["locustfile"],
            options=passed_on,
            say=(lambda _: None) if chosen["quiet"] else say,
        )
    )
    return 0
