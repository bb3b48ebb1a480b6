"""Every option that commands share, described once.

A :class:`Setting` is at the same time a flag, an environment variable and a key of a settings file. Click
parses the flag and the variable; :mod:`harness.cli._settings` reads the file. The table of
``docs/settings.md`` is made from :data:`SETTINGS`.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from harness.cli._settings import settings_of
from harness.load.plan import Shape

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from harness.cli._settings import Settings

F = TypeVar("F", bound="Callable[..., Any] | click.Command")


class Duration(click.ParamType):  # type: ignore[type-arg]  # generic only in the newest versions of click
    """A length of time with its unit, such as ``90s``, ``5m`` or ``1h30m``; converted to seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the seconds.

        Fails when there is no unit or nothing is left of it: a wait of no length is never meant.
        """
        if isinstance(value, float):
            return value
        text = str(value).strip().lower()
        seconds = _seconds(text) if re.fullmatch(f"(?:{_PART.pattern})+", text) else 0.0
        if seconds <= 0:
            self.fail(f"{value!r} is not a length of time; valid: 250ms, 90s, 5m, 1h30m", param, ctx)
        return seconds


class Pause(click.ParamType):  # type: ignore[type-arg]  # as above
    """Two lengths of time, ``1s..3s``, or one that is both; none at all is one too. Converted to seconds."""

    name = "pause"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float, float]:
        """Return the shortest and the longest, in seconds.

        Fails when the longest is shorter than the shortest.
        """
        if isinstance(value, tuple):
            return value
        ends = str(value).strip().lower().split("..")
        if len(ends) > 2 or not all(re.fullmatch(f"0|(?:{_PART.pattern})+", end.strip()) for end in ends):
            self.fail(f"{value!r} is no pause; valid: 0s, 500ms, 1s..3s", param, ctx)
        shortest, longest = _seconds(ends[0]), _seconds(ends[-1])
        if longest < shortest:
            self.fail(f"{value!r} ends before it begins; valid: 0s, 500ms, 1s..3s", param, ctx)
        return shortest, longest


class WholeNumber(click.IntRange):
    """A whole number that is not too small."""

    name = "number"


class Rate(click.FloatRange):
    """So many a second: more than none."""

    name = "number"

    def __init__(self) -> None:
        super().__init__(min=0, min_open=True, max=1e6)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number; what is called one and is none is refused."""
        rate = float(super().convert(value, param, ctx))
        if math.isnan(rate):
            self.fail(f"{value!r} is no rate; valid: a number above 0", param, ctx)
        return rate


class Share(click.ParamType):  # type: ignore[type-arg]  # as above
    """So many of a hundred, such as ``1%`` or ``0.2%``: more than none. Converted to a number up to 1."""

    name = "share"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the share.

        Fails when it is no percentage, is none at all, or more than all.
        """
        if isinstance(value, float):
            return value
        text = str(value).strip()
        share = float(text[:-1]) / 100 if re.fullmatch(r"\d+(\.\d+)?%", text, re.ASCII) else 0.0
        if not 0 < share <= 1:
            self.fail(f"{value!r} is no share; valid: more than 0% and up to 100%, as in 0.5%", param, ctx)
        return share


class Budget(WholeNumber):
    """How much may be spent. Nothing is refused with a reason: what was not looked at was not found safe."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the number."""
        if str(value).strip() == "0":
            self.fail("a budget of zero shows nothing; valid: a whole number from 1", param, ctx)
        return super().convert(value, param, ctx)


_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|h|m|s)")
FOLDER = click.Path(file_okay=False, path_type=Path)
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
DURATION = Duration()
PAUSE = Pause()
SHARE = Share()
PORT = WholeNumber(1, 65535)


def _seconds(text: str) -> float:
    return sum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(text))


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """Something a person can set: by flag, by environment variable or in a settings file."""

    name: str
    """As a flag without its dashes, and as a key of a file."""
    table: str = ""
    """The table of the file in which it stands, where it concerns one command only."""
    help: str
    type: click.ParamType[Any] = click.STRING
    """:data:`click.BOOL` makes an on/off pair of flags."""
    default: Any = None
    multiple: bool = False
    short: str = ""
    shown: str = ""
    """What the documentation calls the default where its value does not say enough."""

    @property
    def variable(self) -> str:
        """The environment variable."""
        return f"OVERSELL_{self.key.replace('-', '_').replace('.', '_').upper()}"

    @property
    def key(self) -> str:
        """The key of a file, with its table: ``swarm.users``."""
        return f"{self.table}.{self.name}" if self.table else self.name

    @property
    def flags(self) -> tuple[str, ...]:
        """The flags as click declares them."""
        switch = f"--{self.name}/--no-{self.name}" if self.type is click.BOOL else f"--{self.name}"
        return (self.short, switch) if self.short else (switch,)

    def decorator(self) -> Callable[[F], F]:
        """Return what makes it an option of a command."""
        return click.option(
            *self.flags,
            cls=SettingOption,
            setting=self,
            type=self.type,
            default=() if self.multiple else self.default,
            multiple=self.multiple,
            envvar=self.variable,
            help=self.help,
            show_default=self.shown or self.default is not None,
        )


