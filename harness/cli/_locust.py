"""What is Locust's to understand: the options behind ``--``, and somebody's locustfile."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from harness.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

_OURS: Mapping[str, str] = {
    "-f": "--locustfile",
    "--locustfile": "--locustfile",
    "-H": "--target",
    "--host": "--target",
    "-u": "--users",
    "--users": "--users",
    "-r": "--spawn-rate",
    "--spawn-rate": "--spawn-rate",
    "-t": "--run-time",
    "--run-time": "--run-time",
    "--headless": "--no-web",
    "--headful": "--web",
    "--autostart": "--web",
    "--autoquit": "--web",
    "--web-host": "--web-host",
    "--web-port": "--web-port",
    "-P": "--web-port",
    "--master": "--master",
    "--master-bind-host": "--bind",
    "--master-bind-port": "--port",
    "--expect-workers": "--expect-workers",
    "--expect-workers-max-wait": "--expect-within",
    "--expect-slaves": "--expect-workers",
    "--worker": "--worker",
    "--slave": "--worker",
    "--processes": "--workers",
    "--master-host": "--master-host",
    "--master-port": "--master-port",
}
"""Options of Locust that say what an option of ours says."""
_KEPT = ("--csv", "--html", "--json", "--json-file", "--exit-code-on-error")
"""Options of Locust whose output lies in the run folder anyway, or whose meaning a verdict replaces."""
_PRINTERS = ("-h", "--help", "-V", "--version", "-l", "--list", "--show-task-ratio", "--show-task-ratio-json")
"""Options of Locust with which it prints something and makes no load."""
_TRY = """
import sys
from locust.argument_parser import get_parser
from locust.util.load_locustfile import load_locustfile

path, *words = sys.argv[1:]
if path:
    try:
        found = load_locustfile(path)
    except (Exception, SystemExit) as error:
        line = getattr(error, "lineno", None)
        where = f", line {line}" if line else ""
        sys.exit(f"{path}{where}: {type(error).__name__}: {error}")
    users = [each for part in found if isinstance(part, dict) for each in part.values()]
    buyer = sys.modules.get("harness.locusts.buyer")
    if buyer is None or not any(issubclass(each, buyer.Buyer) for each in users):
        sys.exit(f"{path} has no user that is a Buyer, so there is nothing to audit. "
                 "Make one of yours: from harness.locusts import Buyer")
get_parser(default_config_files=[]).parse_args(words)
"""
_TRYING = 30.0
"""Seconds in which a locustfile must have been loaded."""
_NOT_PARSED = 2
"""Exit code of a process whose options were not understood."""


def refuse_ours(words: Sequence[str]) -> None:
    """Refuse options of Locust that would contradict what is passed to it already.

    Locust takes the beginning of a long option for the option.

    :raises UsageError: for the first of them; the message names what takes its place.
    """
    for word in words:
        name = word.partition("=")[0] if word.startswith("--") else word[:2]
        if ours := _meant(name, _OURS):
            raise UsageError(
                f"{name} behind -- would contradict oversell's {_OURS[ours]}. Use that, before --."
            )
        if _meant(name, _KEPT):
            raise UsageError(
                f"{name} behind -- has no place: Locust's CSV, HTML and JSON are kept in the run folder, and "
                "the exit code is the verdict. Leave it out."
            )
        if printer := _meant(name, _PRINTERS):
            raise UsageError(
                f"With {name} Locust makes no load. Ask it directly: {sys.executable} -m locust {printer}"
            )


def _meant(name: str, options: Iterable[str]) -> str | None:
    """Return which of these options is meant by a word, if any is."""
    if not name.startswith("-") or len(name) < 2 or name == "--":
        return None
    return next(
        (each for each in options if each == name or (name[:2] == "--" and each.startswith(name))), None
    )


def refuse_unusable(locustfile: Path | None, words: Sequence[str]) -> None:
    """Have Locust itself load a locustfile and parse options, before anything is started.

    Locust lives in a process of its own: to import it is to have gevent replace what asyncio stands on.

    :param locustfile: ``None`` for ours.
    :raises UsageError: when the file cannot be loaded or has no buyer in it, or an option is not known.
    """
    if not words and locustfile is None:
        return
    from harness.swarming.launching import environment, require_locust

    require_locust()
    try:
        done = subprocess.run(
            [sys.executable, "-c", _TRY, str(locustfile or ""), *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=environment(),
            text=True,
            timeout=_TRYING,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise UsageError(f"{locustfile} could not be loaded within {_TRYING:g} s.") from None
    if done.returncode:
        said = done.stderr.strip() or "Locust gave no reason"
        if done.returncode == _NOT_PARSED:
            wrong = ". ".join(said.rpartition("error: ")[2].splitlines())
            raise UsageError(f"Locust does not take what stands behind --: {wrong}")
        raise UsageError(f"--locustfile: {said.splitlines()[-1]}")
