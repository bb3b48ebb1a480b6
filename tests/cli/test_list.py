"""What can be listed, and that it is what there is."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from harness.cli import main
from harness.cli._commands import PROGRAM
from harness.cli.list import KINDS, names_of
from harness.engines import ENGINES
from harness.laws import LAWS
from harness.load.behaviour import BEHAVIOURS
from harness.reporting import REPORTERS
from harness.specimens import SPECIMENS
from tests.cli.commandline import environment

if TYPE_CHECKING:
    from pathlib import Path

    from harness.catalogue import Catalogue, Named


@pytest.mark.parametrize(
    ("kind", "catalogue"),
    [
        ("behaviours", BEHAVIOURS),
        ("engines", ENGINES),
        ("laws", LAWS),
        ("reports", REPORTERS),
        ("specimens", SPECIMENS),
    ],
)
def test_the_list_names_what_the_catalogue_holds(kind: str, catalogue: Catalogue[Named]) -> None:
    """Names are read off the files, without importing them, and are those that can be chosen."""
    assert list(names_of(kind)) == sorted(catalogue.entries)


@pytest.mark.parametrize("kind", KINDS)
def test_everything_listed_says_what_it_is(kind: str) -> None:
    """Each entry has its line of documentation."""
    assert names_of(kind)
    assert all(names_of(kind).values())


def test_the_list_as_a_document(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A program reads the same names from --json."""
    monkeypatch.chdir(tmp_path)
    assert main(["list", "laws", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [law["name"] for law in document["laws"]] == list(LAWS.entries)


@pytest.mark.parametrize(
    "words", [["--help"], ["check", "--help"], ["swarm", "--help"], ["list", "laws"], ["list", "scenarios"]]
)
def test_help_and_lists_load_nothing_heavy(words: list[str]) -> None:
    """What answers at once does not import drivers, servers or renderers first."""
    heavy = {"asyncpg", "gevent", "locust", "litestar", "rich", "uvicorn", "testcontainers", "hypothesis"}
    run = f"import sys; from harness.cli import main; main({words!r})"
    code = f"{run}; sys.exit(str({heavy!r}.intersection(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=environment(),
    )
    assert done.stderr.strip() == "set()"


def test_each_command_is_named_like_its_file(capsys: pytest.CaptureFixture[str]) -> None:
    """Every public module is a command of that name, and help lists it."""
    assert main(["--help"]) == 0
    said = capsys.readouterr().out
    with PROGRAM.make_context("oversell", ["list"]) as context:
        names = PROGRAM.list_commands(context)
        assert {"check", "list", "new"} <= set(names)
        for name in names:
            assert PROGRAM.get_command(context, name).name == name
            assert f"\n  {name} " in said
