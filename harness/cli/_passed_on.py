"""What stands behind ``--`` on a command line and is passed on to Locust as it is."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from harness.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

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
    "--worker": "--worker",
    "--processes": "--workers",
    "--master-host": "--master-host",
    "--master-port": "--master-port",
}
"""Options of Locust that say what an option of ours says."""
_KEPT = ("--csv", "--html", "--json", "--json-file", "--exit-code-on-error")
"""Options of Locust whose output lies in the run folder anyway, or whose meaning a verdict replaces."""
_PRINTERS = ("-h", "--help", "-V", "--version", "-l", "--list", "--show-task-ratio", "--show-task-ratio-json")
"""Options of Locust with which it prints something and makes no load."""
_PARSE = """
import sys
from locust.argument_parser import get_empty_argument_parser, setup_parser_arguments
parser = get_empty_argument_parser(default_config_files=[])
setup_parser_arguments(parser)
parser.parse_args(sys.argv[1:])
"""
_PARSING = 30.0


def refuse_ours(words: Sequence[str]) -> None:
    """Refuse options of Locust that would contradict what is passed to it already.

    :raises UsageError: for the first of them; the message names what takes its place.
    """
    for word in words:
        if not word.startswith("-"):
            continue
        name = word.partition("=")[0] if word.startswith("--") else word[:2]
        if name in _OURS:
            raise UsageError(
                f"{name} behind -- would contradict oversell's {_OURS[name]}. Use that, before --."
            )
        if name in _KEPT:
            raise UsageError(
                f"{name} behind -- has no place: Locust's CSV, HTML and JSON are kept in the run folder, and "
                "the exit code is the verdict. Leave it out."
            )
        if name in _PRINTERS:
            raise UsageError(
                f"With {name} Locust makes no load. Ask it directly: {sys.executable} -m locust {name}"
            )


def refuse_unknown(words: Sequence[str]) -> None:
    """Have Locust itself say whether it knows these options, before anything is started.

    Locust lives in a process of its own: to import it is to have gevent replace what asyncio stands on.

    :raises UsageError: when it does not; the message is Locust's own.
    """
    if not words:
        return
    done = subprocess.run(
        [sys.executable, "-c", _PARSE, *words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_PARSING,
        check=False,
    )
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["it gave no reason"])[-1].partition("error: ")
        raise UsageError(f"Locust does not take what stands behind --: {said[2] or said[0]}.")
