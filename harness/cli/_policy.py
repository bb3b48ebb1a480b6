"""The one place where errors become a line on standard error and an exit code."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import signal
import sys
import tempfile
import threading
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.catalogue import unknown_name
from harness.errors import InconclusiveError, OversellError, UsageError
from harness.model.verdict import INTERNAL_EXIT_CODE, USAGE_EXIT_CODE, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_DISK_IS_FULL = (errno.ENOSPC, errno.EDQUOT)
_PASSWORD = re.compile(r"(?P<before>\w://[^\s/:@]*:)[^\s/@]+(?=@)")


@dataclass
class Session:
    """What the policy must know of the command that is being run."""

    folder: Path | None = None
    """The run folder, once there is one: tracebacks belong there."""
    interrupted_code: int = Verdict.INCONCLUSIVE.exit_code
    """What an interruption exits with: a violation that was seen before it stands."""


def guard(action: Callable[[], int], session: Session) -> int:
    """Call ``action`` and return its exit code, or the one that belongs to the error it raised."""
    with _termination_is_interruption():
        try:
            return _flushed(action())
        except click.exceptions.Exit as stop:
            return _flushed(stop.exit_code)
        except BrokenPipeError:
            # Whoever read our output has seen enough (`oversell list | head`).
            abandon_stdout()
            return 0
        except KeyboardInterrupt as interruption:
            return _interrupted(interruption, session)
        except Exception as error:
            return _failed(error, session)


def say(message: str) -> None:
    """Write one line about the command itself to standard error, without secrets."""
    line = " ".join(redacted(message).split())
    with contextlib.suppress(OSError):
        print(f"oversell: {line}", file=sys.stderr, flush=True)  # noqa: T201  # the one place that may


def abandon_stdout() -> None:
    """Point standard output at nothing, so that flushing it at exit cannot fail a second time."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def redacted(text: str) -> str:
    """Return ``text`` with the password of every URL in it replaced."""
    return _PASSWORD.sub(r"\g<before>***", text)


def _flushed(code: int) -> int:
    sys.stdout.flush()
    return code


def _interrupted(interruption: KeyboardInterrupt, session: Session) -> int:
    trouble = interruption.__cause__
    more = "" if trouble is None else f" While stopping: {trouble!r}; see {_keep_traceback(trouble, session)}"
    where = f" What was gathered is in {session.folder}." if session.folder else ""
    say(f"interrupted.{where}{more}")
    return session.interrupted_code


def _failed(error: Exception, session: Session) -> int:
    error = _spokesman(error)
    match error:
        case click.ClickException():
            say(_usage_message(error))
            return USAGE_EXIT_CODE
        case UsageError():
            say(str(error))
            return USAGE_EXIT_CODE
        case InconclusiveError():
            say(f"inconclusive: {error}")
            return Verdict.INCONCLUSIVE.exit_code
        case OSError(errno=number) if number in _DISK_IS_FULL:
            say(f"inconclusive: {error.strerror}: {error.filename or 'standard output'}")
            return Verdict.INCONCLUSIVE.exit_code
        case _:
            say(f"internal error: {error!r}. The traceback is in {_keep_traceback(error, session)}")
            return INTERNAL_EXIT_CODE


def _spokesman(error: Exception) -> Exception:
    """Return the one error of a group that decides the exit code: our bugs first, then usage."""
    if not isinstance(error, ExceptionGroup):
        return error
    leaves = list(_leaves(error))
    if not all(isinstance(leaf, OversellError) for leaf in leaves):
        return error
    return next((leaf for leaf in leaves if isinstance(leaf, UsageError)), leaves[0])


def _leaves(group: ExceptionGroup[Exception]) -> Iterator[Exception]:
    for error in group.exceptions:
        if isinstance(error, ExceptionGroup):
            yield from _leaves(error)
        else:
            yield error


def _usage_message(error: click.ClickException) -> str:
    if isinstance(error, click.NoSuchOption) and error.ctx is not None:
        options = error.ctx.command.get_params(error.ctx)
        names = [name for option in options for name in (*option.opts, *option.secondary_opts)]
        valid = [name for name in names if name.startswith("--")]
        return f"{unknown_name('option', error.option_name, valid)}{_help_hint(error)}"
    return f"{error.format_message().rstrip('.')}.{_help_hint(error)}"


def _help_hint(error: click.ClickException) -> str:
    context = getattr(error, "ctx", None)
    return f" More: {context.command_path} --help" if context else ""


def _keep_traceback(error: BaseException, session: Session) -> str:
    """Write the traceback where it will be found and return that place."""
    text = redacted("".join(traceback.format_exception(error)))
    try:
        if session.folder is not None and session.folder.is_dir():
            path = session.folder / "internal-error.txt"
            path.write_text(text, encoding="utf-8")
            return str(path)
        handle, name = tempfile.mkstemp(prefix="oversell-internal-error-", suffix=".txt", text=True)
        with open(handle, "w", encoding="utf-8") as file:  # noqa: PTH123  # an open descriptor
            file.write(text)
    except OSError:
        sys.stderr.write(text)
        return "the lines above"
    return name


@contextlib.contextmanager
def _termination_is_interruption() -> Iterator[None]:
    """Treat SIGTERM and SIGHUP like Ctrl-C, so that everything is stopped in the same way."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {
        number: signal.signal(number, signal.default_int_handler)
        for number in (signal.SIGTERM, signal.SIGHUP)
        if signal.getsignal(number) is signal.SIG_DFL  # nohup ignores SIGHUP: leave that
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