SWARM = "swarm"
"""The table of what concerns the swarm only."""

_GENERAL: tuple[Setting, ...] = (
    Setting(
        name="target",
        default="sql",
        help="Who is judged: sql, service, specimen:NAME, http(s)://… or module:object.",
    ),
    Setting(name="scenario", multiple=True, help="Only this scenario. Repeatable.", shown="all"),
    Setting(
        name="engine",
        multiple=True,
        help="Drive with this engine. Repeatable.",
        shown="burst, explore, faults and stateful",
    ),
    Setting(name="law", multiple=True, help="Judge by this law only. Repeatable.", shown="all"),
    Setting(
        name="database",
        default="auto",
        help="Where it runs: auto, embedded, container or postgresql://…",
    ),
    Setting(name="image", help="Image of the container.", shown="the official postgres image"),
    Setting(
        name="disposable",
        type=click.BOOL,
        default=False,
        help="The database of the URL may be overwritten although it is not empty.",
    ),
    Setting(
        name="seed",
        type=WholeNumber(0, 2**63 - 1),
        help="Seed of every random choice.",
        shown="a fresh one, reported",
    ),
    Setting(
        name="runs",
        type=FOLDER,
        default=Path(".oversell/runs"),
        help="Folder that run folders are made in.",
    ),
    Setting(
        name="rounds",
        type=WholeNumber(1),
        help="How often each check is repeated.",
        shown="20",
    ),
    Setting(
        name="buyers",
        type=WholeNumber(1),
        help="Size of the crowd.",
        shown="the scenario's own; 2 where schedules are explored",
    ),
    Setting(
        name="max-schedules",
        type=Budget(1),
        help="How many schedules of one scenario an exploration may run.",
        shown="2000; in explore, as many as there is time for",
    ),
    Setting(
        name="isolation",
        type=click.Choice(["read-committed", "repeatable-read", "serializable"]),
        help="Isolation level of the target's sessions, where schedules are explored.",
        shown="the server's own",
    ),
    Setting(
        name="proxy-tls",
        type=click.BOOL,
        default=False,
        help="Serve encrypted connections to targets that insist on them, where schedules are explored.",
    ),
    Setting(
        name="preemptions",
        type=WholeNumber(0),
        help="Only schedules in which a client is left at most so often although it could go on.",
        shown="no bound",
    ),
    Setting(
        name="pct",
        type=WholeNumber(1),
        help="Draw schedules at random for bugs of this depth (PCT), rather than run all.",
        shown="run all",
    ),
    Setting(
        name="profile",
        type=click.Choice(["gate", "nightly"]),
        default="gate",
        help="How many examples the stateful engine draws: so many, or as many as there is time for.",
    ),
    Setting(
        name="examples",
        type=FOLDER,
        help="Folder in which the nightly profile keeps the examples that failed, to begin with them.",
        shown="examples, beside the run folders",
    ),
    Setting(
        name="max-time", type=DURATION, default="5m", help="Time for the whole run, such as 90s, 5m, 1h."
    ),
    Setting(
        name="operation-timeout",
        type=DURATION,
        default="10s",
        help="After this long without an answer an operation's outcome is unknown.",
    ),
    Setting(
        name="scenarios",
        type=FOLDER,
        multiple=True,
        help="Folder with more scenarios. Repeatable.",
        shown="./scenarios if it exists",
    ),
    Setting(
        name="json",
        type=click.BOOL,
        default=False,
        help="The document on standard output, and nothing else.",
    ),
    Setting(
        name="quiet",
        short="-q",
        type=click.BOOL,
        default=False,
        help="No progress, only the report at the end.",
    ),
    Setting(
        name="verbose", short="-v", type=click.BOOL, default=False, help="More numbers about each check."
    ),
    Setting(
        name="color",
        type=click.BOOL,
        help="Colour and styles, or none; NO_COLOR is respected too.",
        shown="on a terminal",
    ),
)

