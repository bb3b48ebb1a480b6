"""Interruptions: the first one tidies up, the second one ends the process."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.cli.commandline import environment

if TYPE_CHECKING:
    from collections.abc import Iterator

# Tells where it is on standard output and waits on nothing but signals.
_PROGRAM = """
import asyncio, signal, sys

# Whoever runs the tests may have been told to ignore it, as nohup does.
signal.signal(signal.SIGHUP, signal.SIG_DFL)

from harness.cli._loop import run_async
from harness.cli._policy import Session, guard

def say(word):
    print(word, flush=True)

async def work():
    try:
        say("working")
        await asyncio.Event().wait()
    finally:
        say("tidying")
        if sys.argv[1:] == ["slow"]:
            await asyncio.Event().wait()
        later = asyncio.Event()
        asyncio.get_running_loop().call_soon(later.set)
        await later.wait()
        say("tidy")

def abandon():
    say("abandoned")
    return 3

sys.exit(guard(lambda: run_async(work(), abandon=abandon), Session()))
"""


@pytest.fixture
def program(request: pytest.FixtureRequest) -> Iterator[subprocess.Popen[str]]:
    """The program above, at work."""
    with subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, *getattr(request, "param", [])],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    ) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "working\n"
        yield running
        running.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_one_signal_lets_the_program_tidy_up(program: subprocess.Popen[str], number: signal.Signals) -> None:
    """Ctrl-C, a CI service's SIGTERM and a closed terminal all end the same way: tidily, with code 3."""
    program.send_signal(number)
    out, err = program.communicate(timeout=20)
    assert out == "tidying\ntidy\n"
    assert err == "oversell: interrupted.\n"
    assert program.returncode == 3


@pytest.mark.parametrize("program", [["slow"]], indirect=True)
def test_a_second_signal_ends_a_program_that_hangs_while_tidying(program: subprocess.Popen[str]) -> None:
    """What is known is written down, and the process ends without waiting for anything."""
    assert program.stdout is not None
    program.send_signal(signal.SIGINT)
    assert program.stdout.readline() == "tidying\n"
    program.send_signal(signal.SIGINT)
    out, err = program.communicate(timeout=20)
    assert out == "abandoned\n"
    assert "interrupted twice" in err
    assert program.returncode == 3