_SWARM: tuple[Setting, ...] = (
    Setting(
        name="users",
        table=SWARM,
        type=WholeNumber(1),
        default=100,
        help="Buyers that act at the same time, over all workers.",
    ),
    Setting(
        name="spawn-rate",
        table=SWARM,
        type=Rate(),
        help="Buyers that come a second, until all are there.",
        shown="all at once",
    ),
    Setting(
        name="run-time", table=SWARM, type=DURATION, default="60s", help="Time of load for each scenario."
    ),
    Setting(
        name="shape",
        table=SWARM,
        type=click.Choice([shape.value for shape in Shape]),
        default=Shape.STEADY.value,
        help="How the number of buyers changes over that time.",
    ),
    Setting(
        name="behaviour",
        table=SWARM,
        multiple=True,
        help="What buyers do: NAME or NAME=WEIGHT. Repeatable.",
        shown="all that fit the scenario, alike",
    ),
    Setting(
        name="wait",
        table=SWARM,
        type=PAUSE,
        default="0s",
        help="How long a buyer waits between two visits: 500ms, or from 1s..3s.",
    ),
    Setting(
        name="stock",
        table=SWARM,
        type=WholeNumber(1),
        help="Units on sale in each sale; when they are gone, the next sale opens.",
        shown="ten for every user",
    ),
    Setting(
        name="keep-going",
        table=SWARM,
        type=click.BOOL,
        default=False,
        help="Go on after the first commit that breaks a law.",
    ),
    Setting(
        name="chaos",
        table=SWARM,
        type=click.BOOL,
        default=False,
        help="Break connections, answers, sessions and processes of the target at random meanwhile.",
    ),
    Setting(
        name="chaos-rate",
        table=SWARM,
        type=SHARE,
        default="1%",
        help="At how many of the target's statements and commits something breaks, on average.",
    ),
    Setting(
        name="workers",
        table=SWARM,
        type=WholeNumber(0),
        help="Worker processes on this machine.",
        shown="none: one process makes all the load; 1 with --worker",
    ),
    Setting(
        name="bind",
        table=SWARM,
        default="127.0.0.1",
        help="Address on which the master waits for workers.",
    ),
    Setting(
        name="port",
        table=SWARM,
        type=PORT,
        default=5557,
        help="Port on which the master waits for workers.",
    ),
    Setting(
        name="expect-workers",
        table=SWARM,
        type=WholeNumber(1),
        default=1,
        help="How many workers must have come to the master before the load begins.",
    ),
    Setting(
        name="expect-within",
        table=SWARM,
        type=DURATION,
        default="60s",
        help="Time in which they must have come; for a worker, in which its master must answer.",
    ),
    Setting(name="master-host", table=SWARM, help="Host on which a worker's master waits.", shown="none"),
    Setting(
        name="master-port",
        table=SWARM,
        type=PORT,
        default=5557,
        help="Port on which a worker's master waits.",
    ),
    Setting(
        name="web",
        table=SWARM,
        type=click.BOOL,
        default=False,
        help="Serve Locust's own page, with the books.",
    ),
    Setting(name="web-host", table=SWARM, default="127.0.0.1", help="Address of that page."),
    Setting(name="web-port", table=SWARM, type=PORT, help="Port of that page.", shown="one that is free"),
    Setting(
        name="locustfile",
        table=SWARM,
        type=FILE,
        help="A locustfile of your own, with users that are Buyers.",
        shown="ours",
    ),
)

SETTINGS: Mapping[str, Setting] = {setting.name: setting for setting in (*_GENERAL, *_SWARM)}
"""Every setting by its name."""


def settings(*names: str) -> Callable[[F], F]:
    """Decorate a command function with these settings as options, in this order."""

    def decorate(function: F) -> F:
        for name in reversed(names):
            function = SETTINGS[name].decorator()(function)
        return function

    return decorate


class SettingOption(click.Option):
    """An option that falls back on the settings file, and whose errors say where the value came from."""

    def __init__(self, declarations: Sequence[str], *, setting: Setting, **attributes: Any) -> None:
        super().__init__(declarations, **attributes)
        self.setting = setting

    def consume_value(self, ctx: click.Context, opts: Mapping[str, Any]) -> tuple[Any, ParameterSource]:
        """Return the value and its source: flag, environment, file, default."""
        value, source = super().consume_value(ctx, opts)
        found = _read(ctx)
        if source is ParameterSource.DEFAULT and self.setting.name in found.values:
            return found.values[self.setting.name], ParameterSource.DEFAULT_MAP
        return value, source

    def process_value(self, ctx: click.Context, value: Any) -> Any:
        """Convert the value.

        :raises UsageError: when it cannot be; the message names the variable or the file's key.
        """
        try:
            return super().process_value(ctx, value)
        except click.BadParameter as error:
            raise click.UsageError(f"{self._origin(ctx)}: {error.message}", ctx) from None

    def _origin(self, ctx: click.Context) -> str:
        match ctx.get_parameter_source(str(self.name)):
            case ParameterSource.ENVIRONMENT:
                return self.setting.variable
            case ParameterSource.DEFAULT_MAP:
                return f"{_read(ctx).path}, key {self.setting.key}"
            case _:
                return f"--{self.setting.name}"


def _read(ctx: click.Context) -> Settings:
    """Return the settings file's content, read once for a command line."""
    key = "harness.cli.settings"
    if key not in ctx.meta:
        ctx.meta[key] = settings_of(Path.cwd(), SETTINGS)
    found: Settings = ctx.meta[key]
    return found
